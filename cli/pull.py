"""``pod pull``: an image from its registry; docker/cli: image pull."""

from __future__ import annotations

from pod.cli import output
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
    from pod.core import engine as carrier
    from pod.core.image import pull
    from pod.core.oci import reference as references

    name = options.args[0]
    reference = references.parse(name)
    if options["quiet"]:
        engine.progress = carrier.ignore_progress
    elif not reference.tag and not reference.digest and not options["all-tags"]:
        output.line("Using default tag: latest")
    policy = options["policy"] or "always"
    pull.pull(engine, name, platform=options["platform"] or None, all_tags=options["all-tags"], policy=policy)
    shown = reference if options["all-tags"] else reference.with_default_tag()
    output.line(shown.canonical())
    return 0
