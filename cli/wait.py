"""``pod wait``."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "wait",
    "CONTAINER [CONTAINER...]",
    "Block until one or more containers stop, then print their exit codes",
    (),
    min_args=1,
    aliases=("pod container wait", "pod wait"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.container import store, waiting

    watched: list[waiting.Watch | PodError] = []
    for name in options.args:
        try:
            watched.append(waiting.Watch(engine, store.find(engine, name)))
        except PodError as error:
            watched.append(error)
    failed = 0
    for one in watched:
        if isinstance(one, PodError):
            output.error(one)
            failed = 1
        else:
            output.line(str(one.code()))
    return failed
