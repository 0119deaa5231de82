"""``pod network disconnect``; docker/cli: network disconnect."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "disconnect",
    "[OPTIONS] NETWORK CONTAINER",
    "Disconnect a container from a network",
    (("force", "f", "bool", "Force the container to disconnect from a network: also from one that is gone"),),
    min_args=2,
    max_args=2,
    path="pod network disconnect",
)


def main(engine: Engine, options: Options) -> int:
    """Prints nothing, as Docker."""
    from pod.core.container import connecting, lifecycle, store

    container = lifecycle.settle(engine, store.find(engine, options.args[1]))
    connecting.disconnect(engine, options.args[0], container, force=options["force"])
    return 0
