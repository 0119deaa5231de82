"""``pod diff``."""

from __future__ import annotations

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "diff",
    "CONTAINER",
    "Inspect changes to files or directories on a container's filesystem",
    (),
    min_args=1,
    max_args=1,
    aliases=("pod container diff", "pod diff"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import harmless, output
    from pod.core.container import diff, lifecycle, store

    container = lifecycle.settle(engine, store.find(engine, options.args[0]))
    diff.changes(engine, container, lambda kind, path: output.line(f"{kind} {harmless.for_reader(path)}"))
    return 0
