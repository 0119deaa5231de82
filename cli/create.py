"""``pod create``: a container that is started later."""

from __future__ import annotations

from pod.cli import run_flags
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "create",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    run_flags.CREATE,
    min_args=1,
    interspersed=False,
    aliases=("pod container create", "pod create"),
    spellings=run_flags.SPELLINGS,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output, run

    container = run.create_container(engine, options)
    output.line(container.id)
    return 0
