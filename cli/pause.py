"""``pod pause``: no process of a container runs until ``unpause``."""

from __future__ import annotations

from pod.cli import output
from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pod.cli.options import Options
    from pod.core.container.model import Container
    from pod.core.engine import Engine

COMMAND = Command(
    "pause",
    "CONTAINER [CONTAINER...]",
    "Pause all processes within one or more containers",
    min_args=1,
    aliases=("pod container pause", "pod pause"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.core.container import pause

    return each(engine, options.args, pause.pause)


def each(engine: Engine, names: list[str], verb: Callable[[Engine, Container], None]) -> int:
    """Does it to every one, a line each; 1 where one failed."""
    from pod.core.container import lifecycle, store

    status = 0
    for name in names:
        try:
            verb(engine, lifecycle.settle(engine, store.find(engine, name)))
            output.line(name)
        except PodError as error:
            output.error(error)
            status = 1
    return status
