"""``pod manifest inspect``: a list of the store, or what a registry has; docker/cli: manifest inspect."""

from __future__ import annotations

from pod.cli import output
from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine

COMMAND = Command(
    "inspect",
    "[OPTIONS] [MANIFEST_LIST] MANIFEST",
    "Display an image manifest, or manifest list",
    (
        ("insecure", "", "bool", "Allow communication with an insecure registry"),
        ("verbose", "v", "bool", "Output additional info including layers and platform"),
    ),
    min_args=1,
    max_args=2,
    path="pod manifest inspect",
)


def main(engine: Engine, options: Options) -> int:
    """Docker's JSON, with tabs."""
    import json

    from pod.core.image import manifest_list_view as view

    if len(options.args) == 2:
        shown: Any = view.entry(engine, options.args[0], options.args[1], verbose=options["verbose"])
    else:
        shown = view.named(engine, options.args[0], verbose=options["verbose"], insecure=options["insecure"])
    lines = output.harmless_json(json.dumps(shown, indent=1, ensure_ascii=False)).split("\n")
    output.line("\n".join("\t" * (len(text) - len(text.lstrip(" "))) + text.lstrip(" ") for text in lines))
    return 0
