"""``pod volume prune``; docker/cli: volume prune."""

from __future__ import annotations

from pod.cli import output
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

_ALL = "WARNING! This will remove all local volumes not used by at least one container."
_ANONYMOUS = "WARNING! This will remove anonymous local volumes not used by at least one container."


def main(engine: Engine, options: Options) -> int:
    """Asks, unless told not to; who says no ends it with status 0, as in Docker."""
    from pod.core.container import lifecycle
    from pod.core.volume import listing, remove

    wanted = listing.prune_test(options["filter"], everything=options["all"])
    if not options["force"]:
        from pod.cli import prompt

        if not prompt.confirm((_ALL if options["all"] else _ANONYMOUS) + "\nAre you sure you want to continue?"):
            return 0
    outcome = remove.prune(engine, wanted)
    lifecycle.empty_trash(engine)
    if outcome.names:
        output.write("Deleted Volumes:\n" + "".join(name + "\n" for name in outcome.names) + "\n")
    output.line("Total reclaimed space: " + output.human_size(outcome.reclaimed, 4))
    return 0
