"""``pod compose top``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "top",
    "[SERVICES...]",
    "Display the running processes",
    (compose_project.DRY_RUN,),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.compose import existing
    from pod.core.container import lifecycle, store, top

    name, project = compose_project.load_or_name(engine, options, options.args)
    rows: list[list[str]] = []
    titles: list[str] = []
    for one in compose_project.chosen(existing.find(engine, name), project, options.args):
        if one.runs:
            titles, found = top.listing(engine, lifecycle.settle(engine, store.find(engine, one.id)), [])
            rows += [[one.service, str(one.number), *row] for row in found]
    if rows:
        output.table(["SERVICE", "#", *titles], rows)
    return 0
