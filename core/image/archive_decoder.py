"""gzip and zstd that a pipe gives plain, decoded by a child behind walls (pod.ext.layer.start_decompress).

The caller has one thread. Whoever closes the pipe early ends the child.
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import PodError
from pod.core.image import compress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.image.compress import Written


class Decoder:
    """``fd`` gives what the gzip, zstd or plain stream ``source`` (after ``head``, which was read from it) holds."""

    __slots__ = ("_answer", "_child", "_feeder", "fd")

    def __init__(self, source: int, head: bytes = b"") -> None:
        from pod.ext import layer

        self._feeder = 0
        given = _feed(source, head, self) if head else os.dup(source)
        self.fd, writer = os.pipe2(os.O_CLOEXEC)
        try:
            self._child, self._answer = layer.start_decompress(given, writer, userns=True)
        except OSError as error:
            os.close(self.fd)
            self._end_feeder()
            raise PodError(f"decompress archive: {error.strerror}") from error
        finally:
            os.close(given)
            os.close(writer)

    def __enter__(self) -> Decoder:
        return self

    def finish(self) -> Written:
        """Once ``fd`` was read to its end: what was decoded. PodError where that was not all, or damaged."""
        from pod.ext import layer

        answer = self._answer
        self._answer = -1
        try:
            blob, size, diff, raw_size, _ = layer.extract_result(compress.answer_of(self._child, answer))
        except OSError as error:
            raise PodError(f"decompress archive: {error}") from error
        return compress.Written("sha256:" + blob, size, "sha256:" + diff, raw_size)

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        if self._answer >= 0:
            os.kill(self._child, 9)
            os.close(self._answer)
            os.waitpid(self._child, 0)
            self._answer = -1
        self._end_feeder()

    def _end_feeder(self) -> None:
        if self._feeder:
            os.kill(self._feeder, 9)
            os.waitpid(self._feeder, 0)
            self._feeder = 0


def _feed(source: int, head: bytes, decoder: Decoder) -> int:
    """A pipe that gives ``head`` and then the rest of ``source``, by a child that does nothing else."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid = os.fork()
    except OSError as error:
        os.close(reader)
        os.close(writer)
        raise PodError(f"decompress archive: start a process: {error.strerror}") from None
    if pid == 0:
        try:
            os.close(reader)
            data = head
            while data:
                statefile.put(writer, data)
                data = os.read(source, 1 << 20)
        finally:
            os._exit(0)
    os.close(writer)
    decoder._feeder = pid
    return reader
