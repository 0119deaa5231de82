"""``pod kill``."""

from __future__ import annotations

from pod.cli.options import Command

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
    from pod.cli import each
    from pod.core.container import stopping, store
    from pod.core.runtime import defaults

    number = defaults.parse_signal(options["signal"] or "KILL")

    def act(name: str) -> str:
        stopping.kill(engine, store.find(engine, name), number)
        return name

    return each.each(options.args, act)
