"""``pod restart``."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pod.cli.options import Options
    from pod.core.container.model import Container
    from pod.core.container.planning import Attachment
    from pod.core.engine import Engine

COMMAND = Command(
    "restart",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    (
        ("signal", "s", "string", "Signal to send to the container"),
        ("timeout", "t", "int", "Seconds to wait before killing the container"),
    ),
    min_args=1,
    aliases=("pod container restart", "pod restart"),
    spellings=(("time", "timeout"),),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.container import store
    from pod.core.runtime import defaults

    number = defaults.parse_signal(options["signal"]) if options["signal"] else None
    timeout = options["timeout"] if "timeout" in options.given else None
    failed = 0
    for name in options.args:
        try:
            _restart(engine, store.find(engine, name), timeout, number)
            output.line(name)
        except _Said:
            failed = 1
        except PodError as error:
            output.error(error)
            failed = 1
    return failed


class _Said(Exception):
    """It failed, and the reason was told."""


def _restart(engine: Engine, container: Container, timeout: int | None, number: int | None) -> None:
    from pod.cli import start
    from pod.core.container import happened, stopping

    def act(attachment: Attachment) -> NoReturn:
        stopping.restart(engine, container, timeout, number, attachment)

    if start.in_child(f"restart container: {container.name}", act):
        raise _Said
    happened.tell(engine, container, "restart")
