"""The processes of a running container as the host's /proc shows them."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container


class Process:
    """One process. ``ticks``: its processor time and that of its children that ended and were waited for; ``start``:
    when it did, after boot; both in clock ticks.
    """

    __slots__ = ("parent", "pid", "start", "ticks")

    def __init__(self, pid: int, parent: int, ticks: int, start: int) -> None:
        self.pid = pid
        self.parent = parent
        self.ticks = ticks
        self.start = start


def processes(container: Container) -> list[Process]:
    """Of the container, its first one first, exec's included; [] where it does not run.

    They are known by the namespace that no other container has: of pids where it has one of its own, else of mounts.
    What went into further namespaces is found as a child of these. pod's own processes in there are left out.
    """
    if not container.pid:
        return []
    from pod.ext import process

    found = [Process(*numbers) for numbers in process.members(container.pid, int(container.state["pidStart"]))]
    return sorted(found, key=lambda one: (one.pid != container.pid, one.start, one.pid))
