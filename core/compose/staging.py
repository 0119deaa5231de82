"""Secrets and configs of a service: files of the host are bound as they are, what is no file is put into one.

Such a file lies in the store, compose/PROJECT/DIGEST, of the digest of its bytes and mode: what a container has bound
stays as it is until ``down``. One that asks for an owner is packed into the container before its first start.
"""

from __future__ import annotations

import os

from pod.core.errors import NotFound, PodError, UsageError
from pod.core.volume.syntax import VolumeSpec, check_target, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.compose.project import Project
    from pod.core.container.model import Container
    from pod.core.engine import Engine

MOST_BYTES = 1 << 20
"""Of one secret or config that is no bind of a file."""
LONGEST_TARGET = 100
_DEFAULT_MODE = 0o444


class File:
    """One secret or config of a service. ``source`` is a file of the host to bind, else ``data`` are its bytes."""

    __slots__ = ("data", "gid", "mode", "source", "target", "uid")

    def __init__(self, target: str) -> None:
        self.target = target
        self.source = ""
        self.data = b""
        self.uid = self.gid = 0
        self.mode = _DEFAULT_MODE


def files(project: Project, name: str) -> list[File]:
    """What the service has of both kinds. PodError names the service and what is wrong."""
    service = project.services[name]
    found = []
    for kind, folder in (("secrets", "/run/secrets/"), ("configs", "/")):
        for entry in service.get(kind) or []:
            try:
                found.append(_file(project, kind, entry, folder))
            except PodError as error:
                raise type(error)(f"service {name}: {error.message}", hint=error.hint) from None
    return found


def _file(project: Project, kind: str, entry: Mapping[str, Any], folder: str) -> File:
    key = str(entry.get("source", ""))
    one, document = kind[:-1], getattr(project, kind).get(key)
    if document is None:
        raise UsageError(f'refers to undefined {one} "{key}"', hint=f"declare it below {kind}: of the file")
    if document.get("external"):
        raise UsageError(
            f"unsupported external {one} {key}",
            hint="there is no swarm to have it: give it a file, environment or content",
        )
    found = File(_target(str(entry.get("target") or key), folder, f"{one} {key}"))
    asked = {member: entry.get(member) for member in ("uid", "gid", "mode") if entry.get(member) is not None}
    found.uid, found.gid = (
        _number(asked.get("uid"), f"{one} {key}: uid"),
        _number(asked.get("gid"), f"{one} {key}: gid"),
    )
    if "mode" in asked:
        found.mode = _mode(asked["mode"], f"{one} {key}")
    if document.get("file"):
        path = str(document["file"])
        if not os.path.lexists(path):
            raise NotFound(f"{one} {key}: no such file: {path}", hint="make it, or name another with 'file'")
        if asked:
            found.data = read(path, f"{one} {key}")
        else:
            found.source = path
    elif document.get("environment"):
        variable = str(document["environment"])
        if variable not in project.environment:
            raise UsageError(f'environment variable "{variable}" required by {one} "{key}" is not set')
        found.data = project.environment[variable].encode("utf-8", "surrogateescape")
    else:
        found.data = str(document.get("content") or "").encode("utf-8", "surrogateescape")
    return found


def _target(text: str, folder: str, what: str) -> str:
    if "\0" in text or ".." in text.split("/"):
        raise UsageError(f"{what}: invalid target: {text!r}", hint="a path in the container, without ..")
    path = clean(text if text.startswith("/") else folder + text)
    if path == "/" or len(path.encode("utf-8", "surrogateescape")) > LONGEST_TARGET:
        raise UsageError(f"{what}: invalid target: {text[:100]!r}", hint="a path in the container, not a longer one")
    check_target(path, what)
    return path


def _number(value: Any, what: str) -> int:
    text = str(value if value is not None else 0)
    if not (text.isascii() and text.isdigit() and len(text) < 11):
        raise UsageError(f"{what}: not a number: {text!r}", hint="ids of users and groups are numbers here")
    return int(text)


def _mode(value: Any, what: str) -> int:
    """A number as it is, or octal digits as the canonical form has them."""
    try:
        mode = value if isinstance(value, int) else int(str(value), 8)
    except ValueError:
        mode = -1
    if not 0 <= mode <= 0o7777:
        raise UsageError(f"{what}: invalid mode: {value!r}", hint='octal digits: mode: "0440"')
    return mode


