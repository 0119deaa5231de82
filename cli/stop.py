"""``pod stop``."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "stop",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop one or more running containers",
    (
        ("signal", "s", "string", "Signal to send to the container"),
        ("timeout", "t", "int", "Seconds to wait before killing the container"),
    ),
    min_args=1,
    aliases=("pod container stop", "pod stop"),
    spellings=(("time", "timeout"),),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.container import stopping, store
    from pod.core.runtime import defaults

    number = defaults.parse_signal(options["signal"]) if options["signal"] else None
    timeout = options["timeout"] if "timeout" in options.given else None
    failed = 0
    for name in options.args:
        try:
            stopping.stop(engine, store.find(engine, name), timeout, number)
            output.line(name)
        except PodError as error:
            output.error(error)
            failed = 1
    return failed
