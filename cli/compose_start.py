"""``pod compose start``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "start",
    "[OPTIONS] [SERVICE...]",
    "Start services",
    (
        compose_project.DRY_RUN,
        ("wait", "", "bool", "Wait for services to be running|healthy. Implies detached mode"),
        ("wait-timeout", "", "int", "Maximum duration in seconds to wait for the project to be running|healthy"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    import time

    from pod.cli import compose_hands
    from pod.core.compose import existing, order, plan_down, work
    from pod.core.compose.plan import Action
    from pod.core.errors import PodError

    name, project = compose_project.load_or_name(engine, options, options.args)
    with compose_project.lock(engine, name) as lock:
        found = existing.find(engine, name)
        services = compose_project.services_of(found, project)
        wanted = order.closure(services, options.args or services)
        for one in options.args or sorted(wanted):
            if not found.of(one):
                raise PodError(f'service "{one}" has no container to start', hint="'pod compose up' makes it")
        plan = plan_down.plan_start(services, found, wanted)
        if options["wait"]:
            for one in sorted(wanted):
                names = tuple(instance.name for instance in found.of(one))
                last = [at for at, action in enumerate(plan.actions) if action.service == one]
                plan.add(Action("wait", one, one, condition="running_or_healthy", required=True, names=names), last)
        voice = compose_hands.hands(engine, options, project)
        voice.lock = lock
        deadline = time.monotonic() + options["wait-timeout"] if options["wait-timeout"] else None
        return compose_hands.carry_out(engine, options, plan, work.Doing(engine, project, voice), voice, deadline)
