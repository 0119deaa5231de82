"""``pod manifest rm``: lists forgotten; docker/cli: manifest rm."""

from __future__ import annotations

from pod.cli.each import each
from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command(
    "rm",
    "MANIFEST_LIST [MANIFEST_LIST...]",
    "Delete one or more manifest lists from local storage",
    min_args=1,
    path="pod manifest rm",
)


def main(engine: Engine, options: Options) -> int:
    """Silent, as Docker is; what does not exist is told, the others go."""
    from pod.core.image import manifest_list

    def remove(name: str) -> None:
        manifest_list.remove(engine, name)

    return each(options.args, remove)
