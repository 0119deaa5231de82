"""What a container uses now: from its control groups where it has some, else counted over its processes.

    processor  cpu.stat of version 2; else utime and stime of every process, with those of its children that ended and
               were waited for. Of one whose parent is outside (exec), and of one that nobody waits for, what it used is
               lost with its end.
    memory     what the group has, without file pages that nobody used of late (docker/cli, calculateMemUsage…NoCache);
               else PSS: pages that several processes share are counted once. RSS where the kernel does not tell. The
               page cache of files, which a group counts too, is not in it.
    limit      --memory, else the host's memory
    network    of the container's own namespace, without lo; 0 in the host's, as Docker has it
    block I/O  read_bytes and write_bytes, of ended children too
    pids       threads, as the pids cgroup counts them
"""

from __future__ import annotations

import os
import time

from pod.core.container import members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container


class Sample:
    """One look. ``at``: seconds of the monotonic clock; ``cpu``: seconds of processor time; the rest in bytes."""

    __slots__ = ("at", "cpu", "limit", "memory", "pids", "read", "received", "sent", "written")

    def __init__(self) -> None:
        self.at = time.monotonic()
        self.cpu = 0.0
        self.memory = self.limit = self.pids = 0
        self.received = self.sent = self.read = self.written = 0


def sample(container: Container) -> Sample:
    """The container now; all zeros where it does not run."""
    found = Sample()
    processes = members.processes(container)
    tick = os.sysconf("SC_CLK_TCK")
    for process in processes:
        found.cpu += process.ticks / tick
        found.pids += process.threads
        found.memory += _memory(process.pid)
        numbers = _numbers(f"/proc/{process.pid}/io", (b"read_bytes:", b"write_bytes:"))
        found.read += numbers[0]
        found.written += numbers[1]
    if processes:
        found.limit = _numbers("/proc/meminfo", (b"MemTotal:",))[0] * 1024
        if container.config["HostConfig"].get("Memory"):
            found.limit = min(found.limit, int(container.config["HostConfig"]["Memory"]))
        found.received, found.sent = _network(processes[0].pid)
        limits = container.state.get("limits")
        if isinstance(limits, dict) and limits.get("groups"):
            _ask_groups(found, limits["places"], f"pod-{container.id[:24]}")
    return found


def _ask_groups(found: Sample, places: dict[str, list[str]], name: str) -> None:
    """What the groups count themselves takes the place of what was counted."""
    for controller, (kind, above) in places.items():
        folder = f"{above}/{name}/"
        if controller == "memory":
            old = kind == "cgroup v1"
            used = _number(folder + ("memory.usage_in_bytes" if old else "memory.current"))
            unused = b"total_inactive_file" if old else b"inactive_file"
            if used:
                found.memory = max(0, used - _numbers(folder + "memory.stat", (unused,))[0])
        elif controller == "pids":
            found.pids = _number(folder + "pids.current") or found.pids
        elif controller == "cpu" and kind != "cgroup v1":
            found.cpu = _numbers(folder + "cpu.stat", (b"usage_usec",))[0] / 1e6 or found.cpu


def _number(path: str) -> int:
    text = _read(path).strip()
    return int(text) if text.isdigit() else 0


def cpu_percent(before: Sample, after: Sample) -> float:
    """100 for one processor in use all the time between the two."""
    if not before.pids or not after.pids or after.at <= before.at:
        return 0.0
    return max(0.0, 100.0 * (after.cpu - before.cpu) / (after.at - before.at))


def _read(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(1 << 16)
    except OSError:
        return b""


def _numbers(path: str, names: tuple[bytes, ...]) -> list[int]:
    """The first number behind each name that begins a line; 0 where it is missing."""
    found = dict.fromkeys(names, 0)
    for line in _read(path).splitlines():
        name, _, rest = line.partition(b" ")
        if name in found:
            words = rest.split()
            found[name] = int(words[0]) if words and words[0].isdigit() else 0
    return list(found.values())


def _memory(pid: int) -> int:
    """Bytes of a process: its share of what it maps, else what it has resident."""
    share = _numbers(f"/proc/{pid}/smaps_rollup", (b"Pss:",))[0]
    return (share or _numbers(f"/proc/{pid}/status", (b"VmRSS:",))[0]) * 1024


def _network(pid: int) -> tuple[int, int]:
    """(received, sent) of the interfaces in the process' network namespace."""
    try:
        if os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net"):
            return 0, 0
    except OSError:
        return 0, 0
    received = sent = 0
    for line in _read(f"/proc/{pid}/net/dev").splitlines()[2:]:
        name, _, rest = line.partition(b":")
        fields = rest.split()
        if name.strip() != b"lo" and len(fields) >= 9:
            received += int(fields[0])
            sent += int(fields[8])
    return received, sent
