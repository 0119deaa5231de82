"""Answers of HTTP in bounds: what http.client leaves open, heads that drip and the framing of chunked bodies."""

from __future__ import annotations

import contextlib
import http.client
import io
import socket
import threading
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

HEAD_TIME = 60.0
"""Seconds until an answer's headers must be whole: a byte now and then keeps nobody for ever."""
MAX_LINE = 4096
"""Bytes of the size of a chunk with its extensions, and of all trailers of a chunked body."""
_HEX = frozenset(b"0123456789abcdefABCDEF")


class _Lines:
    """A file for reading lines that remembers the last one."""

    def __init__(self, file: io.BufferedIOBase) -> None:
        self._file = file
        self.last = b""

    def readline(self, limit: int = -1) -> bytes:
        self.last = self._file.readline(limit)
        return self.last

    def close(self) -> None:
        self._file.close()


class _BoundedAnswer(http.client.HTTPResponse):
    """What http.client leaves open: a head that breaks off is no answer (there its end would count as that of the
    headers), and a chunked body's framing is bounded (there a line may take for ever, and trailers may be any number).
    """

    def begin(self) -> None:
        whole: Any = self.fp
        lines: Any = _Lines(whole)
        self.fp = lines
        try:
            super().begin()
        finally:
            if self.fp is lines:
                self.fp = whole
        if not lines.last:
            raise http.client.IncompleteRead(b"")
        sizes = {size.strip() for size in ",".join(self.headers.get_all("Content-Length", [])).split(",")}
        if len(sizes) > 1 or not all(size.isascii() and (size.isdigit() or not size) for size in sizes):
            raise http.client.HTTPException("the length of its answer is no number")

    def _read_next_chunk_size(self) -> int:
        size = self._line(MAX_LINE, time.monotonic() + HEAD_TIME).partition(b";")[0].strip()
        if not size or len(size) > 15 or not _HEX.issuperset(size):
            self.close()
            raise http.client.IncompleteRead(b"")
        return int(size, 16)

    def _read_and_discard_trailer(self) -> None:
        left, end = MAX_LINE, time.monotonic() + HEAD_TIME
        while (line := self._line(left, end)) not in (b"\r\n", b"\n", b""):
            left -= len(line)

    def _line(self, limit: int, end: float) -> bytes:
        """Up to the next newline, or the end of all; IncompleteRead beyond ``limit`` bytes or after ``end``."""
        line = b""
        while len(line) <= limit and time.monotonic() < end:
            some = self.fp.peek(1)  # One read of the socket at most, which has its own time limit.
            stop = some.find(b"\n") + 1
            line += self.fp.read(stop or len(some))
            if stop or not some:
                return line
        self.close()
        raise http.client.IncompleteRead(b"")


class BoundedHead:
    """Mixin of both connections: headers that do not come whole within HEAD_TIME end the connection."""

    response_class: Any = _BoundedAnswer
    sock: Any
    timeout: Any

    def getresponse(self) -> Any:
        timer = threading.Timer(max(HEAD_TIME, self.timeout or 0.0), _shut_down, (self.sock,))
        timer.daemon = True
        with contextlib.suppress(RuntimeError):  # No more threads for this user: then without.
            timer.start()
        try:
            return super().getresponse()  # type: ignore[misc]  # of the connection that this is mixed into
        finally:
            timer.cancel()


def _shut_down(sock: Any) -> None:
    with contextlib.suppress(OSError, AttributeError):
        sock.shutdown(socket.SHUT_RDWR)
