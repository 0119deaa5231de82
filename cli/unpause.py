"""``pod unpause``: what ``pause`` stopped goes on."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "unpause",
    "CONTAINER [CONTAINER...]",
    "Unpause all processes within one or more containers",
    min_args=1,
    aliases=("pod container unpause", "pod unpause"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import pause as both
    from pod.core.container import pause

    return both.do(engine, options.args, pause.unpause)
