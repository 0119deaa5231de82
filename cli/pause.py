"""``pod pause``: no process of a container runs until ``unpause``."""

from __future__ import annotations

from pod.cli.options import Command

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

    return do(engine, options.args, pause.pause)


def do(engine: Engine, names: list[str], verb: Callable[[Engine, Container], None]) -> int:
    """``pause`` and ``unpause``: the verb for every container as it truly is."""
    from pod.cli import each
    from pod.core.container import lifecycle, store

    def act(name: str) -> str:
        verb(engine, lifecycle.settle(engine, store.find(engine, name)))
        return name

    return each.each(names, act)
