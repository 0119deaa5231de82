"""``pod volume inspect``; docker/cli: volume inspect."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "inspect",
    "[OPTIONS] VOLUME [VOLUME...]",
    "Display detailed information on one or more volumes",
    (("format", "f", "string", "Format output: 'json', or a Go template"),),
    min_args=1,
    path="pod volume inspect",
)


def main(engine: Engine, options: Options) -> int:
    """A document for each volume that there is; then what is said of the others, and status 1."""
    from pod.cli import inspect
    from pod.core.volume import store

    return inspect.show(options.args, options["format"], lambda name: store.find(engine, name).document())
