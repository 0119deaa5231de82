"""One process that unpacks the layers of a pull, several at a time, while others download.

It is forked before this process has any thread (a fork copies the locks of other threads in whatever state they are),
goes into the id map's user namespace, and gets work over a socket: a request as JSON with its descriptors beside it
(unpacking.Unpacking), answered by JSON under the same number. Each layer is unpacked by a child of its own, behind
walls (unpacking.Apart). It lives as long as the socket's other end: whoever closes that, or dies, ends it and its
children in the middle of their work.
"""

from __future__ import annotations

import contextlib
import errno
import os
import socket

from pod.core import statefile
from pod.core.errors import PodError
from pod.core.image import unpacking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, NoReturn

    from pod.core.engine import Engine
    from pod.core.runtime.userns import IdMap

_MESSAGE = 1 << 16
_MAX_DESCRIPTORS = 5
_GONE = "extract layers: the process that does it ended"
_PATIENCE = 5.0
"""Seconds in which it ends itself and its children once nobody asks any more."""


class Answer:
    """What became of request ``number``: ``found`` (see unpacking.Apart.result) or ``error``."""

    __slots__ = ("error", "found", "number")

    def __init__(self, number: int, found: list[Any], error: PodError | None) -> None:
        self.number = number
        self.found = found
        self.error = error


class Extractor:
    """The caller's side. Must be made where the process has one thread; :meth:`close` ends the process."""

    __slots__ = ("_pid", "_socket")

    def __init__(self, engine: Engine, idmap: IdMap) -> None:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        engine.run_dir  # noqa: B018 - the child must find it known, not make one of its own
        try:
            self._pid = os.fork()
        except OSError as error:
            ours.close()
            theirs.close()
            raise PodError(f"extract layers: start a process: {error.strerror}", hint=unpacking.LIMITS) from None
        if self._pid == 0:
            statefile.close_unwritten(ours.detach())
            _live(theirs, engine, idmap)
        statefile.close_unwritten(theirs.detach())
        self._socket = ours

    def fileno(self) -> int:
        return self._socket.fileno()

    def submit(self, number: int, job: unpacking.Unpacking) -> None:
        """Hands a prepared job over; its descriptors may be closed then. Answers come in any order."""
        message = statefile.dumps([number, job.request()]).encode()
        try:
            socket.send_fds(self._socket, [message], job.descriptors())
        except OSError as error:
            raise PodError(f"{_GONE}: {error.strerror}") from None

    def receive(self) -> Answer:
        """The next answer. PodError where the process is no more, or could not begin."""
        try:
            data = self._socket.recv(_MESSAGE)
        except OSError:
            data = b""
        if not data:
            raise PodError(_GONE, hint=unpacking.LIMITS)
        number, found, failure = statefile.loads(data)
        error = None
        if failure is not None:
            message, hint, code = failure
            error = unpacking.Refused(message, hint=hint, errno=code)
        if number < 0 and error is not None:
            raise error
        return Answer(number, found, error)

    def close(self) -> None:
        """Ends the process, in the middle of its work if need be, and waits until nothing of it is left."""
        import signal

        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR)  # It kills its children, then ends: its end closes after theirs.
            self._socket.settimeout(_PATIENCE)
            while self._socket.recv(_MESSAGE):
                pass
        self._socket.close()
        with contextlib.suppress(PermissionError):
            os.kill(self._pid, signal.SIGKILL)
        os.waitpid(self._pid, 0)


def _live(channel: socket.socket, engine: Engine, idmap: IdMap) -> NoReturn:
    """The process itself; a fork must not run the caller's handlers, so it ends here whatever happens."""
    import signal

    try:
        for number in (signal.SIGINT, signal.SIGQUIT, signal.SIGHUP):
            signal.signal(number, signal.SIG_IGN)  # The caller decides about those of the terminal.
        _serve(channel, engine, idmap)
    except OSError as error:
        _tell(channel, -1, [], unpacking.Refused(f"extract layers: {error}", errno=error.errno or 0))
    except PodError as error:
        _tell(channel, -1, [], error)
    except BaseException as error:  # noqa: BLE001
        _tell(channel, -1, [], PodError(f"extract layers: {error!r}: this is a bug in pod"))
    finally:
        os._exit(0)


def _serve(channel: socket.socket, engine: Engine, idmap: IdMap) -> None:
    import select

    from pod.core.runtime import userns

    userns.enter(engine, idmap)
    asked = channel.fileno()
    working: dict[int, _Work] = {}
    try:
        while True:
            for descriptor in select.select([asked, *working], [], [])[0]:
                if descriptor == asked:
                    if not _begin(channel, working):
                        return
                elif working[descriptor].child.is_done():
                    _answer(channel, working.pop(descriptor))
    finally:
        for work in working.values():
            work.child.end()


class _Work:
    """What one child does: the request's number, and the folder's lock, which is to last as long as the child."""

    __slots__ = ("child", "held", "number")

    def __init__(self, number: int, child: unpacking.Apart, held: int) -> None:
        self.number = number
        self.child = child
        self.held = held


def _begin(channel: socket.socket, working: dict[int, _Work]) -> bool:
    """Takes one request; False where nobody will ask any more."""
    data, descriptors, _, _ = socket.recv_fds(channel, _MESSAGE, _MAX_DESCRIPTORS)
    if not data:
        return False
    number, request = statefile.loads(data)
    try:
        child = unpacking.Apart(request, descriptors)
        working[child.fileno()] = _Work(number, child, os.dup(descriptors[3]))
    except PodError as error:
        _tell(channel, number, [], error)
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    return True


def _answer(channel: socket.socket, work: _Work) -> None:
    try:
        _tell(channel, work.number, work.child.result(), None)
    except PodError as error:
        _tell(channel, work.number, [], error)
    finally:
        os.close(work.held)


def _tell(channel: socket.socket, number: int, found: list[Any], error: PodError | None) -> None:
    failure = None
    if error is not None:
        code = error.errno if isinstance(error, unpacking.Refused) else errno.EIO
        failure = [error.message[:4096], error.hint, code]
    try:
        channel.send(statefile.dumps([number, found, failure]).encode())
    except OSError:
        return  # Nobody listens any more.
