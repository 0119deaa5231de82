"""``pod compose create``."""

from __future__ import annotations

from pod.cli import compose_project, compose_up
from pod.cli.options import Command
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "create",
    "[OPTIONS] [SERVICE...]",
    "Creates containers for a service",
    (*compose_up.MAKING, compose_project.DRY_RUN),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_hands

    if options["build"] and options["no-build"]:
        raise UsageError("--build and --no-build are incompatible")
    if options["force-recreate"] and options["no-recreate"]:
        raise UsageError("--force-recreate and --no-recreate are incompatible")
    project = compose_project.load(engine, options, options.args)
    options.values["no-start"] = True
    voice = compose_hands.hands(engine, options, project)
    with compose_project.lock(engine, project.name) as voice.lock:
        return compose_up.bring_up(engine, options, project, voice)[0]
