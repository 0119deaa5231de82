"""The processes of a running container as the host's /proc shows them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container

MOST = 1 << 22
"""Processes that are looked at; a kernel has no more pids."""


class Process:
    """One process. ``own_ticks``: its processor time in clock ticks; ``ended_ticks``: of its children that ended and
    were waited for.
    """

    __slots__ = ("ended_ticks", "own_ticks", "parent", "pid", "start", "threads")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.pid = pid
        self.parent = int(fields[1])
        self.own_ticks = int(fields[11]) + int(fields[12])
        self.ended_ticks = int(fields[13]) + int(fields[14])
        self.threads = int(fields[17])
        self.start = int(fields[19])


class Crowd:
    """All processes of the machine at one look, for several containers."""

    __slots__ = ("_below", "_inside", "every", "memory")

    def __init__(self) -> None:
        self.memory = 0  # the machine's, in bytes, once somebody has asked
        self.every: dict[int, Process] = {}
        self._below: dict[int, list[int]] = {}
        """Numbers of processes by that of their parent."""
        self._inside: dict[str, dict[str, list[int]]] = {}
        """Numbers of processes by kind of a namespace and which one."""
        for entry in os.listdir("/proc"):
            process = look(int(entry)) if entry.isdigit() else None
            if process is not None:
                self.every[process.pid] = process
                self._below.setdefault(process.parent, []).append(process.pid)

    def inside(self, kind: str, wanted: str) -> list[int]:
        """Who has that namespace, as readlink(2) tells it."""
        if kind not in self._inside:
            found = self._inside[kind] = {}
            for pid in self.every:
                try:
                    found.setdefault(os.readlink(f"/proc/{pid}/ns/{kind}"), []).append(pid)
                except OSError:
                    continue
        return self._inside[kind].get(wanted, [])

    def descend(self, pids: set[int]) -> None:
        """Adds all that descend from ``pids``."""
        rest = list(pids)
        while rest:
            for pid in self._below.get(rest.pop(), ()):
                if pid not in pids:
                    pids.add(pid)
                    rest.append(pid)


def processes(container: Container, crowd: Crowd | None = None) -> list[Process]:
    """Of the container, its first one first, exec's included; [] where it does not run. ``crowd``: among these.

    They are known by the namespace that no other container has: of pids where it has one of its own, else of mounts.
    What went into further namespaces is found as a child of these. pod's own processes in there are left out.
    """
    first = container.pid
    if not first:
        return []
    try:
        own = os.readlink("/proc/self/ns/pid")
        kind = "pid" if os.readlink(f"/proc/{first}/ns/pid") != own else "mnt"
        wanted = os.readlink(f"/proc/{first}/ns/{kind}")
    except OSError:
        return []
    crowd = crowd or Crowd()
    inside = {pid for pid in crowd.inside(kind, wanted) if not (kind == "mnt" and _is_ours(pid))}
    crowd.descend(inside)
    every = crowd.every
    order = sorted(inside, key=lambda pid: (pid != first, every[pid].start, pid))
    return [every[pid] for pid in order]


def _is_ours(pid: int) -> bool:
    """The monitor of an exec and the emulator share the container's mounts, and are not of it."""
    try:
        return os.readlink(f"/proc/{pid}/exe").startswith("/memfd:pod-helper")
    except OSError:
        return False


def look(pid: int) -> Process | None:
    """The process as it is now; None where it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            text = file.read(4096)
        return Process(pid, text[text.rindex(b")") + 2 :].split())
    except (OSError, ValueError, IndexError):
        return None
