"""``pod network inspect``; docker/cli: network inspect."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "inspect",
    "[OPTIONS] NETWORK [NETWORK...]",
    "Display detailed information on one or more networks",
    (
        ("format", "f", "string", "Format output: 'json', or a Go template"),
        ("verbose", "v", "bool", "Verbose output for diagnostics: what the network process has of it"),
    ),
    min_args=1,
    path="pod network inspect",
)


def main(engine: Engine, options: Options) -> int:
    """A document for each network that there is; then what is said of the others, and status 1."""
    from pod.cli import inspect
    from pod.core.container import networks

    verbose = options["verbose"]
    return inspect.show(
        options.args, options["format"], lambda name: networks.document(engine, name, verbose=verbose)
    )
