"""Reading a container's log (Docker's json-file format, written by the supervisor)."""

from __future__ import annotations

import os
import time

from pod.core import moments, statefile
from pod.core.container import model
from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pod.core.container.model import Container
    from pod.core.engine import Engine

_CHUNK = 65536
_POLL = 0.05


class LogLine:
    """One record: text (with its newline where it had one), stream "stdout" or "stderr", time (RFC 3339)."""

    __slots__ = ("stream", "text", "time")

    def __init__(self, text: str, stream: str, time_text: str) -> None:
        self.text = text
        self.stream = stream
        self.time = time_text


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
    if container.config["HostConfig"]["LogConfig"]["Type"] == "none":
        raise PodError("configured logging driver does not support reading", hint="the container has --log-driver none")
    path = container.directory + "/log"
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        if tail >= 0:
            os.lseek(fd, _tail_offset(fd, tail), os.SEEK_SET)
        for line in _records(engine, container, fd, follow):
            if since and line.time < since:
                continue
            if until and line.time > until:
                break
            emit(line)
    finally:
        os.close(fd)


def _tail_offset(fd: int, count: int) -> int:
    """Where the last ``count`` lines begin; reads backwards, in bounded memory."""
    end = os.fstat(fd).st_size
    seen = 0
    position = end
    while position > 0:
        start = max(0, position - _CHUNK)
        data = os.pread(fd, position - start, start)
        at = len(data)
        while (at := data.rfind(b"\n", 0, at)) >= 0:
            if start + at + 1 < end:
                seen += 1
            if seen == count or count == 0:
                return start + at + 1
        position = start
    return 0


def _records(engine: Engine, container: Container, fd: int, follow: bool) -> Iterator[LogLine]:
    parts: list[bytes] = []  # of a line whose end is not there yet
    ended = not follow
    while True:
        data = os.read(fd, _CHUNK)
        if not data:
            if ended:
                return
            ended = not _runs(engine, container)
            if not ended:
                time.sleep(_POLL)
            continue
        if b"\n" not in data:
            parts.append(data)
            continue
        *lines, rest = (b"".join(parts) + data).split(b"\n")
        parts = [rest]
        for raw in lines:
            line = _parse(raw)
            if line is not None:
                yield line


def _runs(engine: Engine, container: Container) -> bool:
    try:
        return model.read(engine, container.id).is_running
    except FileNotFoundError:
        return False


def _parse(raw: bytes) -> LogLine | None:
    """A record, or None for a line that is none (a full disk can cut one)."""
    try:
        value = statefile.loads(raw)
        return LogLine(str(value["log"]), str(value["stream"]), str(value["time"]))
    except (ValueError, KeyError, TypeError):
        return None
