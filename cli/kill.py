"""``pod kill``."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "kill",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Kill one or more running containers",
    (("signal", "s", "string", "Signal to send to the container"),),
    min_args=1,
    aliases=("pod container kill", "pod kill"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.container import lifecycle, store
    from pod.core.runtime import defaults

    number = defaults.parse_signal(options["signal"] or "KILL")
    failed = 0
    for name in options.args:
        try:
            container = lifecycle.settle(engine, store.find(engine, name))
            lifecycle.signal(engine, container, number)
            if number == 9:
                lifecycle.await_end(engine, container, 10.0)
            output.line(name)
        except PodError as error:
            output.error(error)
            failed = 1
    return failed
