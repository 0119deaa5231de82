"""``pod compose kill``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command
from pod.core.compose.plan import Action

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "kill",
    "[OPTIONS] [SERVICE...]",
    "Force stop service containers",
    (
        compose_project.DRY_RUN,
        ("remove-orphans", "", "bool", "Remove containers for services not defined in the Compose file"),
        ("signal", "s", "string", "SIGNAL to send to the container", "SIGKILL"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_hands
    from pod.core.compose import existing, plan_down, work
    from pod.core.runtime import defaults

    number = defaults.parse_signal(options["signal"])
    name, project = compose_project.load_or_name(engine, options, options.args)
    found = existing.find(engine, name)
    instances = [one for one in compose_project.chosen(found, project, options.args) if one.runs]
    plan = plan_down.plan_each("kill", instances, signal=number)
    if options["remove-orphans"] and project is not None:
        known = {*project.services, *project.disabled}
        for one in found.instances:
            if one.service not in known and not one.oneoff:
                plan.add(Action("remove", one.name, one.service, id=one.id))
    voice = compose_hands.hands(engine, options, project)
    return compose_hands.carry_out(engine, options, plan, work.Doing(engine, project, voice), voice)
