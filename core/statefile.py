"""Atomic JSON records and flock context managers.

``loads`` and ``dumps`` stand in for the json package, whose import alone costs more than a warm start may: they drive
the same C scanner (``_json``) without it.
"""

from __future__ import annotations

import _json
import os
import time

from pod.core.errors import StoreCorrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_RECORD = 16 << 20
"""Bytes; a record of ours that is larger is not ours."""


class _ScannerContext:
    """What _json.make_scanner asks of a JSONDecoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int

    def __init__(self) -> None:
        self.memo: dict[str, str] = {}

    @staticmethod
    def parse_constant(name: str) -> float:
        raise ValueError(f"{name} is not JSON")


_context: Any = _ScannerContext()
_scan: Callable[[str, int], tuple[Any, int]] = _json.make_scanner(_context)
_quote: Callable[[str], str] = _json.encode_basestring_ascii


def loads(text: str | bytes) -> Any:
    """Parses one JSON document. ValueError where it is not one (also for nesting too deep)."""
    if isinstance(text, bytes):
        text = text.decode("utf-8")
    start = len(text) - len(text.lstrip(" \t\r\n"))
    try:
        value, end = _scan(text, start)
    except StopIteration:
        raise ValueError("not a JSON document") from None
    except RecursionError:
        raise ValueError("JSON nested too deep") from None
    except SystemError:
        # The scanner words its errors by json.decoder, and before Python 3.13 does not import that itself.
        import json.decoder  # noqa: F401

        return loads(text)
    if text[end:].strip(" \t\r\n"):
        raise ValueError("text after the JSON document")
    return value


def dumps(value: Any) -> str:
    """Compact JSON, keys in the order given."""
    parts: list[str] = []
    _dump(value, parts.append)
    return "".join(parts)


def _dump(value: Any, out: Callable[[str], None]) -> None:
    if isinstance(value, str):
        out(_quote(value))
    elif value is None or value is True or value is False:
        out({None: "null", True: "true", False: "false"}[value])
    elif isinstance(value, (int, float)):
        out(repr(value))
    elif isinstance(value, dict):
        separator = "{"
        for key, item in value.items():
            out(separator)
            out(_quote(key))
            out(":")
            _dump(item, out)
            separator = ","
        out("{}" if separator == "{" else "}")
    elif isinstance(value, (list, tuple)):
        separator = "["
        for item in value:
            out(separator)
            _dump(item, out)
            separator = ","
        out("[]" if separator == "[" else "]")
    else:
        raise TypeError(f"cannot write {type(value).__name__} as JSON")


def put(fd: int, data: bytes | memoryview) -> None:
    """Writes all of ``data``, however little write(2) takes at a time. OSError."""
    view = memoryview(data)
    while view:
        view = view[os.write(fd, view) :]


def close_unwritten(fd: int) -> None:
    """Closes what nothing was written by: it is closed whatever close(2) says (EINTR), and nothing is lost."""
    try:
        os.close(fd)
    except OSError:
        pass


def read_bytes(path: str, limit: int = MAX_RECORD) -> bytes:
    """The whole of a regular file of at most ``limit`` bytes. OSError where it cannot be read."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
    try:
        size = os.fstat(fd).st_size
        if size > limit:
            raise StoreCorrupt(f"read record: {path}: {size} bytes is more than any record has")
        parts = []
        left = limit
        while left > 0:
            wanted = min(left, max(size + 1, 4096))
            part = os.read(fd, wanted)
            parts.append(part)
            left -= len(part)
            if not part or (len(part) < wanted and limit - left >= size):
                break  # nothing is behind all that it has
        return b"".join(parts)
    finally:
        close_unwritten(fd)


