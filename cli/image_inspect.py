"""``pod image inspect``: everything about images; docker/cli: image inspect."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "inspect",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Display detailed information on one or more images",
    (
        ("format", "f", "string", "Format output: 'json', or a Go template"),
        ("platform", "", "string", "The image must be for this platform, as os[/arch[/variant]]"),
    ),
    min_args=1,
    path="pod image inspect",
)


def main(engine: Engine, options: Options) -> int:
    """A document for each image that there is; then what is said of the others, and status 1."""
    from pod.cli import inspect
    from pod.core.image import inspect as image_inspect
    from pod.core.image import variant

    platforms = [options["platform"]] if options["platform"] else []

    def look_up(name: str) -> dict[str, Any]:
        return image_inspect.document(engine, variant.resolve(engine, name, platforms))

    return inspect.show(options.args, options["format"], look_up)
