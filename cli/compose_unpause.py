"""``pod compose unpause``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "unpause",
    "[SERVICE...]",
    "Unpause services",
    (compose_project.DRY_RUN,),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_hands
    from pod.core.compose import existing, plan_down, work

    name, project = compose_project.load_or_name(engine, options, options.args)
    with compose_project.lock(engine, name):
        found = existing.find(engine, name)
        instances = compose_project.chosen(found, project, options.args)
        plan = plan_down.plan_each("unpause", [one for one in instances if one.status == "paused"])
        voice = compose_hands.hands(engine, options, project)
        return compose_hands.carry_out(engine, options, plan, work.Doing(engine, project, voice), voice)
