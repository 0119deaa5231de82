"""``pod compose rm``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "rm",
    "[OPTIONS] [SERVICE...]",
    "Removes stopped service containers",
    (
        compose_project.DRY_RUN,
        ("force", "f", "bool", "Don't ask to confirm removal"),
        ("stop", "s", "bool", "Stop the containers, if required, before removing"),
        ("volumes", "v", "bool", "Remove any anonymous volumes attached to containers"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    import sys

    from pod.cli import compose_hands, output, prompt
    from pod.core.compose import existing, plan_down, work

    name, project = compose_project.load_or_name(engine, options, options.args)
    with compose_project.lock(engine, name):
        found = existing.find(engine, name)
        instances = compose_project.chosen(found, project, options.args, oneoff=True)
        instances = [one for one in instances if options["stop"] or not one.runs]
        voice = compose_hands.hands(engine, options, project)
        if not instances:
            output.line("No stopped containers", sys.stderr)
            return 0
        shown = ", ".join(one.name for one in instances)
        if not options["force"] and not voice.dry and not prompt.confirm(f"Going to remove {shown}\nAre you sure?"):
            return 0
        removal = plan_down.Removal()
        removal.anonymous = options["volumes"]
        plan = plan_down.plan_down(compose_project.services_of(found, project), instances, removal)
        return compose_hands.carry_out(engine, options, plan, work.Doing(engine, project, voice), voice)
