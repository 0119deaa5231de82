"""``pod volume create``; docker/cli: volume create."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "create",
    "[OPTIONS] [VOLUME]",
    "Create a volume",
    (
        ("driver", "d", "string", "Specify volume driver name", "local"),
        ("label", "", "list", "Set metadata for a volume"),
        ("opt", "o", "map", "Set driver specific options: type, device, o"),
    ),
    max_args=1,
    path="pod volume create",
)


def main(engine: Engine, options: Options) -> int:
    """Prints the name; of a volume that is there already, too, if its options are the same."""
    from pod.cli import output, run_values
    from pod.core.volume import store

    store.check_driver(options["driver"])
    name = options.args[0] if options.args else ""
    if options.args:
        store.check_name(name)
    labels = run_values.labels([], options["label"])
    output.line(store.create(engine, name, options=options["opt"], labels=labels).name)
    return 0
