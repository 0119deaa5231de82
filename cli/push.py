"""``pod push``: an image to its registry; docker/cli: image push."""

from __future__ import annotations

from pod.cli import transfer
from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command(
    "push",
    "[OPTIONS] NAME[:TAG]",
    "Upload an image to a registry",
    (
        ("all-tags", "a", "bool", "Push all tags of an image to the repository"),
        ("platform", "", "string", "Push a platform-specific manifest as a single-platform image to the registry"),
        ("quiet", "q", "bool", "Suppress verbose output"),
        ("disable-content-trust", "", "bool", "Skip image signing", True, True),
    ),
    min_args=1,
    max_args=1,
    aliases=("pod image push", "pod push"),
)


def main(engine: Engine, options: Options) -> int:
    """Pushes; with -q prints the canonical name as Docker does."""
    from pod.core.image import push

    reference = transfer.asked(engine, options)
    push.push(engine, options.args[0], platform=options["platform"] or None, all_tags=options["all-tags"])
    if options["quiet"]:
        transfer.tell(options, reference)
    return 0
