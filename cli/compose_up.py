"""``pod compose up``: images, networks, volumes, containers; then their output until they end."""

from __future__ import annotations

import time

from pod.cli import compose_project
from pod.cli.options import Command
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.compose_hands import Hands
    from pod.cli.options import Options
    from pod.core.compose.existing import Existing
    from pod.core.compose.plan import Plan
    from pod.core.compose.plan_up import Choices, Target
    from pod.core.compose.project import Project
    from pod.core.compose.work import Doing
    from pod.core.engine import Engine

MAKING = (
    ("build", "", "bool", "Build images before starting containers"),
    ("force-recreate", "", "bool", "Recreate containers even if their configuration and image haven't changed"),
    ("no-build", "", "bool", "Don't build an image, even if it's policy"),
    ("no-recreate", "", "bool", "If containers already exist, don't recreate them"),
    ("pull", "", "string", 'Pull image before running ("always"|"missing"|"never")'),
    ("quiet-pull", "", "bool", "Pull without printing progress information"),
    ("remove-orphans", "", "bool", "Remove containers for services not defined in the Compose file"),
    ("scale", "", "stringArray", "Scale SERVICE to NUM instances. Overrides the scale setting in the file"),
    ("yes", "y", "bool", 'Assume "yes" as answer to all prompts'),
)
"""Flags that ``up`` and ``create`` share."""

