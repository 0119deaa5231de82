"""``pod restart``."""

from __future__ import annotations

from pod.cli import stop
from pod.cli.options import Command

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
    stop.FLAGS,
    min_args=1,
    aliases=("pod container restart", "pod restart"),
    spellings=stop.SPELLINGS,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import each
    from pod.core.container import store

    timeout, number = stop.how(options)

    def act(name: str) -> str:
        _restart(engine, store.find(engine, name), timeout, number)
        return name

    return each.each(options.args, act)


def _restart(engine: Engine, container: Container, timeout: int | None, number: int | None) -> None:
    from pod.cli import start
    from pod.core.container import happened, stopping

    def act(attachment: Attachment) -> NoReturn:
        stopping.restart(engine, container, timeout, number, attachment)

    start.in_child(f"restart container: {container.name}", act)
    happened.tell(engine, container, "restart")
