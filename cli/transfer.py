"""What ``pull`` and ``push`` do with NAME and their flags."""

from __future__ import annotations

from pod.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine
    from pod.core.oci.reference import Reference


def asked(engine: Engine, options: Options) -> Reference:
    """The name that was given; with -q nothing is said of the way, else of the tag that stands for none."""
    from pod.core import engine as carrier
    from pod.core.oci import reference as references

    reference = references.parse(options.args[0])
    if options["quiet"]:
        engine.progress = carrier.ignore_progress
    elif not reference.tag and not reference.digest and not options["all-tags"]:
        output.line("Using default tag: latest")
    return reference


def tell(options: Options, reference: Reference) -> None:
    """The canonical name, as Docker prints it in the end."""
    shown = reference if options["all-tags"] else reference.with_default_tag()
    output.line(shown.canonical())
