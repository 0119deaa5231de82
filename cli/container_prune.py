"""``pod container prune``: removes containers that do not run; docker/cli: container prune."""

from __future__ import annotations

from pod.cli import output
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

_QUESTION = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue?"


def main(engine: Engine, options: Options) -> int:
    """Asks, unless told not to; who says no ends it with status 0, as ``image prune``."""
    import time

    from pod.core.container import prune

    prune.check(options["filter"], time.time())
    if not options["force"]:
        from pod.cli import prompt

        if not prompt.confirm(_QUESTION):
            return 0
    gone, freed = prune.prune(engine, options["filter"])
    if gone:
        output.write("Deleted Containers:\n" + "".join(one + "\n" for one in gone) + "\n")
    output.line("Total reclaimed space: " + output.human_size(freed, 4))
    return 0
