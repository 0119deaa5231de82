"""``pod compose build``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "build",
    "[OPTIONS] [SERVICE...]",
    "Build or rebuild services",
    (
        ("build-arg", "", "stringArray", "Set build-time variables for services"),
        ("builder", "", "string", "", None, True),
        compose_project.DRY_RUN,
        ("memory", "m", "bytes", "Set memory limit for the build container"),
        ("no-cache", "", "bool", "Do not use cache when building the image"),
        ("pull", "", "bool", "Always attempt to pull a newer version of the image"),
        ("push", "", "bool", "Push service images"),
        ("quiet", "q", "bool", "Suppress the build output"),
        ("ssh", "", "string", "Set SSH authentications used when building service images"),
        ("with-dependencies", "", "bool", "Also build dependencies (transitively)"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_hands
    from pod.core.compose import images, labels, order, work
    from pod.core.compose.plan import Action

    project = compose_project.load(engine, options, options.args)
    names = set(options.args or project.services)
    if options["with-dependencies"]:
        names = order.closure(project.services, names)
    buildable = sorted(name for name in names if project.services[name].get("build") is not None)
    plan = images.plan_images(project, buildable, lambda name: 0.0, build=True)
    words = [f"--build-arg={text}" for text in options["build-arg"]]
    words += [f"--{flag}" for flag in ("no-cache", "pull") if options[flag]]
    words += [f"--{flag}={options[flag]}" for flag in ("memory", "ssh", "builder") if options[flag]]
    for action in list(plan.actions):
        action.data["words"] = words
        position = plan.actions.index(action)
        if options["push"]:
            image = labels.image_name(project.name, action.service, project.services[action.service])
            plan.add(Action("push", image, action.service), [position])
    voice = compose_hands.hands(engine, options, project)
    voice.quiet_images = options["quiet"]
    return compose_hands.carry_out(engine, options, plan, work.Doing(engine, project, voice), voice)
