"""``pod volume prune``; docker/cli: volume prune."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "prune",
    "[OPTIONS]",
    "Remove unused local volumes",
    (
        ("all", "a", "bool", "Remove all unused volumes, not just anonymous ones"),
        ("filter", "", "filter", 'Provide filter values (e.g. "label=<label>"): all, label, label!'),
        ("force", "f", "bool", "Do not prompt for confirmation"),
    ),
    max_args=0,
    path="pod volume prune",
)

_ALL = "This will remove all local volumes not used by at least one container."
_ANONYMOUS = "This will remove anonymous local volumes not used by at least one container."


def main(engine: Engine, options: Options) -> int:
    """Asks, unless told not to; who says no ends it with status 0, as in Docker."""
    from pod.cli import pruning
    from pod.core.image import trash
    from pod.core.volume import listing, remove

    wanted = listing.prune_test(options["filter"], everything=options["all"])
    if not pruning.agreed(options, _ALL if options["all"] else _ANONYMOUS):
        return 0
    outcome = remove.prune(engine, wanted)
    trash.empty(engine)
    pruning.report("Volumes", outcome.names, outcome.reclaimed)
    return 0
