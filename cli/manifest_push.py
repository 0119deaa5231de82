"""``pod manifest push``: a list to its repository; docker/cli: manifest push."""

from __future__ import annotations

from pod.cli import output
from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

COMMAND = Command(
    "push",
    "[OPTIONS] MANIFEST_LIST",
    "Push a manifest list to a repository",
    (
        ("insecure", "", "bool", "Allow push to an insecure registry"),
        ("purge", "p", "bool", "Remove the local manifest list after push"),
    ),
    min_args=1,
    max_args=1,
    path="pod manifest push",
)


def main(engine: Engine, options: Options) -> int:
    """Prints a line for each manifest, and the list's digest last."""
    from pod.core.image import manifest_list_push

    digest = manifest_list_push.push(
        engine, options.args[0], purge=options["purge"], insecure=options["insecure"], told=output.line
    )
    output.line(digest)
    return 0
