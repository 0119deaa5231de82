"""``pod network prune``; docker/cli: network prune."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "prune",
    "[OPTIONS]",
    "Remove all unused networks",
    (
        ("filter", "", "filter", 'Provide filter values (e.g. "until=<timestamp>"): label, label!, until'),
        ("force", "f", "bool", "Do not prompt for confirmation"),
    ),
    max_args=0,
    path="pod network prune",
)

_WARNING = "This will remove all custom networks not used by at least one container."


def main(engine: Engine, options: Options) -> int:
    """Asks, unless told not to; who says no ends it with status 0, as in Docker."""
    import time

    from pod.cli import output, pruning
    from pod.core.container import network_removal
    from pod.core.network import listing

    listing.prune_test(options["filter"], time.time())
    if not pruning.agreed(options, _WARNING):
        return 0
    gone = network_removal.prune(engine, options["filter"])
    if gone:
        output.write("Deleted Networks:\n" + "".join(name + "\n" for name in gone) + "\n")
    return 0
