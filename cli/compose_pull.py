"""``pod compose pull``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "pull",
    "[OPTIONS] [SERVICE...]",
    "Pull service images",
    (
        compose_project.DRY_RUN,
        ("ignore-buildable", "", "bool", "Ignore images that can be built"),
        ("ignore-pull-failures", "", "bool", "Pull what it can and ignores images with pull failures"),
        ("include-deps", "", "bool", "Also pull services declared as dependencies"),
        ("policy", "", "string", 'Apply pull policy ("missing"|"always")'),
        ("quiet", "q", "bool", "Pull without printing progress information"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_hands, compose_up
    from pod.core.compose import bundle, labels, order, work
    from pod.core.compose.plan import Action, Plan

    if options["policy"] not in ("", "missing", "always"):
        raise UsageError(f"invalid --policy {options['policy']!r}", hint="missing or always")
    project = compose_project.load(engine, options, options.args)
    names = set(options.args or project.services)
    if options["include-deps"]:
        names = order.closure(project.services, names)
    plan, seen, bundled = Plan(), set(), bundle.images(project.files)
    for name in sorted(names):
        service = project.services[name]
        image = labels.image_name(project.name, name, service)
        buildable = service.get("build") is not None
        if image in seen or not service.get("image") or (buildable and options["ignore-buildable"]):
            continue
        if service.get("pull_policy") in ("never", "build"):
            continue
        policy = options["policy"] or ("missing" if service.get("pull_policy") in ("missing", "if_not_present") else "")
        if policy == "missing" and compose_up.image_age(engine, image) is not None:
            continue
        seen.add(image)
        if image in bundled:
            plan.add(Action("load", image, name, bundle=bundled[image]))
            continue
        plan.add(Action("pull", image, name, platform=service.get("platform") or ""))
    voice = compose_hands.hands(engine, options, project)
    voice.how = "quiet" if options["quiet"] else voice.how
    status = compose_hands.carry_out(engine, options, plan, work.Doing(engine, project, voice), voice)
    return 0 if options["ignore-pull-failures"] else status
