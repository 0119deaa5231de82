"""``pod tag``: one more name for an image; docker/cli: image tag."""

from __future__ import annotations

from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command(
    "tag",
    "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]",
    "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE",
    (),
    min_args=2,
    max_args=2,
    aliases=("pod image tag", "pod tag"),
)


def main(engine: Engine, options: Options) -> int:
    """Silent, as Docker is."""
    from pod.core.image import tag

    tag.tag(engine, options.args[0], options.args[1])
    return 0
