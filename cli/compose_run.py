"""``pod compose run``: one more container of a service for one command; this process becomes its client."""

from __future__ import annotations

import os

from pod.cli import compose_project
from pod.cli.options import Command
from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.compose_hands import Hands
    from pod.cli.options import Options
    from pod.core.compose.plan import Plan
    from pod.core.compose.project import Project
    from pod.core.compose.work import Doing
    from pod.core.container.spec import Request
    from pod.core.engine import Engine

COMMAND = Command(
    "run",
    "[OPTIONS] SERVICE [COMMAND] [ARGS...]",
    "Run a one-off command on a service",
    (
        ("build", "", "bool", "Build image before starting container"),
        ("cap-add", "", "list", "Add Linux capabilities"),
        ("cap-drop", "", "list", "Drop Linux capabilities"),
        ("detach", "d", "bool", "Run container in background and print container ID"),
        compose_project.DRY_RUN,
        ("entrypoint", "", "string", "Override the entrypoint of the image"),
        ("env", "e", "stringArray", "Set environment variables"),
        ("env-from-file", "", "stringArray", "Set environment variables from file"),
        ("interactive", "i", "bool", "Keep STDIN open even if not attached", True),
        ("label", "l", "stringArray", "Add or override a label"),
        ("name", "", "string", "Assign a name to the container"),
        ("no-deps", "", "bool", "Don't start linked services"),
        ("no-tty", "T", "bool", "Disable pseudo-TTY allocation (default: there is one where the output is a terminal)"),
        ("publish", "p", "stringArray", "Publish a container's port(s) to the host"),
        ("pull", "", "string", 'Pull image before running ("always"|"missing"|"never")'),
        ("quiet", "q", "bool", "Don't print anything to STDOUT"),
        ("quiet-build", "", "bool", "Suppress progress output from the build process"),
        ("quiet-pull", "", "bool", "Pull without printing progress information"),
        ("remove-orphans", "", "bool", "Remove containers for services not defined in the Compose file"),
        ("rm", "", "bool", "Automatically remove the container when it exits"),
        ("service-ports", "P", "bool", "Run command with all service's ports enabled and mapped to the host"),
        ("tty", "t", "bool", "Allocate a pseudo-TTY", True, True),
        ("use-aliases", "", "bool", "Use the service's network aliases in the network(s) the container connects to"),
        ("user", "u", "string", "Run as specified username or uid"),
        ("volume", "v", "stringArray", "Bind mount a volume"),
        ("workdir", "w", "string", "Working directory inside the container"),
    ),
    min_args=1,
    interspersed=False,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import compose_hands, run
    from pod.core.compose.plan import Action
    from pod.core.container import lifecycle, planning

    if options["publish"] and options["service-ports"]:
        raise UsageError("--service-ports and --publish are incompatible")
    name = options.args[0]
    project = compose_project.load(engine, options, [name])
    voice = compose_hands.hands(engine, options, project)
    voice.how = "quiet" if options["quiet"] else voice.how
    with compose_project.lock(engine, project.name) as voice.lock:
        status, doing = _prepare(engine, options, project, voice)
        if status or voice.dry:
            return status
        voice.lock.take()
        container = doing.make(
            Action("create", name, name, 1, oneoff=True, aliases=options["use-aliases"]),
            options["name"] or f"{project.name}-{name}-run-{os.urandom(6).hex()}",
            adjust=lambda request: _adjust(engine, options, request),
        )
    attachment = planning.Attachment()
    attachment.detach = options["detach"]
    attachment.stdin = container.config["Config"]["OpenStdin"] and not options["detach"]
    if options["detach"]:
        attachment.printed = container.name + "\n"
    if container.config["Config"]["Tty"]:
        from pod.cli import detach_keys

        attachment.winsize = run.window_size()
        attachment.detach_keys = detach_keys.choose(engine, options)
    lifecycle.start(engine, container, attachment)


def _prepare(engine: Engine, options: Options, project: Project, voice: Hands) -> tuple[int, Doing]:
    """What it needs runs, its image, networks and volumes are there; (status, who makes the container)."""
    from pod.cli import compose_hands, compose_up
    from pod.core.compose import existing, order, plan_up, work

    name = options.args[0]
    needed = set() if options["no-deps"] else order.closure(project.services, order.needs(project.services[name]))
    doing = work.Doing(engine, project, voice)
    voice.quiet_images = options["quiet-build"]
    status = compose_up.make_images(engine, options, project, sorted({*needed, name}), voice)
    if status:
        return status, doing
    scales = {name: 0} if name not in needed else {}
    targets = compose_up.make_targets(engine, project, sorted({*needed, name}), scales, dry=voice.dry)
    doing.targets = {target.name: target for target in targets}
    choices = plan_up.Choices()
    choices.recreate = choices.recreate_deps = "never"
    choices.remove_orphans = options["remove-orphans"]
    found = existing.find(engine, project.name)
    own = [one for one in found.instances if one.service == name and not one.oneoff]
    found.instances = [one for one in found.instances if one not in own or name in needed]
    plan = plan_up.plan_up(project, targets, found, choices)
    _gates(project, name, plan, needed)
    found.instances += [one for one in own if one not in found.instances]
    doing.names = compose_up.stand_ins(project, found)
    return compose_hands.carry_out(engine, options, plan, doing, voice), doing


def _gates(project: Project, name: str, plan: Plan, needed: set[str]) -> None:
    """It begins only when what it depends on is as its conditions say."""
    from pod.core.compose import labels, order, plan_up
    from pod.core.compose.plan import Action

    for other, how in order.needs(project.services[name]).items():
        if other not in needed or how["condition"] == "service_started":
            continue
        document = project.services[other]
        names = tuple(
            labels.container_name(project.name, other, number, document.get("container_name"))
            for number in range(1, plan_up.scale_of(document) + 1)
        )
        last = [at for at, action in enumerate(plan.actions) if action.service == other]
        plan.add(Action("wait", other, other, condition=how["condition"], required=how["required"], names=names), last)


def _adjust(engine: Engine, options: Options, request: Request) -> None:
    """The command line over what the service says."""
    from pod.cli import run_ports, run_values
    from pod.core.container import changes

    terminal = os.isatty(0) and os.isatty(1)
    request.tty = bool(options["tty"] and not options["no-tty"] and terminal and not options["detach"])
    request.interactive = bool(options["interactive"] and not options["detach"])
    request.attach = (
        set() if options["detach"] else {"stdout", "stderr"} | ({"stdin"} if request.interactive else set())
    )
    request.restart = changes.parse_policy("no")
    request.auto_remove = options["rm"]
    if options.args[1:]:
        request.command = options.args[1:]
    if "entrypoint" in options.given:
        import shlex

        request.entrypoint = shlex.split(options["entrypoint"])
        request.command = options.args[1:]
    request.env += run_values.environment(options["env-from-file"], options["env"], engine.environ)
    request.labels.update(run_values.labels([], options["label"]))
    request.user = options["user"] or request.user
    if options["workdir"] and not options["workdir"].startswith("/"):
        raise UsageError(f"the working directory '{options['workdir']}' is invalid, it needs to be an absolute path")
    request.workdir = options["workdir"] or request.workdir
    request.cap_add, request.cap_drop = request.cap_add + options["cap-add"], request.cap_drop + options["cap-drop"]
    if not options["service-ports"]:
        request.ports = run_ports.published(options["publish"])
    given = run_values.volumes(options["volume"])
    taken = {spec.target for spec in given}
    request.volumes = [spec for spec in request.volumes if spec.target not in taken] + given
    if request.network.startswith("container:") and request.ports:
        raise PodError("--publish: the service shares the network of another container", hint="publish it there")
