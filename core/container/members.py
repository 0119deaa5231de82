"""The processes of a running container as the host's /proc shows them."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container

MOST = 1 << 22
"""Processes that are looked at; a kernel has no more pids."""


class Process:
    """One process. ``ticks``: processor time in clock ticks, of its children that ended and were waited for too."""

    __slots__ = ("parent", "pid", "start", "threads", "ticks")

    def __init__(self, pid: int, fields: list[bytes]) -> None:
        self.pid = pid
        self.parent = int(fields[1])
        self.ticks = sum(map(int, fields[11:15]))
        self.threads = int(fields[17])
        self.start = int(fields[19])


def processes(container: Container) -> list[Process]:
    """Of the container, its first one first, exec's included; [] where it does not run.

    They are known by the namespace that no other container has: of pids where it has one of its own, else of mounts.
    What went into further namespaces is found as a child of these. pod's own processes in there are left out.
    """
    first = container.pid
    own = os.readlink("/proc/self/ns/pid")
    if not first:
        return []
    try:
        kind = "pid" if os.readlink(f"/proc/{first}/ns/pid") != own else "mnt"
        wanted = os.readlink(f"/proc/{first}/ns/{kind}")
    except OSError:
        return []
    every: dict[int, Process] = {}
    inside: set[int] = set()
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        process = look(int(entry))
        if process is None:
            continue
        every[process.pid] = process
        try:
            if os.readlink(f"/proc/{entry}/ns/{kind}") == wanted and not (kind == "mnt" and _is_ours(entry)):
                inside.add(process.pid)
        except OSError:
            continue
    for pid in sorted(every):
        _follow(pid, every, inside)
    order = sorted(inside, key=lambda pid: (pid != first, every[pid].start, pid))
    return [every[pid] for pid in order]


def _follow(pid: int, every: dict[int, Process], inside: set[int]) -> None:
    """Adds ``pid`` where one that it descends from is inside."""
    path: list[int] = []
    while pid in every and pid not in inside and len(path) <= len(every):
        path.append(pid)
        pid = every[pid].parent
    if pid in inside:
        inside.update(path)


def _is_ours(pid: str) -> bool:
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
