"""``pod compose export``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "export",
    "[OPTIONS] SERVICE",
    "Export a service container's filesystem as a tar archive",
    (
        compose_project.DRY_RUN,
        ("index", "", "int", "Index of the container if service has multiple replicas"),
        ("output", "o", "string", "Write to a file, instead of STDOUT"),
    ),
    min_args=1,
    max_args=1,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import export
    from pod.cli.options import parse
    from pod.core.compose import existing

    name, _project = compose_project.load_or_name(engine, options, options.args[:1])
    one = compose_project.one_container(existing.find(engine, name), options.args[0], options["index"])
    words = [f"--output={options['output']}"] if options["output"] else []
    return export.main(engine, parse(export.COMMAND, [*words, one.id]))
