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
    from pod.cli import each
    from pod.core.container import store, waiting

    watched: list[waiting.Watch | PodError] = []
    for name in options.args:
        try:
            watched.append(waiting.Watch(engine, store.find(engine, name)))
        except PodError as error:
            watched.append(error)

    def act(one: waiting.Watch | PodError) -> str:
        if isinstance(one, PodError):
            raise one
        return str(one.code())

    return each.each(watched, act)
