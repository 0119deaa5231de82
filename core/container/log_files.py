"""The files of a container's log, oldest first, also while the supervisor rotates them (ext/src/helper/logger_file.h).

A reader holds a shared lock on the file that it reads until it has the next one: the supervisor keeps such a file and
newer ones, so that nothing is missed between two of them.
"""

from __future__ import annotations

import errno
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

CHUNK = 65536
LONGEST = 16 << 20
"""Bytes of a record; longer ones are no records (the supervisor cuts lines at 16 KiB) and are passed over."""


def numbers(directory: str) -> list[int]:
    """Of the full files, oldest first; none where the container was removed meanwhile."""
    found = set()
    try:
        names = os.listdir(directory)
    except FileNotFoundError:
        return []
    for name in names:
        number = name[4:].removesuffix(".gz")
        if name[:4] == "log." and number.isascii() and number.isdigit() and len(number) < 17:
            found.add(int(number))
    return sorted(found)


class LogFile:
    """An open file of the log; ``number`` is the one that it has, or will have once it is full."""

    __slots__ = ("_inflate", "fd", "inode", "number")

    def __init__(self, path: str, number: int) -> None:
        self.fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        self.number = number
        self._inflate: Any = None
        status = os.fstat(self.fd)
        self.inode = (status.st_dev, status.st_ino)
        self._lock()
        if path.endswith(".gz"):
            self.rewind()

    def _lock(self) -> None:
        import fcntl

        try:
            fcntl.flock(self.fd, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except OSError as error:
            if error.errno not in (errno.EWOULDBLOCK, errno.ENOLCK, errno.EOPNOTSUPP, errno.EINVAL):
                raise  # being compressed or thrown away at this moment, or no locks on that disk: read what is there

    def rewind(self) -> None:
        """To the beginning of a compressed file."""
        import zlib

        os.lseek(self.fd, 0, os.SEEK_SET)
        self._inflate = zlib.decompressobj(31)

    @property
    def compressed(self) -> bool:
        return self._inflate is not None

    def read(self) -> bytes:
        """The next bytes, b"" at the end; of a damaged compressed file as far as it goes."""
        if self._inflate is None:
            return os.read(self.fd, CHUNK)
        import zlib

        inflate = self._inflate
        while not inflate.eof:
            stored = inflate.unconsumed_tail or os.read(self.fd, CHUNK)
            if not stored:
                return b""
            try:
                data: bytes = inflate.decompress(stored, CHUNK)
            except zlib.error:
                return b""
            if data:
                return data
        return b""

    def copy(self) -> LogFile:
        """The same file and lock, read on from the same place; of a file that is not compressed."""
        copy = LogFile.__new__(LogFile)
        copy.fd = os.dup(self.fd)
        copy.number, copy.inode, copy._inflate = self.number, self.inode, None
        return copy

    def size(self) -> int:
        """Bytes on disk."""
        return os.fstat(self.fd).st_size

    def close(self) -> None:
        os.close(self.fd)


def next_file(directory: str, after: int) -> LogFile | None:
    """The oldest file whose number is larger, the open one last; None where there is none."""
    found = open_full(directory, after + 1)
    if found is not None:
        return found
    while True:
        later = [number for number in numbers(directory) if number > after]
        if later:
            # What is renamed while a folder is listed may be missing in the list: the very next one is asked for again.
            found = open_full(directory, after + 1) or open_full(directory, later[0])
            if found is not None:
                return found
            after = later[0]
            continue
        try:
            current = LogFile(directory + "/log", after + 1)
        except FileNotFoundError:
            return None
        # Files that became full after the look above come before this one, however new it is.
        if not any(number > after for number in numbers(directory)):
            return current
        current.close()


def open_full(directory: str, number: int) -> LogFile | None:
    """The full file of that number; None once it is thrown away."""
    for form in (f"{directory}/log.{number}", f"{directory}/log.{number}.gz", f"{directory}/log.{number}"):
        try:
            return LogFile(form, number)
        except FileNotFoundError:
            continue
    return None


def is_rotated(directory: str, file: LogFile) -> bool:
    """Whether this file is not the open one (any more)."""
    try:
        status = os.stat(directory + "/log", follow_symlinks=False)
    except FileNotFoundError:
        return True
    return (status.st_dev, status.st_ino) != file.inode


def settle_number(directory: str, file: LogFile) -> None:
    """After it was rotated: the number that it got, most often the one that was expected."""
    if not _has_number(directory, file, file.number):
        for number in numbers(directory):
            if _has_number(directory, file, number):
                file.number = number
                return


def _has_number(directory: str, file: LogFile, number: int) -> bool:
    try:
        status = os.stat(f"{directory}/log.{number}", follow_symlinks=False)
    except FileNotFoundError:
        return False
    return (status.st_dev, status.st_ino) == file.inode


class Splitter:
    """Bytes as they come to whole lines without their newline; what is longer than LONGEST is left out."""

    __slots__ = ("_length", "_parts")

    def __init__(self) -> None:
        self.reset()

    def reset(self) -> None:
        """Another file begins: half a line before it is no line."""
        self._parts: list[bytes] = []
        self._length = 0

    def feed(self, data: bytes) -> Iterator[bytes]:
        if b"\n" not in data:
            self._keep(data)
            return
        lines = data.split(b"\n")
        rest = lines.pop()
        if self._length:
            self._keep(lines[0])
            lines[0] = b"".join(self._parts)
        self.reset()
        yield from lines
        if rest:
            self._keep(rest)

    def _keep(self, data: bytes) -> None:
        self._length += len(data)
        if self._length > LONGEST:
            self._parts = []
        else:
            self._parts.append(data)


def tail_offset(file: LogFile, count: int) -> tuple[int, int]:
    """(where the last ``count`` lines of a file that is not compressed begin, how many there are, at most ``count``);
    reads backwards."""
    end = file.size()
    if not count:
        return end, 0
    seen = 0
    position = end
    while position > 0:
        start = max(0, position - CHUNK)
        data = os.pread(file.fd, position - start, start)
        at = len(data)
        while (at := data.rfind(b"\n", 0, at)) >= 0:
            if start + at + 1 == end:
                continue
            seen += 1
            if seen == count:
                return start + at + 1, count
        position = start
    return 0, seen + (1 if end else 0)


def count_lines(file: LogFile) -> int:
    """Of a compressed file; it is at its end afterwards."""
    total = 0
    while data := file.read():
        total += data.count(b"\n")
    return total
