"""``pod compose wait``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "wait",
    "SERVICE [SERVICE...] [OPTIONS]",
    "Block until containers of all (or specified) services stop.",
    (
        ("down-project", "", "bool", "Drops project when the first container stops"),
        compose_project.DRY_RUN,
    ),
    min_args=1,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_down, output
    from pod.core.compose import existing
    from pod.core.container import store, waiting
    from pod.core.errors import PodError

    name, project = compose_project.load_or_name(engine, options, options.args)
    found = compose_project.chosen(existing.find(engine, name), project, options.args)
    if not found:
        raise PodError(f'no containers for project "{name}"', hint="'pod compose ps -a' lists them")
    watched = [(one, waiting.Watch(engine, store.find(engine, one.id))) for one in found]
    status = 0
    if options["down-project"]:
        first, code = _first(engine, [one.id for one, _ in watched])
        output.line(f'container "{first}" exited with status code {code}')
        for flag, value in (("remove-orphans", False), ("rmi", ""), ("timeout", 0), ("volumes", False)):
            options.values[flag] = value
        options.args = []
        with compose_project.lock(engine, name):
            compose_down.take_down(engine, options, name, project)
        return code
    for one, watch in watched:
        status = watch.code()
        output.line(f'container "{one.name}" exited with status code {status}')
    return status


def _first(engine: Engine, ids: list[str]) -> tuple[str, int]:
    """(name, exit code) of the container that ends first."""
    import time

    from pod.core.container import lifecycle, model

    while True:
        for one in ids:
            try:
                now = lifecycle.settle(engine, model.read(engine, one))
            except FileNotFoundError:
                return one[:12], 0
            if not now.is_running:
                return now.name, now.exit_code
        time.sleep(0.05)
