"""``cp``: files from a container to the host and back, as archives from one process to another.

Who reads an archive believes nothing in it. To the host everything becomes the caller's, without set-id bits and
without devices; in the container everything is root's, unless the ids of the source are wanted (``archive``).
"""

from __future__ import annotations

import os
import stat

from pod.core.container import cp_paths, happened, view
from pod.core.errors import NotFound, PodError
from pod.core.image.archive_write import check_output
from pod.ext.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine


class Copied:
    """What a copy was: bytes of its archive, and where it went."""

    __slots__ = ("bytes", "path")

    def __init__(self, size: int, path: str) -> None:
        self.bytes = size
        self.path = path


# ---- from a container


def out(engine: Engine, container: Container, source: str, target: str, *, follow: bool) -> Copied:
    """CONTAINER:source to the host's path ``target``."""
    check_output(target)
    path = cp_paths.absolute(source)
    local = cp_paths.absolute(target, os.getcwd())

    def work(plan_fd: int, found: Container) -> dict[str, Any]:
        mode = _look(plan_fd, path, source, container.name, follow=follow)["mode"]
        where, exists, is_directory = _local_target(local)
        directory, name = cp_paths.target(path, stat.S_ISDIR(mode), local, where, exists, is_directory)
        flags = view.PLAIN_MODES | view.NO_DEVICES | (view.NO_TOP if name == "." else 0)

        def pack(stream: int) -> view.Job:
            return _pack(plan_fd, path, stream, name, flags | (view.FOLLOW if follow else 0))

        return _copy(engine, pack, -1, directory)

    size = view.use(engine, container, work)["bytes"]
    happened.tell(engine, container, "archive-path")
    return Copied(size, target)


def out_archive(engine: Engine, container: Container, source: str, stream: int, *, follow: bool) -> None:
    """CONTAINER:source as an archive to the descriptor ``stream``, with the owners that it has in there."""
    path = cp_paths.absolute(source)

    def work(plan_fd: int, found: Container) -> dict[str, Any]:
        _look(plan_fd, path, source, container.name, follow=follow)
        packer = _pack(plan_fd, path, stream, cp_paths.top_name(path), view.FOLLOW if follow else 0)
        try:
            result = packer.result()
        except StepError as error:
            raise _failure(error, path) from None
        _tell_omitted(engine, result, "cannot be in an archive")
        return result

    view.use(engine, container, work)
    happened.tell(engine, container, "archive-path")


def _pack(plan_fd: int, path: str, stream: int, name: str, flags: int) -> view.Job:
    return view.Job("pack", plan_fd, path, stream=stream, base=name, flags=flags)


def _local_target(path: str) -> tuple[str, bool, bool]:
    """(path, exists, is a directory) of the host's ``path``; a link at its end is followed, to nothing too."""
    where = path.rstrip("/") or "/"
    for _ in range(11):
        if not os.path.islink(where):
            break
        where = os.path.join(os.path.dirname(where), os.readlink(where))
    else:
        raise PodError(f"too many symlinks in {path}")
    if os.path.lexists(where):
        return where, True, os.path.isdir(where)
    above = os.path.dirname(cp_paths.clean(where))
    if not os.path.isdir(above):
        raise NotFound(f"no such directory: {above}")
    return where, False, False


# ---- to a container


def into(engine: Engine, container: Container, source: str, target: str, *, follow: bool, archive: bool) -> Copied:
    """The host's ``source`` to CONTAINER:target; ``archive``: with the ids that it has here."""
    path = cp_paths.absolute(source, os.getcwd())
    try:
        mode = (os.stat if follow else os.lstat)(path).st_mode
    except OSError as error:
        raise NotFound(f"lstat {path}: {(error.strerror or 'failed').lower()}") from None
    flags = (0 if archive else view.ROOTS) | (view.FOLLOW if follow or path.endswith(("/", "/.")) else 0)

    def work(plan_fd: int, found: Container) -> dict[str, Any]:
        asked = cp_paths.absolute(target)
        place = _place(plan_fd, asked, found, container.name)
        directory, name = cp_paths.target(path, stat.S_ISDIR(mode), asked, place["path"], *_kind(place))
        top = view.NO_TOP if name == "." else 0

        def pack(stream: int) -> view.Job:
            return _pack(-1, path, stream, name, flags | top)

        return _copy(engine, pack, plan_fd, directory)

    size = view.use(engine, container, work)["bytes"]
    happened.tell(engine, container, "extract-to-dir")
    return Copied(size, f"{container.name}:{target}")


