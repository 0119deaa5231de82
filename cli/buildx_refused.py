"""Commands of ``buildx`` that pod does not have: each says why, and what does it instead."""

from __future__ import annotations

from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command("buildx", "", "Not in pod: it builds by itself", interspersed=False)

_BUILDERS = "there are no builders to manage, pod builds by itself", "pod build needs no set-up"
_REASONS = {
    "bake": ("pod reads no bake files", "call pod build for each target"),
    "debug": ("pod has no debugger of builds", "pod build --progress plain shows what each step writes"),
    "history": ("pod keeps no records of builds", "pod history IMAGE shows the steps of an image"),
    "imagetools": ("that is 'manifest' in pod", "pod manifest inspect shows, create and push make"),
    "version": ("there is no plugin", "pod version"),
}


def main(engine: Engine, options: Options) -> int:
    """Always PodError, status 1. The first argument, put there by the group's table, names the command."""
    reason, hint = _REASONS.get(options.args[0], _BUILDERS)
    raise PodError(f"'buildx {options.args[0]}' is not in pod: {reason}", hint=hint)