def read(path: str, what: str) -> bytes:
    try:
        with open(path, "rb") as file:
            data = file.read(MOST_BYTES + 1)
    except OSError as error:
        raise PodError(f"{what}: {path}: {(error.strerror or 'failed').lower()}") from None
    if len(data) > MOST_BYTES:
        raise UsageError(
            f"{what}: {path}: more than {MOST_BYTES >> 20} MiB", hint="leave out uid, gid and mode: it is bound"
        )
    return data


def digest(found: list[File]) -> str:
    """Over all that is no bind; "" where there is nothing else."""
    staged = [one for one in found if not one.source]
    if not staged:
        return ""
    import hashlib

    total = hashlib.sha256()
    for one in sorted(staged, key=lambda file: file.target):
        total.update(
            f"{one.target}\0{one.uid}:{one.gid}:{one.mode:o}\0{len(one.data)}\0".encode("utf-8", "surrogateescape")
        )
        total.update(one.data)
    return total.hexdigest()


def mounts(engine: Engine, project: Project, found: list[File]) -> list[VolumeSpec]:
    """Binds of all but those with an owner, whose files are made where they are missing."""
    specs = []
    for one in found:
        if not one.source and (one.uid or one.gid):
            continue
        spec = VolumeSpec("bind", one.source or _stage(engine, project, one), one.target, "")
        spec.read_only, spec.makes_source = True, False
        spec.document = {"Type": "bind", "Source": spec.source, "Target": spec.target, "ReadOnly": True}
        specs.append(spec)
    return specs


def folder_of(engine: Engine, project: str) -> str:
    return f"{engine.paths.compose}/{project}"


def _stage(engine: Engine, project: Project, one: File) -> str:
    import hashlib

    folder = folder_of(engine, project.name)
    os.makedirs(folder, 0o700, exist_ok=True)
    path = f"{folder}/{hashlib.sha256(f'{one.mode:o} '.encode() + one.data).hexdigest()}"
    if not os.path.exists(path):
        temporary = f"{path}.{os.getpid()}.part"
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            with open(descriptor, "wb") as file:
                file.write(one.data)
                os.fchmod(file.fileno(), one.mode)
            os.rename(temporary, path)
        except BaseException:
            os.unlink(temporary)
            raise
    return path


def put(engine: Engine, container: Container, found: list[File]) -> None:
    """Those with an owner, into a container that was not started yet; once."""
    owned = [one for one in found if not one.source and (one.uid or one.gid)]
    done = container.directory + "/staged"
    if not owned or os.path.exists(done):
        return
    from pod.core.container import view
    from pod.core.runtime import launch

    covered = [mount["Destination"] for mount in container.config["Mounts"]]
    covered += list(container.config["HostConfig"]["Tmpfs"])
    for one in owned:
        if any(one.target.startswith(place.rstrip("/") + "/") for place in covered):
            raise PodError(
                f"{one.target}: a file with an owner cannot lie in a volume or tmpfs", hint="leave out uid and gid"
            )
    archive = launch.memory_file("pod-secrets", _archive(owned))
    try:
        os.lseek(archive, 0, os.SEEK_SET)
        view.use(engine, container, lambda plan, _: view.Job("unpack", plan, "/", stream=archive).result(), bare=True)
        os.close(os.open(done, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    finally:
        os.close(archive)


def _archive(owned: list[File]) -> bytes:
    from pod.core.image import archive_tar

    parts = []
    folders: dict[str, None] = {}
    for one in owned:
        names = one.target[1:].split("/")
        for depth in range(1, len(names)):
            folders["/".join(names[:depth])] = None
    parts = [archive_tar.header(name, 0, folder=True) for name in folders]
    for one in owned:
        parts += [
            archive_tar.header(one.target[1:], len(one.data), mode=one.mode, ids=(one.uid, one.gid)),
            one.data,
            archive_tar.padding(len(one.data)),
        ]
    return b"".join(parts) + bytes(1024)


def forget(engine: Engine, project: str) -> None:
    """``down``: nothing of the project is bound any more."""
    from pod.core import storedir
    from pod.core.image import trash

    if storedir.into_trash(engine.paths, folder_of(engine, project)):
        trash.empty_later(engine)