def into_archive(engine: Engine, container: Container, stream: int, target: str) -> None:
    """The archive from the descriptor ``stream`` into the directory CONTAINER:target, owners as it says."""

    def work(plan_fd: int, found: Container) -> dict[str, Any]:
        asked = cp_paths.absolute(target)
        place = _place(plan_fd, asked, found, container.name)
        if _kind(place) != (True, True):
            raise PodError(f'destination "{container.name}:{target}" must be a directory')
        try:
            result = view.Job("unpack", plan_fd, place["path"], stream=stream).result()
        except StepError as error:
            raise _failure(error, place["path"]) from None
        _tell_omitted(engine, result, "cannot be made there")
        return result

    view.use(engine, container, work)
    happened.tell(engine, container, "extract-to-dir")


def _kind(place: dict[str, Any]) -> tuple[bool, bool]:
    exists = bool(place["look"] & view.EXISTS)
    return exists, exists and stat.S_ISDIR(place["mode"])


def _place(plan_fd: int, asked: str, container: Container, name: str) -> dict[str, Any]:
    """Where ``asked`` leads, links followed; PodError where it cannot be written."""
    place = _look(plan_fd, cp_paths.clean(asked), cp_paths.clean(asked), name, follow=True)
    mode = place["mode"]
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise PodError(f'destination "{name}:{asked}" must be a directory or a regular file: got a device')
    on_root = place["look"] & view.ON_ROOT
    if on_root and (container.config["HostConfig"]["ReadonlyRootfs"] or place["look"] & view.READ_ONLY):
        hint = "copy into a volume of it, or run it without --read-only"
        raise PodError("container rootfs is marked read-only", hint=hint)
    if place["look"] & view.READ_ONLY:
        raise PodError("mounted volume is marked read-only", hint=f"{asked} is mounted with ro")
    return place


# ---- both


def _look(plan_fd: int, path: str, asked: str, name: str, *, follow: bool) -> dict[str, Any]:
    try:
        return view.Job("look", plan_fd, path, flags=view.FOLLOW if follow else 0).result()
    except StepError as error:
        if error.errno == 2 and error.step == "RESOLVE":
            raise NotFound(f"Could not find the file {asked} in container {name}") from None
        raise _failure(error, path) from None


def _copy(engine: Engine, pack: Callable[[int], view.Job], plan_fd: int, directory: str) -> dict[str, Any]:
    """What ``pack`` puts into the stream it is given, unpacked in ``directory`` of the plan (-1: of the host)."""

    def unpack(stream: int) -> view.Job:
        return view.Job("unpack", plan_fd, directory, stream=stream)

    try:
        packed, unpacked = view.through_pipe(pack, unpack)
    except StepError as error:
        raise _failure(error, directory) from None
    _tell_omitted(engine, packed, "cannot be copied")
    _tell_omitted(engine, unpacked, "cannot be made there")
    return packed


def _failure(error: StepError, directory: str) -> PodError:
    place = f"{directory.rstrip('/')}/{error.path.rstrip('/')}"
    if error.step == "COPY" and error.errno == 21:
        return PodError(f'cannot overwrite directory "{place}" with non-directory "{directory}"')
    if error.step == "COPY" and error.errno == 20:
        return PodError(f'cannot overwrite non-directory "{place}" with directory "{directory}"')
    return view.words(error, "cp")


def _tell_omitted(engine: Engine, result: dict[str, Any], why: str) -> None:
    for count, what in ((result["sockets"], "sockets"), (result["devices"], "devices")):
        if count:
            engine.progress("warning", {"text": f"{count} {what} left out, which {why}; one is {result['name']!r}"})
    if result["owners"]:
        text = f"{result['owners']} files are root's: their owners are not in this container's id map"
        engine.progress("warning", {"text": f"{text}; one is {result['name']!r}"})
