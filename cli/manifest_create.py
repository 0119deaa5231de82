"""``pod manifest create``: a list of manifests of a registry; docker/cli: manifest create."""

from __future__ import annotations

from pod.cli import output
from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command(
    "create",
    "MANIFEST_LIST MANIFEST [MANIFEST...]",
    "Create a local manifest list for annotating and pushing to a registry",
    (
        ("amend", "a", "bool", "Amend an existing manifest list"),
        ("insecure", "", "bool", "Allow communication with an insecure registry"),
    ),
    min_args=2,
    path="pod manifest create",
)


def main(engine: Engine, options: Options) -> int:
    """Prints the list's canonical name."""
    from pod.core.image import layout, manifest_list

    layout.prepare(engine)
    made = manifest_list.create(
        engine, options.args[0], options.args[1:], amend=options["amend"], insecure=options["insecure"]
    )
    output.line(f"Created manifest list {made.canonical()}")
    return 0
