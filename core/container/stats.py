"""What a container uses now: from its control groups where it has some, else counted over its processes.

    processor  cpu.stat of version 2; else that of every process: what the scheduler counts for its threads, to the
               nanosecond (schedstat; else utime and stime, to the hundredth), with utime and stime of its children that
               ended and were waited for. Of one whose parent is outside (exec), and of one that nobody waits for, what
               it used is lost with its end.
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
    from pod.core.engine import Engine

_LOOKS = "looks"
"""A file of the run directory: id, age of the record, when (monotonic clock), processor time until then."""
_RECENT = 5.0
"""Seconds for which a look counts as the one before."""


class Sample:
    """One look. ``at``: seconds of the monotonic clock; ``cpu``: seconds of processor time; the rest in bytes."""

    __slots__ = ("at", "cpu", "limit", "memory", "pids", "read", "received", "sent", "written")

    def __init__(self) -> None:
        self.at = time.monotonic()
        self.cpu = 0.0
        self.memory = self.limit = self.pids = 0
        self.received = self.sent = self.read = self.written = 0


def sample(container: Container, crowd: members.Crowd, *, whole: bool = True) -> Sample:
    """The container now, whose processes are in ``crowd``; all zeros where it does not run. Not ``whole``: ``at``,
    ``cpu`` and ``pids`` alone.
    """
    found = Sample()
    processes = members.processes(container, crowd)
    tick = os.sysconf("SC_CLK_TCK")
    for process in processes:
        found.cpu += max(process.own_ticks / tick, _scheduled(process)) + process.ended_ticks / tick
        found.pids += process.threads
    found.at = time.monotonic()
    places = _groups(container) if processes else {}
    name = f"pod-{container.id[:24]}"
    if "cpu" in places and places["cpu"][0] != "cgroup v1":
        found.cpu = _numbers(f"{places['cpu'][1]}/{name}/cpu.stat", (b"usage_usec",))[0] / 1e6 or found.cpu
    if processes and whole:
        _sample_rest(found, container, crowd, processes)
        _ask_groups(found, places, name)
    return found


def _sample_rest(
    found: Sample, container: Container, crowd: members.Crowd, processes: list[members.Process]
) -> None:
    for process in processes:
        numbers = _numbers(f"/proc/{process.pid}/io", (b"read_bytes:", b"write_bytes:"))
        found.read += numbers[0]
        found.written += numbers[1]
    if "memory" not in _groups(container):
        found.memory = sum(_memory(process.pid) for process in processes)
    found.limit = crowd.memory = crowd.memory or _numbers("/proc/meminfo", (b"MemTotal:",))[0] * 1024
    if container.config["HostConfig"].get("Memory"):
        found.limit = min(found.limit, int(container.config["HostConfig"]["Memory"]))
    found.received, found.sent = _network(processes[0].pid)


def _groups(container: Container) -> dict[str, list[str]]:
    """Controller to kind and folder of those groups that the container has."""
    limits = container.state.get("limits")
    if not isinstance(limits, dict) or not limits.get("groups"):
        return {}
    places: dict[str, list[str]] = limits["places"]
    return places


def _scheduled(process: members.Process) -> float:
    """Seconds that its threads ran, of those that there are now; 0 where the kernel does not tell."""
    paths = [f"/proc/{process.pid}/schedstat"]
    if process.threads > 1:
        try:
            paths = [f"/proc/{process.pid}/task/{name}/schedstat" for name in os.listdir(f"/proc/{process.pid}/task")]
        except OSError:
            return 0.0
    words = [_read(path).split() for path in paths]
    return sum(int(one[0]) for one in words if one) / 1e9


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


def _number(path: str) -> int:
    text = _read(path).strip()
    return int(text) if text.isdigit() else 0


def remember(engine: Engine, looks: list[tuple[Container, Sample]]) -> None:
    """Keeps the processor times for the next look at these containers, which then need not wait (:func:`earlier`)."""
    lines = [f"{one.id} {_written(one)} {found.at} {found.cpu}\n" for one, found in looks if found.pids]
    try:
        fd = os.open(f"{engine.run_dir}/{_LOOKS}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, "".join(lines).encode())
        finally:
            os.close(fd)
    except OSError:
        return


def _written(container: Container) -> int:
    """When the record was: by each start and pause."""
    try:
        return os.stat(container.directory + "/state.json").st_mtime_ns
    except OSError:
        return 0


def earlier(engine: Engine, containers: list[Container]) -> dict[str, Sample]:
    """By id what was seen of these some seconds ago; nothing of those that were started or paused since."""
    now, found = time.monotonic(), {}
    written = {container.id: str(_written(container)) for container in containers}
    for line in _read(f"{engine.run_dir}/{_LOOKS}", 1 << 20).decode("ascii", "replace").splitlines():
        words = line.split()
        if len(words) != 4 or written.get(words[0]) != words[1]:
            continue
        try:
            at, cpu = float(words[2]), float(words[3])
        except ValueError:
            continue
        if 0 <= now - at <= _RECENT and cpu >= 0:
            look = found[words[0]] = Sample()
            look.at, look.cpu, look.pids = at, cpu, 1
    return found


def cpu_percent(before: Sample, after: Sample) -> float:
    """100 for one processor in use all the time between the two."""
    if not before.pids or not after.pids or after.at <= before.at:
        return 0.0
    return max(0.0, 100.0 * (after.cpu - before.cpu) / (after.at - before.at))


def _read(path: str, most: int = 1 << 16) -> bytes:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return b""
    try:
        parts = []
        while most > 0 and (part := os.read(fd, most)):  # the kernel gives some files by the page
            parts.append(part)
            most -= len(part)
        return b"".join(parts)
    except OSError:
        return b""
    finally:
        os.close(fd)


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
