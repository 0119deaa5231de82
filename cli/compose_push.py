"""``pod compose push``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "push",
    "[OPTIONS] [SERVICE...]",
    "Push service images",
    (
        compose_project.DRY_RUN,
        ("ignore-push-failures", "", "bool", "Push what it can and ignores images with push failures"),
        ("include-deps", "", "bool", "Also push images of services declared as dependencies"),
        ("quiet", "q", "bool", "Push without printing progress information"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_hands
    from pod.core.compose import order, work
    from pod.core.compose.plan import Action, Plan

    project = compose_project.load(engine, options, options.args)
    names = set(options.args or project.services)
    if options["include-deps"]:
        names = order.closure(project.services, names)
    plan = Plan()
    for name in sorted(names):
        service = project.services[name]
        if service.get("build") is not None and service.get("image"):
            plan.add(Action("push", service["image"], name))
    voice = compose_hands.hands(engine, options, project)
    voice.how = "quiet" if options["quiet"] else voice.how
    status = compose_hands.carry_out(engine, options, plan, work.Doing(engine, project, voice), voice)
    return 0 if options["ignore-push-failures"] else status
