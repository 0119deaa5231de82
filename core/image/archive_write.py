"""Where an archive of images goes: a tar on a descriptor, or a folder; with the bytes told once, in order.

The same files give the same bytes: owners are root, times 1970. Nothing but the files' contents is kept in memory, a
chunk at a time.
"""

from __future__ import annotations

import contextlib
import os
import stat

from pod.core import statefile
from pod.core.errors import NotFound, PodError
from pod.core.image import archive_tar, blobs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    Fill = Callable[[int], int]
    """Writes a file's content to the descriptor that it is given; returns how many bytes."""

    class Target(Protocol):
        def folder(self, name: str) -> None: ...

        def file(self, name: str, size: int, fill: Fill) -> None: ...

        def close(self) -> None: ...


class Tar:
    """A tar archive on ``fd``, which may be a pipe and stays the caller's."""

    __slots__ = ("_fd",)

    def __init__(self, fd: int) -> None:
        self._fd = fd

    def folder(self, name: str) -> None:
        write_all(self._fd, archive_tar.header(name, 0, folder=True))

    def file(self, name: str, size: int, fill: Fill) -> None:
        """A file of ``size`` bytes. PodError where ``fill`` wrote another number: the archive is worth nothing then."""
        write_all(self._fd, archive_tar.header(name, size))
        written = fill(self._fd)
        if written != size:
            raise PodError(f"save: {name}: {written} bytes instead of {size}")
        write_all(self._fd, archive_tar.padding(size))

    def close(self) -> None:
        """The end of the archive."""
        write_all(self._fd, archive_tar.END)


class Tree:
    """The same files below a folder that exists and is empty."""

    __slots__ = ("_path",)

    def __init__(self, path: str) -> None:
        self._path = path

    def folder(self, name: str) -> None:
        os.mkdir(f"{self._path}/{name}", 0o755)

    def file(self, name: str, size: int, fill: Fill) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
        fd = os.open(f"{self._path}/{name}", flags, 0o644)
        try:
            written = fill(fd)
        finally:
            os.close(fd)
        if written != size:
            raise PodError(f"save: {name}: {written} bytes instead of {size}")

    def close(self) -> None:
        """A folder has no end."""


def check_output(path: str) -> None:
    """PodError where nothing can be written at the host's ``path``: its folder is missing, or it is a device."""
    above = os.path.dirname(os.path.normpath(path or "."))
    if above and not os.path.exists(above):
        raise NotFound(f'invalid output path: directory "{above}" does not exist')
    try:
        mode = os.stat(path).st_mode
    except OSError:
        return
    if stat.S_ISCHR(mode) or stat.S_ISBLK(mode):
        raise PodError(f'invalid output path: "{path}" must be a directory or a regular file: got a device')


def write_all(fd: int, data: bytes | memoryview) -> None:
    """All of ``data``; a full disk as one line. BrokenPipeError where the reader has gone."""
    try:
        statefile.put(fd, data)
    except BrokenPipeError:
        raise
    except OSError as error:
        raise blobs.no_room("save: write archive", error) from error


def of_bytes(data: bytes) -> Fill:
    """Content that is in memory."""

    def fill(fd: int) -> int:
        write_all(fd, data)
        return len(data)

    return fill


@contextlib.contextmanager
def whole_file(path: str, failure: str) -> Iterator[int]:
    """A descriptor to write to. What ``path`` had before is replaced at the end; ``failure`` begins messages."""
    if os.path.isdir(path):
        raise PodError(f"{failure}: {path} is a directory", hint="name a file")
    temporary = f"{path}.{os.getpid()}.part"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PodError(f"{failure}: {path}: {(error.strerror or 'failed').lower()}") from None
    try:
        yield descriptor
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)


@contextlib.contextmanager
def whole_folder(path: str, failure: str) -> Iterator[str]:
    """A new folder to write to, which becomes ``path`` once all went well; nothing but an empty folder may be there."""
    import shutil

    path = path.rstrip("/") or "/"
    temporary = f"{path}.{os.getpid()}.part"
    try:
        os.mkdir(temporary, 0o755)
    except OSError as error:
        raise PodError(f"{failure}: {path}: {(error.strerror or 'failed').lower()}") from None
    try:
        yield temporary
        try:
            os.rename(temporary, path)
        except OSError:
            raise PodError(f"{failure}: {path} exists and is no empty folder", hint="name another folder") from None
    except BaseException:
        shutil.rmtree(temporary, ignore_errors=True)
        raise
