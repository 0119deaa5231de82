"""``pod builder prune``; docker/cli: builder prune."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "prune",
    "[OPTIONS]",
    "Remove build cache",
    (
        ("all", "a", "bool", "Remove all unused build cache, not just dangling ones"),
        (
            "filter", "", "filter",
            'Provide filter values (e.g. "until=24h"): description, id, inuse, private, shared, unused-for, until',
        ),
        ("force", "f", "bool", "Do not prompt for confirmation"),
        ("keep-storage", "", "bytes", "Amount of disk space to keep for cache"),
    ),
    max_args=0,
    aliases=("pod builder prune", "pod buildx prune"),
    path="pod builder prune",
    spellings=(("max-used-space", "keep-storage"), ("reserved-space", "keep-storage")),
)  # fmt: skip

_ALL = "This will remove all build cache."
_DANGLING = "This will remove all dangling build cache."


def main(engine: Engine, options: Options) -> int:
    """Asks, unless told not to; who says no ends it with status 0, as in Docker."""
    from pod.cli import pruning
    from pod.core.builder import prune
    from pod.core.image import trash

    prune.check(options["filter"])
    if not pruning.agreed(options, _ALL if options["all"] else _DANGLING):
        return 0
    gone, freed = prune.prune(engine, options["filter"], everything=options["all"], keep=options["keep-storage"])
    trash.empty(engine)
    pruning.report("build cache objects", [record.key[:25] for record in gone], freed)
    return 0
