"""Instructions that change the configuration alone, and how the history of Docker's builds words every step. Pure.

Source: docs.docker.com "Dockerfile reference"; buildkit's dockerfile2llb (the texts of the history).
"""

from __future__ import annotations

import json
import posixpath

from pod.core.builder.operations import (
    Arg,
    Cmd,
    Copy,
    Entrypoint,
    Env,
    Expose,
    Healthcheck,
    Label,
    Maintainer,
    Onbuild,
    Operation,
    Shell,
    Stopsignal,
    User,
    Volume,
    Workdir,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.builder.state import State

DEFAULT_SHELL = ["/bin/sh", "-c"]


class Progress:
    """What a stage remembers of its instructions besides the state: whether it had a CMD of its own."""

    __slots__ = ("author", "has_command")

    def __init__(self) -> None:
        self.author = ""
        self.has_command = False


def apply(state: State, operation: Operation, progress: Progress, args: dict[str, str | None]) -> None:
    """Carries ``operation`` out, whose variables are replaced, and notes it in the history."""
    config = state.config
    if isinstance(operation, Entrypoint):
        config["Entrypoint"] = _command(config, operation)
        if not progress.has_command:
            config.pop("Cmd", None)
    elif isinstance(operation, Cmd):
        config["Cmd"] = _command(config, operation)
        progress.has_command = True
    elif isinstance(operation, Maintainer):
        progress.author = state.base["author"] = operation.text
    else:
        config.update(_members(config, operation))
    state.note(words(operation, config, args), empty=True, author=progress.author)


def _members(config: dict[str, Any], operation: Operation) -> dict[str, Any]:
    """Members of the configuration that the operation gives another value."""
    if isinstance(operation, Env):
        return {"Env": with_env(config.get("Env") or [], operation.pairs)}
    if isinstance(operation, Label):
        return {"Labels": {**(config.get("Labels") or {}), **dict(operation.pairs)}}
    if isinstance(operation, Expose):
        return {"ExposedPorts": {**(config.get("ExposedPorts") or {}), **{port: {} for port in operation.ports}}}
    if isinstance(operation, Volume):
        return {"Volumes": {**(config.get("Volumes") or {}), **{path: {} for path in operation.paths}}}
    if isinstance(operation, Shell):
        return {"Shell": list(operation.argv)}
    if isinstance(operation, Healthcheck):
        return {"Healthcheck": _healthcheck(operation)}
    if isinstance(operation, Onbuild):
        return {"OnBuild": [*(config.get("OnBuild") or []), operation.text]}
    names = {User: "User", Stopsignal: "StopSignal"}
    return {name: operation.text for kind, name in names.items() if isinstance(operation, kind)}


def with_env(env: list[str], pairs: list[tuple[str, str]]) -> list[str]:
    """Later values take the place of earlier ones."""
    merged = {entry.partition("=")[0]: entry for entry in env}
    merged.update({name: f"{name}={value}" for name, value in pairs})
    return list(merged.values())


def _command(config: dict[str, Any], operation: Cmd) -> list[str]:
    if not operation.shell:
        return list(operation.argv)
    return [*(config.get("Shell") or DEFAULT_SHELL), *operation.argv]


def _healthcheck(operation: Healthcheck) -> dict[str, Any]:
    found: dict[str, Any] = {"Test": list(operation.test)}
    times = (
        ("Interval", operation.interval), ("Timeout", operation.timeout), ("StartPeriod", operation.start_period),
        ("StartInterval", operation.start_interval), ("Retries", operation.retries),
    )  # fmt: skip
    found.update({name: value for name, value in times if value})
    return found


def workdir(state: State, text: str) -> str:
    """What WORKDIR makes of the directory before, and notes in the configuration."""
    path = posixpath.normpath(posixpath.join(state.config.get("WorkingDir") or "/", text))
    path = "/" + path.lstrip("/")
    state.config["WorkingDir"] = path
    return path


# ---- the history's texts


def words(operation: Operation, config: dict[str, Any], args: dict[str, str | None]) -> str:
    """As `docker history` shows it."""
    name = operation.keyword
    if isinstance(operation, (Env, Label)):
        return f"{name} " + " ".join(f"{key}={value}" for key, value in operation.pairs)
    if isinstance(operation, Arg):
        shown = [key if args.get(key) is None else f"{key}={args[key]}" for key, _ in operation.pairs]
        return f"{name} " + " ".join(shown)
    if isinstance(operation, Entrypoint):
        return f"{name} {_quoted(config.get('Entrypoint') or [])}"
    if isinstance(operation, Cmd):
        return f"{name} {_quoted(config.get('Cmd') or [])}"
    if isinstance(operation, Shell):
        return f"{name} [{' '.join(operation.argv)}]"
    if isinstance(operation, Expose):
        return f"{name} [{' '.join(operation.ports)}]"
    if isinstance(operation, Volume):
        return f"{name} [{' '.join(operation.paths)}]"
    if isinstance(operation, (User, Stopsignal, Onbuild, Maintainer, Workdir)):
        return f"{name} {operation.text}"
    if isinstance(operation, Healthcheck):
        times = (operation.interval, operation.timeout, operation.start_period, operation.start_interval)
        shown = [f'"{seconds(one)}"' for one in times]
        return f"{name} &{{{_quoted(operation.test)} {' '.join(shown)} '\\x{operation.retries & 255:02x}'}}"
    return name


def copy_words(operation: Copy) -> str:
    """Of COPY and ADD, without the suffix."""
    parts = [operation.keyword]
    for flag, value in (("chown", operation.chown), ("chmod", operation.chmod)):
        if value:
            parts.append(f"--{flag}={value}")
    if operation.link:
        parts.append("--link")
    names = [*operation.sources, *(f"<<{heredoc.name}" for heredoc in operation.inline)]
    return " ".join([*parts, *names, operation.target])


def run_words(argv: list[str], args: dict[str, str]) -> str:
    """Of RUN, without the suffix; ARGs are counted before the command."""
    told = [f"|{len(args)}", *(f"{name}={value}" for name, value in args.items())] if args else []
    return " ".join(["RUN", *told, *argv])


def _quoted(items: list[str]) -> str:
    return "[" + " ".join(json.dumps(item, ensure_ascii=False) for item in items) + "]"


def seconds(nanoseconds: int) -> str:
    """Go's time.Duration for whole parts of time: "30s", "1m30s", "500ms"."""
    if nanoseconds == 0:
        return "0s"
    whole, rest = divmod(nanoseconds, 1_000_000_000)
    if not whole:
        return f"{nanoseconds / 1_000_000:g}ms"
    minutes, left = divmod(whole, 60)
    hours, minutes = divmod(minutes, 60)
    tail = f"{left + rest / 1e9:g}s"
    return (f"{hours}h" if hours else "") + (f"{minutes}m" if hours or minutes else "") + tail
