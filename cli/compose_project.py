"""What the commands of Compose begin with: the project of the files."""

from __future__ import annotations

import os
import sys

from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from pod.cli.options import Options
    from pod.core.compose.project import Project, Request
    from pod.core.engine import Engine

_MOST_INPUT = 16 << 20
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
            raise PodError(f"no such service: {name}", hint=f"there are {', '.join(sorted(project.services))}")
    return project