COMMAND = Command(
    "up",
    "[OPTIONS] [SERVICE...]",
    "Create and start containers",
    (
        *MAKING,
        ("abort-on-container-exit", "", "bool", "Stops all containers if any container was stopped"),
        ("abort-on-container-failure", "", "bool", "Stops all containers if any container exited with failure"),
        ("always-recreate-deps", "", "bool", "Recreate dependent containers"),
        ("attach", "", "stringArray", "Restrict attaching to the specified services"),
        ("attach-dependencies", "", "bool", "Automatically attach to log output of dependent services"),
        ("detach", "d", "bool", "Detached mode: Run containers in the background"),
        compose_project.DRY_RUN,
        ("exit-code-from", "", "string", "Return the exit code of the selected service container"),
        ("menu", "", "bool", "Enable interactive shortcuts when running attached"),
        ("no-attach", "", "stringArray", "Do not attach (stream logs) to the specified services"),
        ("no-color", "", "bool", "Produce monochrome output"),
        ("no-deps", "", "bool", "Don't start linked services"),
        ("no-log-prefix", "", "bool", "Don't print prefix in logs"),
        ("no-start", "", "bool", "Don't start the services after creating them"),
        ("quiet-build", "", "bool", "Suppress the build output"),
        ("renew-anon-volumes", "V", "bool", "Recreate anonymous volumes instead of retrieving data from the previous"),
        ("timeout", "t", "int", "Use this timeout in seconds for container shutdown"),
        ("timestamps", "", "bool", "Show timestamps"),
        ("wait", "", "bool", "Wait for services to be running|healthy. Implies detached mode"),
        ("wait-timeout", "", "int", "Maximum duration in seconds to wait for the project to be running|healthy"),
        ("watch", "w", "bool", "Watch source code and rebuild/refresh containers when files are updated"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_hands

    _check(options)
    project = compose_project.load(engine, options, options.args)
    voice = compose_hands.hands(engine, options, project)
    attached = not (options["detach"] or options["wait"] or options["no-start"] or voice.dry)
    with compose_project.lock(engine, project.name) as voice.lock:
        status, doing = bring_up(engine, options, project, voice)
    if status or not attached:
        return status
    from pod.cli import compose_attached

    return compose_attached.follow(engine, options, project, doing)


def _check(options: Options) -> None:
    """UsageError in Docker's words for flags that contradict each other."""
    detached = options["detach"] or options["wait"]
    aborts = options["abort-on-container-exit"] or options["abort-on-container-failure"]
    pairs = (
        (options["build"] and options["no-build"], "--build and --no-build are incompatible"),
        (
            detached and (aborts or options["attach"] or options["attach-dependencies"]),
            "--detach cannot be combined with --abort-on-container-exit, --abort-on-container-failure, --attach or "
            "--attach-dependencies",
        ),
        (detached and options["exit-code-from"], "--exit-code-from cannot be combined with --detach"),
        (
            options["force-recreate"] and options["no-recreate"],
            "--force-recreate and --no-recreate are incompatible",
        ),
        (
            options["always-recreate-deps"] and options["no-recreate"],
            "--always-recreate-deps and --no-recreate are incompatible",
        ),
        (options["no-start"] and options["wait"], "--no-start and --wait are incompatible"),
        (options["watch"] and (detached or options["no-start"]), "--watch cannot be combined with --detach"),
    )
    for wrong, words in pairs:
        if wrong:
            raise UsageError(words, hint="leave one of them out")
    if options["menu"]:
        raise UsageError("--menu: there are no shortcuts in pod", hint="leave it out; --watch works")


def bring_up(engine: Engine, options: Options, project: Project, voice: Hands) -> tuple[int, Doing]:
    """Images and containers; (status, who did it). The caller holds the project's lock."""
    from pod.cli import compose_hands
    from pod.core import host
    from pod.core.compose import existing, order, plan_up, work

    host.require_userns(engine)
    scales = _scales(options, project)
    names = set(options.args or project.services)
    if not options.values.get("no-deps"):
        names = order.closure(project.services, names)
    order.sort(project.services)  # a cycle is told before anything is done
    doing = work.Doing(engine, project, voice)
    voice.quiet_images = options.values.get("quiet-build", False)
    status = make_images(engine, options, project, sorted(names), voice)
    if status:
        return status, doing
    targets = make_targets(engine, project, sorted(names), scales, dry=voice.dry)
    doing.targets = {target.name: target for target in targets}
    choices = _choices(engine, options, project)
    found = existing.find(engine, project.name)
    plan = plan_up.plan_up(project, targets, found, choices)
    doing.names = stand_ins(project, found)
    warn_once(project, targets, plan)
    seconds = options.values.get("wait-timeout") or 0
    deadline = time.monotonic() + seconds if seconds else None
    return compose_hands.carry_out(engine, options, plan, doing, voice, deadline), doing


def make_images(engine: Engine, options: Options, project: Project, names: list[str], voice: Hands) -> int:
    """Pulls and builds what is missing, or what the flags ask for."""
    from pod.cli import compose_hands
    from pod.core.compose import bundle, images, work

    plan = images.plan_images(
        project,
        names,
        lambda name: image_age(engine, name),
        build=options.values.get("build", False),
        no_build=options.values.get("no-build", False),
        pull=options.values.get("pull", ""),
        bundled=bundle.images(project.files),
    )
    return compose_hands.carry_out(engine, options, plan, work.Doing(engine, project, voice), voice)


def image_age(engine: Engine, name: str) -> float | None:
    """Seconds since the image was stored; None where there is none of that name."""
    import os

    from pod.core.errors import NoSuchImage
    from pod.core.image import store

    try:
        image = store.resolve(engine, name)
    except NoSuchImage:
        return None
    try:
        return time.time() - os.stat(engine.paths.image(image.id)).st_mtime
    except FileNotFoundError:
        return None


def make_targets(
    engine: Engine, project: Project, names: list[str], scales: dict[str, int], *, dry: bool = False
) -> list[Target]:
    """What each service is to be; the images are there, but in a rehearsal."""
    from pod.core.compose import hashing, labels, plan_up, service, staging
    from pod.core.errors import NoSuchImage
    from pod.core.image import store

    found = []
    for name in names:
        document = project.services[name]
        target = plan_up.Target(name, document, scales.get(name, plan_up.scale_of(document)))
        target.digest = hashing.service_hash(project, name)
        target.staged = staging.digest(staging.files(project, name))
        target.networks = tuple(key for key, _ in service.networks_of(project, document))
        try:
            target.image = store.resolve(engine, labels.image_name(project.name, name, document)).id
        except NoSuchImage:
            if not dry:
                raise
        found.append(target)
    return found


def stand_ins(project: Project, found: Existing) -> dict[str, str]:
    """By service the container that ``service:X`` and links mean: its first."""
    from pod.core.compose import labels

    names = {}
    for name, document in project.services.items():
        there = found.of(name)
        number = there[0].number if there else 1
        names[name] = labels.container_name(project.name, name, number, document.get("container_name"))
    return names


def _choices(engine: Engine, options: Options, project: Project) -> Choices:
    from pod.core.compose.plan_up import Choices

    choices = Choices()
    choices.selected = set(options.args or project.services)
    if options["force-recreate"]:
        choices.recreate = "force"
    elif options["no-recreate"]:
        choices.recreate = choices.recreate_deps = "never"
    if options.values.get("always-recreate-deps"):
        choices.recreate_deps = "force"
    asked = options["remove-orphans"] if "remove-orphans" in options.given else None
    choices.remove_orphans = _truth(engine, "COMPOSE_REMOVE_ORPHANS") if asked is None else asked
    choices.ignore_orphans = _truth(engine, "COMPOSE_IGNORE_ORPHANS")
    choices.renew = options.values.get("renew-anon-volumes", False)
    choices.start = not options.values.get("no-start", False)
    choices.timeout = compose_project.timeout(options) if "timeout" in options.values else None
    choices.wait = options.values.get("wait", False)
    return choices


def _truth(engine: Engine, name: str) -> bool:
    return engine.environ.get(name, "").lower() in ("1", "true", "t", "yes", "y", "on")


def _scales(options: Options, project: Project) -> dict[str, int]:
    """--scale SERVICE=NUM."""
    found = {}
    for text in options.values.get("scale") or []:
        name, equals, number = text.partition("=")
        if not equals or not (number.isascii() and number.isdigit() and len(number) < 6):
            raise UsageError(f"invalid --scale option {text!r}. Should be SERVICE=NUM")
        if name not in project.services:
            raise UsageError(f"no such service: {name}", hint="--scale is of services of the file")
        found[name] = int(number)
    return found


def warn_once(project: Project, targets: list[Target], plan: Plan) -> None:
    """One line for each key that changes nothing here, with the services that have it."""
    for key, test, words in _IDLE:
        having = [target.name for target in targets if test(target.service)]
        if having:
            plan.warnings.append(f"{key} ({', '.join(having)}): {words}")


def _deploy(key: str, *rest: str):  # type: ignore[no-untyped-def]
    def test(service: dict[str, object]) -> bool:
        found: object = service.get("deploy")
        for name in (key, *rest):
            found = found.get(name) if isinstance(found, dict) else None
        return bool(found)

    return test


_IDLE = (
    ("deploy.placement", _deploy("placement"), "there is one machine: it is not looked at"),
    ("deploy.endpoint_mode", _deploy("endpoint_mode"), "the name of a service leads to all its containers (dnsrr)"),
    (
        "deploy.update_config.failure_action",
        lambda service: (
            (((service.get("deploy") or {}).get("update_config") or {}).get("failure_action") or "pause") != "pause"
        ),
        "an update that fails stops there, and what runs goes on running",
    ),
    (
        "deploy.update_config.order",
        lambda service: ((service.get("deploy") or {}).get("update_config") or {}).get("order") == "start-first",
        "a new container starts when the old one has ended, for both would want its ports",
    ),
    (
        "deploy.update_config.monitor",
        _deploy("update_config", "monitor"),
        "depends_on and health checks tell what works",
    ),
    ("deploy.labels", _deploy("labels"), "these are of a swarm's service; 'labels' are of its containers"),
    (
        "deploy.resources.reservations",
        lambda service: bool(
            {"cpus", "generic_resources"}.intersection(
                ((service.get("deploy") or {}).get("resources") or {}).get("reservations") or {}
            )
        ),
        "nothing schedules by processors or generic resources; memory and devices count",
    ),
    ("deploy.rollback_config", _deploy("rollback_config"), "nothing is rolled back: 'up' with the former file does it"),
)
"""(key, whether a service has it, why it changes nothing)."""
