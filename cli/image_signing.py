"""``image sign`` and ``image verify``: refused, with the reason and what does it instead."""

from __future__ import annotations

from pod.cli.options import Command, Options
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command("sign|verify", "", "Not in pod: no library that is kept up does it", interspersed=False)

_INSTEAD = {
    "sign": "push the image, then sign it where it lies: cosign sign or notation sign REGISTRY/NAME@DIGEST",
    "verify": "cosign verify or notation verify REGISTRY/NAME@DIGEST, then pull that digest",
}


def main(engine: Engine, options: Options) -> int:
    """Always PodError, status 1. The first argument, put there by the group's table, names the command."""
    name = options.args[0]
    raise PodError(
        f"'image {name}' is not in pod: no library for signatures that is kept up could be built in",
        hint=_INSTEAD[name],
    )
