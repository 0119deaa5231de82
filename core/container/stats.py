"""What containers use now: from control groups where there are some, else counted over their processes (by C:
ext/src/process/usage.h).

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

from pod.core import statefile
from pod.core.container import model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine

_LOOKS = "looks"
"""A file of the run directory: a row of each container of the store (Watched.text), the newest first."""
_RECENT = 5.0
"""Seconds for which a look counts as the one before."""
_STEADY = ("running", "paused", "created", "exited")
"""Statuses that hold as long as the records are the same and the processes live."""
_MOST = 16 << 20
_KINDS = (str, str, str, int, dict, int, int, int, int, float, float)
"""A row of _LOOKS: id, name, stamp, limit, places, process and supervisor (pid, start time), when, processor time."""


class Sample:
    """One look. ``at``: seconds of the monotonic clock; ``cpu``: seconds of processor time; the rest in bytes."""

    __slots__ = ("at", "cpu", "limit", "memory", "pids", "read", "received", "sent", "written")

    def __init__(self) -> None:
        self.at = time.monotonic()
        self.cpu = 0.0
        self.memory = self.limit = self.pids = 0
        self.received = self.sent = self.read = self.written = 0


class Watched:
    """What a look needs of a container: so much can be remembered until its records change.

    ``process`` and ``supervisor`` are (pid, start time), (0, 0) where there is none; ``limit`` is --memory or 0;
    ``places`` says of those controllers that a group holds the kind and the folder; ``stamp`` is which records these
    were, "" where they tell nothing of the next moment.
    """

    __slots__ = ("id", "limit", "name", "places", "process", "stamp", "supervisor")

    def __init__(self, row: list[Any]) -> None:
        self.id, self.name, self.stamp, self.limit, self.places = row[:5]
        self.process, self.supervisor = (row[5], row[6]), (row[7], row[8])

    def text(self, look: Sample | None) -> str:
        """The row that :class:`Watched` is made of again, with what was seen, as JSON: names have nothing to escape."""
        places = statefile.dumps(self.places) if self.places else "{}"
        numbers = (*self.process, *self.supervisor, *((look.at, look.cpu) if look else ()))
        return f'["{self.id}","{self.name}","{self.stamp}",{self.limit},{places},{",".join(map(repr, numbers))}]'


def watch(container: Container, stamp: str) -> Watched:
    """What its records say, which were those of ``stamp`` (:func:`stamp`, before they were read)."""
    state, limits = container.state, container.state.get("limits")
    places = limits["places"] if isinstance(limits, dict) and limits.get("groups") else {}
    # One that --rm is to take away is looked at by whoever can do that.
    steady = container.status in _STEADY and (container.pid or not container.config["HostConfig"]["AutoRemove"])
    memory = int(container.config["HostConfig"].get("Memory") or 0)
    row = [container.id, container.name, stamp if steady else "", memory, places]
    process = (container.pid, int(state["pidStart"])) if container.pid else (0, 0)
    supervised = container.status in model.LIVE and process[0]
    supervisor = (int(state["supervisor"]), int(state["supervisorStart"])) if supervised else (0, 0)
    return Watched([*row, *process, *supervisor])


def stamp(engine: Engine, container_id: str) -> str:
    """Which records a container has: each is a new file whenever it changes."""
    found = []
    for name in ("state.json", "changes.json"):
        try:
            info = os.stat(f"{engine.paths.containers}/{container_id}/{name}")
            found.append(f"{info.st_ino}.{info.st_mtime_ns}")
        except OSError:
            found.append("")
    return " ".join(found)


def samples(watched: list[Watched], *, whole: bool = True) -> dict[str, Sample]:
    """Each of them now, by id; all zeros where it does not run. Not ``whole``: ``at``, ``cpu`` and ``pids`` alone."""
    found = {one.id: Sample() for one in watched}
    running = [one for one in watched if one.process[0]]
    if not running:
        return found
    from pod.ext import process

    wanted = [(*one.process, *one.supervisor, "memory" in one.places) for one in running]
    memory = _numbers("/proc/meminfo", (b"MemTotal:",))[0] * 1024 if whole else 0
    for one, numbers in zip(running, process.usage(wanted, whole)):
        if numbers is None:
            continue
        sample = found[one.id]
        sample.at, sample.cpu = numbers[0] / 1e9, numbers[1] / 1e9
        sample.pids, sample.memory, sample.read, sample.written, sample.received, sample.sent = numbers[2:]
        if one.places:
            _ask_groups(sample, one, whole=whole)
        if whole:
            sample.limit = min(memory, one.limit) if one.limit else memory
    return found


def _ask_groups(found: Sample, watched: Watched, *, whole: bool) -> None:
    """What the groups count themselves takes the place of what was counted."""
    for controller, (kind, above) in watched.places.items():
        folder = f"{above}/pod-{watched.id[:24]}/"
        old = kind == "cgroup v1"
        if controller == "cpu" and not old:
            found.cpu = _numbers(folder + "cpu.stat", (b"usage_usec",))[0] / 1e6 or found.cpu
        elif controller == "memory" and whole:
            used = _number(folder + ("memory.usage_in_bytes" if old else "memory.current"))
            unused = b"total_inactive_file" if old else b"inactive_file"
            if used:
                found.memory = max(0, used - _numbers(folder + "memory.stat", (unused,))[0])
        elif controller == "pids" and whole:
            found.pids = _number(folder + "pids.current") or found.pids


def _number(path: str) -> int:
    text = _read(path).strip()
    return int(text) if text.isdigit() else 0


def remember(engine: Engine, every: list[Watched], looks: dict[str, Sample]) -> None:
    """Keeps what was seen for the next look, which then need not wait (:func:`earlier`), and of ``every`` container of
    the store what its records say (:func:`remembered`).
    """
    rows = [one.text(looks.get(one.id)) for one in every]
    try:
        fd = os.open(f"{engine.run_dir}/{_LOOKS}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            os.write(fd, f"[{','.join(rows)}]".encode())
        finally:
            os.close(fd)
    except OSError:
        return


def looked(engine: Engine) -> list[list[Any]]:
    """The rows that :func:`remember` wrote; [] where the file is not as it writes it, or half of it."""
    try:
        rows = statefile.loads(_read(f"{engine.run_dir}/{_LOOKS}", _MOST) or b"[]")
    except (ValueError, RecursionError):
        return []
    return rows if isinstance(rows, list) and all(map(_is_sound, rows)) else []


def _is_sound(row: Any) -> bool:
    if not isinstance(row, list) or len(row) not in (9, 11) or not all(map(isinstance, row, _KINDS)):
        return False
    numbers: list[int] = [row[3], *row[5:9]]
    return min(numbers) >= 0 and max(numbers[1], numbers[3]) < 1 << 31 and max(numbers) < 1 << 62


def remembered(engine: Engine, rows: list[list[Any]]) -> list[Watched]:
    """Every container of the store, if none has come, gone or changed since ``rows`` (:func:`looked`); else []."""
    ids = model.list_ids(engine)
    if len(ids) != len(rows) or {row[0] for row in rows} != set(ids):
        return []
    return [Watched(row) for row in rows] if all(row[2] and row[2] == stamp(engine, row[0]) for row in rows) else []


def earlier(rows: list[list[Any]], watched: list[Watched]) -> dict[str, Sample]:
    """By id what ``rows`` say that was seen of these some seconds ago; nothing of those that were started or paused
    since.
    """
    now, found = time.monotonic(), {}
    stamps = {one.id: one.stamp for one in watched}
    for row in rows:
        if len(row) == 11 and row[2] and stamps.get(row[0]) == row[2] and 0 <= now - row[9] <= _RECENT and row[10] >= 0:
            look = found[row[0]] = Sample()
            look.at, look.cpu, look.pids = row[9], row[10], 1
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
