"""``pod compose restart``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options
    from pod.core.compose.existing import Existing, Instance
    from pod.core.engine import Engine

COMMAND = Command(
    "restart",
    "[OPTIONS] [SERVICE...]",
    "Restart service containers",
    (
        compose_project.DRY_RUN,
        ("no-deps", "", "bool", "Don't restart dependent services"),
        ("timeout", "t", "int", "Specify a shutdown timeout in seconds"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_hands
    from pod.core.compose import existing, plan_down, work

    name, project = compose_project.load_or_name(engine, options, options.args)
    with compose_project.lock(engine, name):
        found = existing.find(engine, name)
        instances = compose_project.chosen(found, project, options.args)
        services = compose_project.services_of(found, project)
        if options.args and not options["no-deps"]:
            instances += _dependents(services, found, instances)
        plan = plan_down.plan_restart(services, instances, compose_project.timeout(options))
        voice = compose_hands.hands(engine, options, project)
        return compose_hands.carry_out(engine, options, plan, work.Doing(engine, project, voice), voice)


def _dependents(services: dict[str, Any], found: Existing, instances: list[Instance]) -> list[Instance]:
    """Those whose depends_on asks for a restart with one of them."""
    names = {one.service for one in instances}
    more: set[str] = set()
    for name, service in services.items():
        asked = service.get("depends_on") or {}
        if name not in names and any(other in names and how.get("restart") for other, how in asked.items()):
            more.add(name)
    return [one for one in found.instances if one.service in more and one.runs and not one.oneoff]
