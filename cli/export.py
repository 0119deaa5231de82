"""``pod export``."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "export",
    "[OPTIONS] CONTAINER",
    "Export a container's filesystem as a tar archive",
    (("output", "o", "string", "Write to a file, instead of STDOUT"),),
    min_args=1,
    max_args=1,
    aliases=("pod container export", "pod export"),
)


_FAILED = "failed to export container"


def main(engine: Engine, options: Options) -> int:
    from pod.cli import archive_output
    from pod.core.container import export, store

    archive_output.check(options["output"], _FAILED)
    container = store.find(engine, options.args[0])
    with archive_output.file(options["output"], _FAILED) as descriptor:
        export.export(engine, container, descriptor)
    return 0
