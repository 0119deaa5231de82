"""``pod rename``."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "rename",
    "CONTAINER NEW_NAME",
    "Rename a container",
    (),
    min_args=2,
    max_args=2,
    aliases=("pod container rename", "pod rename"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.core.container import changes, store

    old, new = (name.strip() for name in options.args)
    if not old or not new:
        raise PodError("Error: Neither old nor new names may be empty")
    try:
        changes.rename(engine, store.find(engine, old), new.removeprefix("/"))
    except UsageError as error:  # here it is the daemon that refuses the name: Docker's status is 1, not 125
        raise PodError(str(error), hint=error.hint) from None
    return 0
