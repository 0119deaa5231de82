"""Locks beyond the usual: what stands in where flock(2) is refused, and whether who holds one is stopped. Read by
statefile.Lock, once it has to wait.
"""

from __future__ import annotations

import os
import time

from pod.core import statefile
from pod.core.errors import Busy

_OFD_SETLK = 37
_MAX_LOCKS = 4 << 20


STOPPED = 1.0
"""Seconds for which a holder that is stopped is waited for: who debugs a process stops it for moments."""


def wait(fd: int, path: str, shared: bool, timeout: float | None, optional: bool) -> bool:
    """Waits for a lock that could not be had at once, as statefile.Lock says; False: there is none, or the caller is to
    do without. Busy.
    """
    begin = time.monotonic()
    stopped, since, pause = 0, begin, 0.001
    while True:
        got = _try(fd, shared=shared)
        if got is not False:
            return got is True
        now = time.monotonic()
        message, hint = "", None
        if timeout is not None and now - begin > timeout:
            message = f"held by another process for {timeout:g} s"
        elif pause >= 0.1:
            found = stopped_holder(fd)
            if not found or found != stopped:
                stopped, since = found, now
            elif now - since > STOPPED:
                message = f"held by process {stopped}, which is stopped"
                hint = f"let it go on (kill -CONT {stopped}) or end it (kill -KILL {stopped})"
        if message and optional:
            return False
        if message:
            raise Busy(f"lock: {path}: {message}", hint=hint)
        time.sleep(pause)
        pause = min(pause * 2, 0.1)


def _try(fd: int, *, shared: bool) -> bool | None:
    """Whether the lock could be had just now; None where there are none.

    flock(2); where that is refused (ENOLCK, ENOSYS, EOPNOTSUPP: NFS and Lustre as they may be mounted) a lock of the
    open file description (fcntl(2)), which lasts and ends as the other does.
    """
    import fcntl

    try:
        fcntl.flock(fd, (fcntl.LOCK_SH if shared else fcntl.LOCK_EX) | fcntl.LOCK_NB)
        return True
    except BlockingIOError:
        return False
    except OSError:
        pass
    import struct

    kind = fcntl.F_RDLCK if shared else fcntl.F_WRLCK
    try:
        fcntl.fcntl(fd, _OFD_SETLK, struct.pack("=hhxxxxqqixxxx", kind, 0, 0, 0, 0))  # struct flock of 64-bit Linux
        return True
    except (BlockingIOError, PermissionError):
        return False
    except OSError:
        return None


def stopped_holder(fd: int) -> int:
    """The pid of a stopped process (SIGSTOP, a debugger) that has the file of ``fd`` locked by flock, or of a stopped
    child for which such a one waits; 0 where none is known.

    By /proc/locks (proc(5)): "1: FLOCK  ADVISORY  WRITE 706 08:01:1234 0 EOF".
    """
    inode = str(os.fstat(fd).st_ino).encode()
    try:
        lines = statefile.read_bytes_of_proc("/proc/locks", _MAX_LOCKS).splitlines()
    except OSError:
        return 0
    for line in lines:
        words = line.split()
        if len(words) == 8 and words[1] == b"FLOCK" and words[5].rpartition(b":")[2] == inode:
            pid = int(words[4])
            for one in (pid, *_children(pid)):
                if is_stopped(one):
                    return one
    return 0


def stopped_holder_of(path: str) -> int:
    """:func:`stopped_holder` of the file ``path``."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return 0
    try:
        return stopped_holder(fd)
    finally:
        os.close(fd)


def is_stopped(pid: int) -> bool:
    """Whether the process is stopped by a signal or a tracer (states T and t of proc(5))."""
    try:
        return statefile.read_bytes_of_proc(f"/proc/{pid}/stat").rpartition(b")")[2].split()[0] in (b"T", b"t")
    except (OSError, IndexError):
        return False


def _children(pid: int) -> list[int]:
    try:
        return [int(word) for word in statefile.read_bytes_of_proc(f"/proc/{pid}/task/{pid}/children").split()]
    except OSError:
        return []
