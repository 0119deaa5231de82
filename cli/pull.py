"""``pod pull``: an image from its registry; docker/cli: image pull."""

from __future__ import annotations

from pod.cli import transfer
from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command(
    "pull",
    "[OPTIONS] NAME[:TAG|@DIGEST]",
    "Download an image from a registry",
    (
        ("all-tags", "a", "bool", "Download all tagged images in the repository"),
        ("platform", "", "string", "Take the image for this platform, as os/arch[/variant]"),
        ("policy", "", "string", 'Ask the registry "always", "missing" (only for what is not here), "never"', "always"),
        ("quiet", "q", "bool", "Print the name only"),
        ("disable-content-trust", "", "bool", "Skip image verification", True, True),
    ),
    min_args=1,
    max_args=1,
    aliases=("pod image pull", "pod pull"),
)


def main(engine: Engine, options: Options) -> int:
    """Pulls, then prints the canonical name as Docker does."""
    from pod.core.image import pull

    reference = transfer.asked(engine, options)
    policy = options["policy"] or "always"
    name, platform = options.args[0], options["platform"] or None
    pull.pull(engine, name, platform=platform, all_tags=options["all-tags"], policy=policy)
    transfer.tell(options, reference)
    return 0
