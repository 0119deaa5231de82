"""``pod system prune``; docker/cli: system prune."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "prune",
    "[OPTIONS]",
    "Remove unused data",
    (
        ("all", "a", "bool", "Remove all unused images not just dangling ones"),
        ("filter", "", "filter", 'Provide filter values (e.g. "label=<key>=<value>"): label, label!, until'),
        ("force", "f", "bool", "Do not prompt for confirmation"),
        ("volumes", "", "bool", "Prune anonymous volumes"),
    ),
    max_args=0,
    path="pod system prune",
)


def main(engine: Engine, options: Options) -> int:
    """Asks, unless told not to; who says no ends it with status 0, as the other prunes."""
    from pod.cli import output, prompt
    from pod.core.system import prune

    filters, everything, volumes = options["filter"], options["all"], options["volumes"]
    prune.check(filters, everything=everything, volumes=volumes)
    if not options["force"] and not prompt.confirm(_question(filters, everything=everything, volumes=volumes)):
        return 0

    def tell(kind: str, gone: Sequence[str]) -> None:
        if gone:
            output.write(f"Deleted {kind}:\n" + "".join(one + "\n" for one in gone) + "\n")

    reclaimed = prune.prune(engine, filters, everything=everything, volumes=volumes, tell=tell)
    output.line("Total reclaimed space: " + output.human_size(reclaimed, 4))
    return 0


def _question(filters: Sequence[str], *, everything: bool, volumes: bool) -> str:
    """Docker's."""
    images = "images without at least one container associated to them" if everything else "dangling images"
    lines = ["all stopped containers", "all networks not used by at least one container"]
    if volumes:
        lines.append("all anonymous volumes not used by at least one container")
    lines += [f"all {images}", "unused build cache"]
    text = "WARNING! This will remove:\n" + "".join(f"  - {line}\n" for line in lines) + "\n"
    if filters:
        text += "  Items to be pruned will be filtered with:\n"
        text += "".join(f"  - {one}\n" for one in sorted(filters)) + "\n"
    return text + "Are you sure you want to continue?"