def read_bytes_of_proc(path: str, limit: int = 1 << 20) -> bytes:
    """A small file of the system's, whose size is not known beforehand (/proc, /etc; links are followed)."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        parts = []
        while limit > 0:
            part = os.read(fd, min(limit, 65536))
            if not part:
                break
            parts.append(part)
            limit -= len(part)
        return b"".join(parts)
    finally:
        close_unwritten(fd)


def read(path: str) -> dict[str, Any]:
    """One JSON object from ``path``. FileNotFoundError where there is none, StoreCorrupt where it is not one."""
    data = read_bytes(path)
    try:
        value = loads(data)
    except ValueError as error:
        hint = "remove the file: what it says is lost, but the store works again"
        raise StoreCorrupt(f"read record: {path}: {error}", hint=hint) from None
    if not isinstance(value, dict):
        raise StoreCorrupt(f"read record: {path}: not a JSON object")
    return value


def write(path: str, value: dict[str, Any], *, sync: bool = False, exclusive: bool = False) -> None:
    """Publishes ``value`` at ``path`` by rename; readers see the old record or the new one.

    ``sync`` makes it durable first (fsync costs about 4 ms: never for --rm containers and per-boot state).
    ``exclusive`` raises FileExistsError instead of replacing.
    """
    write_bytes(path, dumps(value).encode() + b"\n", sync=sync, exclusive=exclusive)


def write_bytes(path: str, data: bytes, *, sync: bool = False, exclusive: bool = False, mode: int = 0o600) -> None:
    """:func:`write` for bytes."""
    folder, _, name = path.rpartition("/")
    temporary = f"{folder}/.{name[:100]}.{os.getpid()}.{os.urandom(4).hex()}"
    fd = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    try:
        try:
            put(fd, data)
            if sync:
                os.fsync(fd)
        finally:
            os.close(fd)
        if not exclusive:
            os.rename(temporary, path)
        elif not _linked(temporary, path):
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode))
            os.rename(temporary, path)
            return
    except BaseException as error:
        os.unlink(temporary)
        if isinstance(error, OSError) and not error.filename:
            error.filename = path  # write(2) knows none: which disk is full is what people ask
        raise
    if exclusive:
        os.unlink(temporary)


def _linked(temporary: str, path: str) -> bool:
    """False on a file system without hard links (EPERM, EOPNOTSUPP, ENOSYS): there who makes the empty file has the
    name, and a crash before his record takes its place leaves one that was cut.
    """
    try:
        os.link(temporary, path)
    except OSError as error:
        if error.errno in (1, 95, 38):
            return False
        raise
    return True


def timestamp() -> str:
    """Now, as RFC 3339 with nanoseconds in UTC, as every record has it."""
    now = time.time_ns()
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(now // 1_000_000_000)) + f".{now % 1_000_000_000:09d}Z"


class Lock:
    """flock(2) on a file that is made when missing; released by close, so by any death.

    ``timeout`` in seconds bounds the wait (Busy is raised); None waits for ever. A holder that is stopped (SIGSTOP) is
    waited for a second (core/holders.py), then Busy names it. With ``optional`` the caller goes on without the lock
    instead of Busy; so does every caller on a file system that has no locks. ``folder``: the file's folder is made too,
    however often its last holder takes it away.
    """

    __slots__ = ("_fd", "_folder", "_optional", "_path", "_shared", "_timeout")

    def __init__(
        self,
        path: str,
        *,
        shared: bool = False,
        timeout: float | None = 60.0,
        folder: bool = False,
        optional: bool = False,
    ) -> None:
        self._path = path
        self._folder = folder
        self._optional = optional
        self._shared = shared
        self._timeout = timeout
        self._fd = -1

    def __enter__(self) -> Lock:
        while True:
            if self._folder:
                self._make_folder()
            try:
                self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            except FileNotFoundError:
                if self._folder and os.path.isdir(os.path.dirname(os.path.dirname(self._path))):
                    continue
                raise
            try:
                if not self._wait() or self._is_current():
                    return self
            except BaseException:
                os.close(self._fd)
                raise
            os.close(self._fd)

    def _make_folder(self) -> None:
        try:
            os.mkdir(self._path.rpartition("/")[0], 0o700)
        except FileExistsError:
            pass

    def _is_current(self) -> bool:
        """Whether the file locked is the one by that name: its holder may have removed it while we waited."""
        try:
            named = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return False
        held = os.fstat(self._fd)
        return (named.st_ino, named.st_dev) == (held.st_ino, held.st_dev)

    def hand_over(self) -> int:
        """The descriptor, to be inherited by an exec; the lock lasts as long as any copy of it."""
        os.set_inheritable(self._fd, True)
        return self._fd

    def _wait(self) -> bool:
        """Whether the lock is ours; False: we do without."""
        import fcntl

        try:
            fcntl.flock(self._fd, (fcntl.LOCK_SH if self._shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
            return True
        except OSError:
            from pod.core import holders

            return holders.wait(self._fd, self._path, self._shared, self._timeout, self._optional)

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
