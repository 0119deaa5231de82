"""``swarm``, ``service``, ``stack``, ``node``: pod runs on one machine; each is refused with what does it instead."""

from __future__ import annotations

from pod.cli.options import Command, Options
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command("swarm|service|stack|node", "", "Not in pod: it has no cluster", interspersed=False)


def main(engine: Engine, options: Options) -> int:
    """Always PodError, status 1."""
    raise PodError(
        "swarm, service, stack and node: pod runs containers on one machine and has no cluster",
        hint="'compose' does it on this machine: describe the services in a Compose file",
    )
