"""Work in a process that nobody waits for: no child of ours, and none of our descriptors."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

_DESCRIPTORS = 4096


def run(work: Callable[[], object]) -> None:
    """Begins ``work`` and returns. Where no process can be made it is not done, and what it fails with is told to
    nobody: so it must be something that a later command finds undone and does.

    Must be called where this process has one thread.
    """
    try:
        child = os.fork()
    except OSError:
        return
    if child:
        os.waitpid(child, 0)
        return
    try:
        os.setsid()
        if os.fork() == 0:
            null = os.open("/dev/null", os.O_RDWR)
            for fd in (0, 1, 2):
                os.dup2(null, fd)
            os.closerange(3, _DESCRIPTORS)
            os.chdir("/")
            work()
    finally:
        os._exit(0)
