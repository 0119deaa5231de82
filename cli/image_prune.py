"""``pod image prune``: removes images that nobody needs; docker/cli: image prune."""

from __future__ import annotations

from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command(
    "prune",
    "[OPTIONS]",
    "Remove unused images",
    (
        ("all", "a", "bool", "Remove all unused images, not just dangling ones"),
        ("filter", "", "filter", 'Provide filter values (e.g. "until=<timestamp>"): label, label!, until'),
        ("force", "f", "bool", "Do not prompt for confirmation"),
    ),
    max_args=0,
    path="pod image prune",
)

_ALL = "This will remove all images without at least one container associated to them."
_DANGLING = "This will remove all dangling images."


def main(engine: Engine, options: Options) -> int:
    """Asks, unless told not to; who says no ends it with status 0, as in Docker."""
    from pod.cli import pruning
    from pod.core.image import prune, trash

    prune.check(options["filter"], everything=options["all"])
    if not pruning.agreed(options, _ALL if options["all"] else _DANGLING):
        return 0
    outcome = prune.prune(engine, options["filter"], everything=options["all"])
    trash.empty(engine)
    lines = [f"{removal.kind.lower()}: {removal.what}" for removal in outcome.removals]
    pruning.report("Images", lines, outcome.reclaimed)
    return 0
