"""Reading a container's log: Docker's json-file format, written and rotated by the supervisor."""

from __future__ import annotations

import os
import time

from pod.core import moments, statefile
from pod.core.container import log_files, model
from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pod.core.container.log_files import LogFile
    from pod.core.container.model import Container
    from pod.core.engine import Engine

POLL = 0.05
"""Seconds between two looks at what is followed."""


class LogLine:
    """One record: text (with its newline if it had one), stream "stdout" or "stderr", time (RFC 3339), attributes."""

    __slots__ = ("attrs", "stream", "text", "time")

    def __init__(self, text: str, stream: str, time_text: str, attrs: dict[str, str]) -> None:
        self.text = text
        self.stream = stream
        self.time = time_text
        self.attrs = attrs


def parse_moment(text: str, now: float) -> str:
    """--since and --until as comparable RFC 3339 in UTC (see core/moments). UsageError for what is no time."""
    if not text:
        return ""
    try:
        return moments.rfc3339(moments.parse(text, now))
    except ValueError:
        raise UsageError(
            f"invalid value for a time: {text!r}", hint="2024-01-31T12:00:00Z, seconds since 1970, or a duration: 10m"
        ) from None


def read(
    engine: Engine, container: Container, emit: Callable[[LogLine], None], *, tail: int, since: str, until: str,
    follow: bool,
) -> None:  # fmt: skip
    """Hands the log's lines to ``emit``. ``tail`` < 0 is all; ``follow`` goes on until the container has ended."""
    driver = container.config["HostConfig"]["LogConfig"]["Type"]
    if driver not in ("json-file", "local"):
        raise PodError(
            "configured logging driver does not support reading", hint=f"the container has --log-driver {driver}"
        )
    for line in lines(engine, container, tail=tail, since=since, until=until, follow=follow):
        if line is None:
            time.sleep(POLL)
        else:
            emit(line)


def lines(
    engine: Engine, container: Container, *, tail: int, since: str, until: str, follow: bool
) -> Iterator[LogLine | None]:
    """The log's lines one by one; None: with ``follow``, there is none just now, ask again after :data:`POLL`."""
    reader = _Reader(engine, container, follow=follow)
    try:
        reader.start(tail, since)
        for raw in reader.lines():
            if raw is None:
                yield None
                continue
            line = _parse(raw)
            if line is None or (since and line.time < since):
                continue
            if until and line.time > until:
                break
            yield line
    finally:
        reader.close()


class _Reader:
    """A way through the files of a log, from where :meth:`start` puts it."""

    def __init__(self, engine: Engine, container: Container, *, follow: bool) -> None:
        self._engine = engine
        self._container = container
        self._directory = container.directory
        self._follow = follow
        self._file: LogFile | None = None
        self._newest: LogFile | None = None  # the open file when the reading began: kept, and without follow the last
        self._left = 0  # bytes of that file that were there then: a writer in a hurry is not chased
        self._skip = 0  # lines
        self._splitter = log_files.Splitter()

    def close(self) -> None:
        for file in (self._file, self._newest):
            if file is not None:
                file.close()
        self._file = self._newest = None

    def start(self, tail: int, since: str) -> None:
        """At the oldest line, or the last ``tail`` ones, counted over all files; files older than ``since`` aside."""
        known = log_files.numbers(self._directory)
        self._newest = log_files.next_file(self._directory, known[-1] if known else 0)
        if self._newest is not None:
            self._left = self._newest.size()
        if tail >= 0:
            self._find_tail(known, tail)
            return
        for number in known:
            if not since or not self._is_older(number, since):
                self._file = log_files.open_full(self._directory, number)
                if self._file is not None:
                    return
        self._file = self._newest.copy() if self._newest is not None else None

    def _is_older(self, number: int, since: str) -> bool:
        try:
            status = os.stat(f"{self._directory}/log.{number}")
        except FileNotFoundError:  # compressed: the time is that of the compression
            return False
        return moments.rfc3339(status.st_mtime_ns) < since

    def _find_tail(self, known: list[int], tail: int) -> None:
        """Backwards from the newest file, until there are enough lines."""
        left, older = tail, list(known)
        file = self._newest.copy() if self._newest is not None else None
        while file is not None or older:
            if file is None:
                file = log_files.open_full(self._directory, older.pop())
                if file is None:
                    return
            if self._file is not None:
                self._file.close()
            self._file = file
            if file.compressed:
                lines = log_files.count_lines(file)
                self._skip = max(0, lines - left)
                file.rewind()
            else:
                offset, lines = log_files.tail_offset(file, left)
                os.lseek(file.fd, offset, os.SEEK_SET)
            left -= lines
            if left <= 0:
                return
            file = None

    def lines(self) -> Iterator[bytes | None]:
        """Records as they are on disk, without their newline; None where one has to wait."""
        read_again = False  # the file is full now: what came before it was, may not have been read
        ended = False
        while self._file is not None:
            data = self._read()
            if data:
                for line in self._splitter.feed(data):
                    if self._skip:
                        self._skip -= 1
                    else:
                        yield line
                continue
            if not self._follow and self._newest is not None and self._file.inode == self._newest.inode:
                return
            if read_again:
                read_again = False
                self._go_on()
            elif log_files.is_rotated(self._directory, self._file):
                read_again = True
                log_files.settle_number(self._directory, self._file)
            elif ended:
                return
            else:
                ended = not _runs(self._engine, self._container)
                if not ended:
                    yield None

    def _read(self) -> bytes:
        assert self._file is not None
        data = self._file.read()
        if not self._follow and self._newest is not None and self._file.inode == self._newest.inode:
            data = data[: self._left]
            self._left -= len(data)
        return data

    def _go_on(self) -> None:
        """To the next file, which is locked before this one is let go."""
        file = self._file
        assert file is not None
        self._file = None
        while self._file is None:
            self._file = log_files.next_file(self._directory, file.number)
            if self._file is None:
                if not self._follow or not _runs(self._engine, self._container):
                    break
                time.sleep(POLL)  # the supervisor is between two steps
        file.close()
        self._splitter.reset()


def _runs(engine: Engine, container: Container) -> bool:
    try:
        return model.read(engine, container.id).is_running
    except FileNotFoundError:
        return False


def _parse(raw: bytes) -> LogLine | None:
    """A record, or None for a line that is none (a full disk can cut one)."""
    try:
        value = statefile.loads(raw)
        attrs = value.get("attrs") or {}
        if not isinstance(attrs, dict):
            return None
        return LogLine(str(value["log"]), str(value["stream"]), str(value["time"]), attrs)
    except (ValueError, KeyError, TypeError, AttributeError):
        return None
