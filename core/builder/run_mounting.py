"""RUN --mount: what each becomes in the container of the step, what of it a cache key has, what is left afterwards.

    bind      the folder itself where it can only be read and nothing in it is ignored, else a copy that is thrown away;
              of a stage or an image its layers
    cache     <store>/builder/mounts/<key>/_data, like a volume: kept from build to build, in no layer; begins empty or
              as what ``from`` names
    secret    a file in memory that ends with the step    ssh    the socket of the caller's agent
    tmpfs     memory
"""

from __future__ import annotations

import contextlib
import os
import posixpath
import stat

from pod.core import statefile, storedir
from pod.core.builder import certificates, copy_step, copying, origins, state, working
from pod.core.builder.copying import CopyWishes
from pod.core.container import secret_files
from pod.core.errors import PodError
from pod.core.oci import digest as digests
from pod.core.runtime import userns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.builder.operations import Run, RunMount
    from pod.core.builder.stage_run import StageRun
    from pod.core.builder.working import Working

_SECRET_MAX = 512000
"""Bytes; BuildKit's limit."""


class Mounts:
    """All of one RUN. ``key``: what a cache key has of them; ``environment``: variables that they give."""

    def __init__(self, run: StageRun, operation: Run, stack: contextlib.ExitStack) -> None:
        self._run = run
        self._stack = stack
        self._mounts = operation.mounts
        self._program = operation.program
        self.environment: dict[str, str] = {}
        self.key: list[Any] = []
        self._agents: dict[int, int] = {}
        self._picks: dict[int, copying.Picked] = {}
        for mount in operation.mounts:
            self._note(mount)

    # ---- before the cache is asked

    def _note(self, mount: RunMount) -> None:
        told: list[Any] = [mount.kind, self._target(mount), mount.readonly]
        if mount.kind == "bind":
            told += [mount.source, self._content_key(mount)]
        elif mount.kind == "cache":
            told += [mount.id, mount.source, *([self._content_key(mount)] if mount.origin else [])]
        elif mount.kind == "tmpfs":
            told.append(mount.size)
        else:
            told += [mount.id, mount.env]
            self._check_given(mount)
        self.key.append(told)

    def _check_given(self, mount: RunMount) -> None:
        given = self._run.wishes.secrets if mount.kind == "secret" else self._run.wishes.ssh
        if mount.required and mount.id not in given:
            raise PodError(f"{mount.kind} {mount.id}: not found", hint=f"give it by --{mount.kind} id={mount.id}")

    def _content_key(self, mount: RunMount) -> str:
        if self._is_tree(mount):
            return str(origins.state_of(self._run, mount.origin).chain)
        return self._picked(mount).digest

    def _is_tree(self, mount: RunMount) -> bool:
        """Whether it is of a stage or an image."""
        return bool(mount.origin) and not origins.is_folder(self._run, mount.origin)

    def _picked(self, mount: RunMount) -> copying.Picked:
        """What is copied of it: looked at for the key and, where it has to be, copied as it was then."""
        found = self._picks.get(id(mount))
        if found is None:
            found = self._picks[id(mount)] = self._pick(mount)
        return found

    def _pick(self, mount: RunMount) -> copying.Picked:
        origin = (
            copy_step.origin_of(self._run, mount.origin, self._stack) if mount.origin
            else copy_step.context_of(self._run)
        )  # fmt: skip
        return copying.pick(self._run.engine, origin, CopyWishes([mount.source or "."], command="RUN --mount"))

    def _target(self, mount: RunMount) -> str:
        base = self._run.state.config.get("WorkingDir") or "/"
        default = ""
        if mount.kind == "ssh":
            default = f"/run/buildkit/ssh_agent.{self._agents.setdefault(id(mount), len(self._agents))}"
        return posixpath.normpath(posixpath.join("/", str(base), mount.target or default)) if (
            mount.target or default
        ) else ""

    # ---- for the container

    def prepare(self, place: Working) -> None:
        """Completes the container's record."""
        found: list[dict[str, Any]] = []
        if self._program is not None:
            path = f"{place.container.directory}/program"
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o755), "w") as file:
                file.write(self._program.text)
                os.fchmod(file.fileno(), 0o755)
            found.append(_bind(path, f"/dev/pipes/{self._program.name}"))
        makers = {
            "bind": self._bind, "cache": self._cache, "tmpfs": self._tmpfs, "secret": self._secret, "ssh": self._agent,
        }  # fmt: skip
        for number, mount in enumerate(self._mounts):
            entry = makers[mount.kind](mount, place, number)
            if entry is not None:
                found.append(entry)
        found += self._certificates(place)
        place.container.config["Mounts"] = found
        place.container.config["Config"]["Env"] += [f"{key}={value}" for key, value in self.environment.items()]

    def _certificates(self, place: Working) -> list[dict[str, Any]]:
        content = certificates.bundle(self._run.engine.environ)
        if not content:
            return []
        folder = f"{place.container.directory}/certificates"
        certificates.write(folder, content)
        place.container.config["Config"]["Env"] += certificates.variables(place.container.config["Config"]["Env"])
        return [_bind(folder, certificates.TARGET)]

    def _bind(self, mount: RunMount, place: Working, number: int) -> dict[str, Any]:
        target = self._target(mount)
        if self._is_tree(mount) and mount.readonly:
            layers = origins.state_of(self._run, mount.origin).layers
            return {"Type": "image", "Layers": layers, "Source": mount.origin, "Destination": target, "RW": False,
                    "Subpath": mount.source.lstrip("/")}  # fmt: skip
        context = self._run.context
        if not mount.origin and mount.readonly and not context.ignore:
            source = os.readlink(f"/proc/self/fd/{context.fd}")
            return {**_bind(source, target), "Subpath": _clean(mount.source)}
        source = self._copied(mount).root
        if self._picked(mount).single and mount.source and not os.path.isdir(source + "/" + _clean(mount.source)):
            name = posixpath.basename(_clean(mount.source))
            if os.path.isfile(f"{source}/{name}"):
                source = f"{source}/{name}"
        return {**_bind(source, target), "RW": not mount.readonly}

    def _cache(self, mount: RunMount, place: Working, number: int) -> dict[str, Any]:
        engine = self._run.engine
        name = mount.id or self._target(mount)
        folder = f"{engine.paths.build_mounts}/{digests.of_small(name.encode())[7:39]}"
        if mount.sharing == "private":
            folder = self._own_folder(folder)
        elif mount.sharing == "locked":
            os.makedirs(folder, 0o700, exist_ok=True)
            self._stack.enter_context(statefile.Lock(folder + "/lock", timeout=3600.0))
        data = folder + "/_data"
        if not os.path.isdir(data):
            os.makedirs(folder, 0o700, exist_ok=True)
            self._fill(mount, data)
        below = {"Subpath": _clean(mount.source)} if mount.source and not mount.origin else {}
        return {"Type": "volume", "Name": os.path.basename(folder), "Source": data, "Destination": self._target(mount),
                "RW": not mount.readonly, "NoCopy": True, **below}  # fmt: skip

    def _own_folder(self, folder: str) -> str:
        """The first of folder, folder-1 … that no other step uses now."""
        for number in range(1000):
            candidate = f"{folder}-{number}" if number else folder
            os.makedirs(candidate, 0o700, exist_ok=True)
            lock = statefile.Lock(candidate + "/lock", timeout=0.0)
            try:
                self._stack.enter_context(lock)
            except PodError:
                continue
            return candidate
        raise PodError("RUN --mount=type=cache: a thousand steps use it at once")

    def _fill(self, mount: RunMount, data: str) -> None:
        """A new cache: empty or what ``from`` has at ``source``, with the owner and mode that are told."""
        temporary = f"{data}.{os.getpid()}"
        storedir.into_trash(self._run.engine.paths, temporary)
        os.mkdir(temporary, 0o755)
        if mount.origin:
            os.rename(self._copied(mount).root, temporary)
        if mount.mode is not None or not mount.origin:
            os.chmod(temporary, mount.mode if mount.mode is not None else 0o755)
        if mount.uid or mount.gid:
            self._give(temporary, mount)
        try:
            os.rename(temporary, data)
        except OSError:  # another step was faster, or we are told why by the mount
            storedir.into_trash(self._run.engine.paths, temporary)

    def _copied(self, mount: RunMount) -> Working:
        """A root file system with what the mount's ``source`` has, at its top; it goes with the step."""
        copied = self._stack.enter_context(working.Working(self._run.engine, state.scratch(self._run.platform, "")))
        picked = self._picked(mount)
        copied.plan(lambda plan_fd: picked.into(plan_fd, "/", is_folder=True))
        return copied

    def _give(self, path: str, mount: RunMount) -> None:
        """The owner that the mount tells, on the disk or as the root emulator finds it (ext/src/emulator/records.h)."""
        engine = self._run.engine
        uid, gid = mount.uid or 0, mount.gid or 0
        if engine.idmap.kind != "single":
            userns.call_mapped(engine, engine.idmap, lambda: _chown(path, uid, gid))
            return
        mode = stat.S_IMODE(os.stat(path).st_mode)
        try:
            os.chmod(path, mode | 0o200)  # who may not write may set no attribute
            os.setxattr(path, "user.pod.owner", f"{uid}:{gid}".encode())
            os.chmod(path, mode)
        except OSError as error:
            why = (error.strerror or "failed").lower()
            text = f"RUN --mount={mount.written}: it is root's: user attributes: {why}"
            engine.progress("warning", {"text": text})

    def _tmpfs(self, mount: RunMount, place: Working, number: int) -> dict[str, Any]:
        options = "rw,nosuid,nodev,mode=755" + (f",size={mount.size}" if mount.size else "")
        return {"Type": "tmpfs", "Options": options, "Source": "", "Destination": self._target(mount), "RW": True}

    def _secret(self, mount: RunMount, place: Working, number: int) -> dict[str, Any] | None:
        given = self._run.wishes.secrets.get(mount.id)
        if given is None:
            return None
        content = _secret_content(self._run, mount.id, given)
        if mount.env:
            self.environment[mount.env] = content.decode("utf-8", "surrogateescape")
        if not mount.target:
            return None
        path = self._memory_file(content, mount, number)
        return _bind(path, self._target(mount))

    def _memory_file(self, content: bytes, mount: RunMount, number: int) -> str:
        """In memory where there is a place for that; the folder goes with the step."""
        folder = self._stack.enter_context(secret_files.folder(self._run.engine))
        path = f"{folder}/{number}"
        secret_files.write(path, content, mount.mode if mount.mode is not None else 0o400)
        if mount.uid or mount.gid:
            if self._run.engine.idmap.kind != "single":
                os.chmod(folder, 0o711)
            self._give(path, mount)
        return path

    def _agent(self, mount: RunMount, place: Working, number: int) -> dict[str, Any] | None:
        given = self._run.wishes.ssh.get(mount.id)
        if given is None:
            return None
        path = given[0] if given else self._run.engine.environ.get("SSH_AUTH_SOCK", "")
        try:
            good = bool(path) and stat.S_ISSOCK(os.stat(path).st_mode)
        except OSError:
            good = False
        if not good:
            raise PodError(
                f"ssh {mount.id}: {path or 'SSH_AUTH_SOCK'}: no socket of an agent",
                hint="start one (eval $(ssh-agent); ssh-add KEY) and give --ssh default",
            )
        target = self._target(mount)
        self.environment["SSH_AUTH_SOCK"] = target
        return {**_bind(path, target), "RW": True}


def _secret_content(run: StageRun, name: str, given: tuple[str, str]) -> bytes:
    kind, value = given
    if kind == "env":
        return run.engine.environ.get(value, "").encode("utf-8", "surrogateescape")
    try:
        with open(value, "rb") as file:
            content = file.read(_SECRET_MAX + 1)
    except OSError as error:
        raise PodError(f"secret {name}: {value}: {(error.strerror or 'failed').lower()}") from None
    if len(content) > _SECRET_MAX:
        raise PodError(f"secret {name}: {value}: larger than {_SECRET_MAX} bytes")
    return content


def _chown(path: str, uid: int, gid: int) -> bytes:
    os.chown(path, uid, gid)
    return b""


def _bind(source: str, target: str) -> dict[str, Any]:
    return {"Type": "bind", "Source": source, "Destination": target, "Mode": "", "RW": False, "Propagation": "rprivate",
            "MustExist": True}  # fmt: skip


def _clean(path: str) -> str:
    return posixpath.normpath("/" + path).lstrip("/")
