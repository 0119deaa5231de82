"""``pod system reset``: pod's own, after podman's command of that name."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "reset",
    "[OPTIONS]",
    "Stop all containers and remove the whole store",
    (("force", "f", "bool", "Do not prompt for confirmation"),),
    max_args=0,
    path="pod system reset",
)

_LOST = ("containers", "networks", "volumes, with what is in them", "images", "events and caches of the store")


def main(engine: Engine, options: Options) -> int:
    """Asks, unless told not to; who says no ends it with status 0, as the prunes."""
    from pod.cli import output, prompt
    from pod.core.system import reset

    running = reset.check(engine)
    if not options["force"]:
        lines = "".join(f"  - all {what}\n" for what in _LOST)
        question = f"WARNING! This will remove the store {engine.paths.root}:\n{lines}\n"
        if running:
            question += f"{len(running)} running container{'s' if len(running) > 1 else ''} will be killed.\n"
        if not prompt.confirm(output.visible(question) + "Are you sure you want to continue?"):
            return 0
    outcome = reset.reset(engine)
    for name in outcome.foreign[:20]:
        output.warning(f"{engine.paths.root}/{name} is none of pod's and stays")
    if not outcome.stuck:
        return 0
    for text in outcome.stuck[:20]:
        output.warning(text)
    raise PodError(
        f"reset: {engine.paths.root}: {len(outcome.stuck)} of its parts could not be removed",
        hint="what stands above forbids it (attributes of chattr, ids that are not yours any more); then reset again",
    )
