"""``pod compose down``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.compose.existing import Existing, Instance
    from pod.core.compose.plan_down import Removal
    from pod.core.compose.project import Project
    from pod.core.engine import Engine

COMMAND = Command(
    "down",
    "[OPTIONS] [SERVICES]",
    "Stop and remove containers, networks",
    (
        compose_project.DRY_RUN,
        ("remove-orphans", "", "bool", "Remove containers for services not defined in the Compose file"),
        (
            "rmi",
            "",
            "string",
            'Remove images used by services. "local" removes those without a custom tag ("local"|"all")',
        ),
        ("timeout", "t", "int", "Specify a shutdown timeout in seconds"),
        ("volumes", "v", "bool", "Remove named volumes declared in the file, and anonymous ones of containers"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    if options["rmi"] not in ("", "all", "local"):
        raise UsageError(f"invalid value for --rmi: {options['rmi']!r}", hint="all or local")
    name, project = compose_project.load_or_name(engine, options, options.args)
    with compose_project.lock(engine, name):
        return take_down(engine, options, name, project)


def take_down(engine: Engine, options: Options, name: str, project: Project | None) -> int:
    """The caller holds the project's lock."""
    from pod.cli import compose_hands, output
    from pod.core.compose import existing, plan_down, resources, staging, work

    found = existing.find(engine, name)
    instances = _instances(engine, options, found, project)
    removal = plan_down.Removal()
    removal.timeout = compose_project.timeout(options)
    removal.anonymous = options["volumes"]
    if not options.args:
        _resources(options, found, project, removal)
    services = compose_project.services_of(found, project)
    plan = plan_down.plan_down(services, instances, removal)
    voice = compose_hands.hands(engine, options, project)
    if not plan.actions and voice.how != "quiet":
        output.warning(f"No resource found to remove for project {name!r}.".replace("'", '"'))
    status = compose_hands.carry_out(engine, options, plan, work.Doing(engine, project, voice), voice)
    if not status and not voice.dry and not options.args:
        staging.forget(engine, name)
        if options["volumes"]:
            resources.sweep_volumes(engine, name)
    return status


def _instances(engine: Engine, options: Options, found: Existing, project: Project | None) -> list[Instance]:
    every = options["remove-orphans"] or project is None
    if options.args:
        return compose_project.chosen(found, project, options.args, oneoff=True)
    return compose_project.chosen(found, project, [], oneoff=True, orphans=every)


def _resources(options: Options, found: Existing, project: Project | None, removal: Removal) -> None:
    """Networks always, volumes with -v, images with --rmi: what carries the project's label."""
    removal.networks = sorted(found.networks.values())
    if options["volumes"]:
        removal.volumes = sorted(found.volumes.values())
    if options["rmi"] and project is not None:
        from pod.core.compose import labels

        every = options["rmi"] == "all"
        services = project.services.items()
        removal.images = sorted(
            {labels.image_name(project.name, name, one) for name, one in services if every or not one.get("image")}
        )
