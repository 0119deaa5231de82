"""``pod network rm``; docker/cli: network rm."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import NoSuchNetwork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "rm",
    "NETWORK [NETWORK...]",
    "Remove one or more networks",
    (("force", "f", "bool", "Do not error if the network does not exist"),),
    min_args=1,
    aliases=("pod network rm", "pod network remove"),
    path="pod network rm",
)


def main(engine: Engine, options: Options) -> int:
    """Each network as it was named once it is gone, an error line for each of the others."""
    from pod.cli import each
    from pod.core.container import network_removal

    def act(name: str) -> str | None:
        try:
            network_removal.remove(engine, name)
        except NoSuchNetwork:
            if options["force"]:
                return None
            raise
        return name

    return each.each(options.args, act)
