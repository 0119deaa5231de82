"""``pod container prune``: removes containers that do not run; docker/cli: container prune."""

from __future__ import annotations

from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command(
    "prune",
    "[OPTIONS]",
    "Remove all stopped containers",
    (
        ("filter", "", "filter", 'Provide filter values (e.g. "until=<timestamp>"): label, label!, until'),
        ("force", "f", "bool", "Do not prompt for confirmation"),
    ),
    max_args=0,
    path="pod container prune",
)


def main(engine: Engine, options: Options) -> int:
    """Asks, unless told not to; who says no ends it with status 0, as ``image prune``."""
    import time

    from pod.cli import pruning
    from pod.core.container import prune

    prune.check(options["filter"], time.time())
    if not pruning.agreed(options, "This will remove all stopped containers."):
        return 0
    gone, freed = prune.prune(engine, options["filter"])
    pruning.report("Containers", gone, freed)
    return 0
