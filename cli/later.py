"""Commands of ``image`` that this version does not have: each says so and what does a part of it meanwhile."""

from __future__ import annotations

from pod.cli.options import Command, Options
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command("later", "", "Not there yet", interspersed=False)

_SUBJECTS = {
    "build": ("building images", "build with another tool, push to a registry and pull from it"),
    "import": ("images from archives", "put the image into a registry with another tool and pull from it"),
    "load": ("images from archives", "put the image into a registry with another tool and pull from it"),
    "push": ("pushing images", "skopeo copies from the store: oci:STORE:NAME (README.md)"),
    "save": ("archives of images", "skopeo copies from the store: oci:STORE:NAME (README.md)"),
}


def main(engine: Engine, options: Options) -> int:
    """Always PodError, status 1. The first argument, put there by the group's table, names the command."""
    subject, hint = _SUBJECTS[options.args[0]]
    raise PodError(f"'image {options.args[0]}' is not there yet in this version: {subject}", hint=hint)
