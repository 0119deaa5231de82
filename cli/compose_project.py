"""What the commands of Compose begin with: the project of the files, or of a name alone; the services of a call."""

from __future__ import annotations

import os
import sys

from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pod.cli.options import Options
    from pod.core.compose.existing import Existing, Instance
    from pod.core.compose.project import Project, Request
    from pod.core.engine import Engine
    from pod.core.statefile import Lock

_MOST_INPUT = 16 << 20
_SILENT = 2.0
"""Seconds that a command waits for another one without a word."""
DRY_RUN = ("dry-run", "", "bool", "Execute command in dry run mode")
"""A flag that every command has."""


def flags(options: Options) -> Options:
    """Those of the group."""
    assert options.group is not None
    return options.group


def dry_run(options: Options) -> bool:
    return bool(flags(options)["dry-run"] or options.values.get("dry-run"))


def request(engine: Engine, options: Options, services: Iterable[str] = (), **more: bool) -> Request:
    """The group's flags as what the reader of files is asked."""
    from pod.core.compose.project import Request

    group = flags(options)
    try:
        cwd = os.getcwd()
    except FileNotFoundError:
        raise PodError("the working directory was removed", hint="change to another one") from None
    data = None
    if "-" in group["file"]:
        data = sys.stdin.buffer.read(_MOST_INPUT + 1)
        if len(data) > _MOST_INPUT:
            raise UsageError(f"-f -: more than {_MOST_INPUT >> 20} MiB on standard input")
    return Request(
        environ=engine.environ,
        cwd=cwd,
        files=group["file"],
        project_name=group["project-name"] or None,
        project_directory=group["project-directory"] or None,
        env_files=group["env-file"],
        profiles=group["profile"],
        services=list(services),
        stdin=data,
        **more,
    )


def load(engine: Engine, options: Options, services: Iterable[str] = ()) -> Project:
    """The project of the files; its warnings are told. UsageError for a service that it does not have."""
    from pod.cli import output
    from pod.core.compose import load as reader

    wanted = list(services)
    project = reader.load(request(engine, options, wanted))
    for text in project.warnings:
        output.warning(text)
    for name in wanted:
        if name not in project.services:
            raise PodError(
                f"no such service: {name}", hint=f"there are {', '.join(sorted(project.services)) or 'none'}"
            )
    return project


def load_or_name(engine: Engine, options: Options, services: Iterable[str] = ()) -> tuple[str, Project | None]:
    """(the project's name, the project); as Docker does, with -p and without -f the files are not read."""
    group = flags(options)
    if group["project-name"] and not group["file"] and not engine.environ.get("COMPOSE_FILE"):
        return check_name(group["project-name"]), None
    project = load(engine, options, services)
    return project.name, project


def check_name(name: str) -> str:
    """UsageError in Docker's words for what no project can be called."""
    good = frozenset("abcdefghijklmnopqrstuvwxyz0123456789_-")
    if name[:1] in "_-" or not good.issuperset(name):
        raise UsageError(
            f'invalid project name "{name}": must consist only of lowercase alphanumeric characters, hyphens, and '
            "underscores as well as start with a letter or number"
        )
    return name


class ProjectLock:
    """Held by who changes a project: of two, one waits, and says so. While who has it does nothing but wait for a
    condition it is let go, so that 'down' ends an 'up' that would wait for long.
    """

    def __init__(self, engine: Engine, name: str) -> None:
        self._path = f"{engine.run_dir}/locks/compose-{name}"
        self._name = name
        self._held: Lock | None = None

    def __enter__(self) -> ProjectLock:
        self.take()
        return self

    def __exit__(self, *_: object) -> None:
        self.let_go()

    def take(self) -> None:
        """Where it was let go."""
        if self._held is not None:
            return
        from pod.cli import output
        from pod.core import statefile
        from pod.core.errors import Busy

        try:
            self._held = statefile.Lock(self._path, timeout=_SILENT).__enter__()
        except Busy:
            output.warning(f'another command is at work on project "{self._name}": waiting until it is done')
            self._held = statefile.Lock(self._path, timeout=None).__enter__()

    def let_go(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.__exit__()


def lock(engine: Engine, name: str) -> ProjectLock:
    """Of the project of that name."""
    return ProjectLock(engine, name)


def chosen(
    found: Existing, project: Project | None, services: list[str], *, oneoff: bool = False, orphans: bool = True
) -> list[Instance]:
    """The containers of those services, or of all; PodError for a service that neither the files nor the store have."""
    instances = [one for one in found.instances if oneoff or not one.oneoff]
    if not orphans and project is not None:
        known = {*project.services, *project.disabled}
        instances = [one for one in instances if one.service in known]
    if not services:
        return _sorted(instances)
    there = {one.service for one in instances} | set(project.services if project is not None else ())
    for name in services:
        if name not in there:
            raise PodError(f"no such service: {name}", hint=f"there are {', '.join(sorted(there)) or 'none'}")
    return _sorted([one for one in instances if one.service in services])


def _sorted(instances: list[Instance]) -> list[Instance]:
    return sorted(instances, key=lambda one: (one.service, one.number, one.created))


def one_container(found: Existing, name: str, index: int) -> Instance:
    """The container ``index`` of a service; without one the first that runs, or any. PodError in Docker's words."""
    instances = found.of(name)
    if index:
        instances = [one for one in instances if one.number == index]
        if not instances:
            raise PodError(f'service "{name}" is not running container #{index}', hint="'pod compose ps -a' lists them")
    if not instances:
        raise PodError(f'service "{name}" is not running', hint="'pod compose ps -a' lists what is there")
    return next((one for one in instances if one.runs), instances[0])


def services_of(found: Existing, project: Project | None) -> dict[str, dict[str, object]]:
    """The services by whose needs the order goes: the files', else what labels tell."""
    from pod.core.compose import existing

    return dict(project.services) if project is not None else existing.services_of(found.instances)


def timeout(options: Options) -> int | None:
    """-t; None where it was not given."""
    return int(options["timeout"]) if "timeout" in options.given else None
