"""From HostConfig's limits to what enforces them here, for one start.

    limit                     control group (core/cgroups.py)   without
    Memory                    memory                      the supervisor watches (ext/src/helper/watch.h): approximate
    MemorySwap, -Reservation  memory                      nothing
    NanoCpus, CpuQuota        cpu                         affinity to as many whole processors
    CpuShares                 cpu                         nothing
    CpusetCpus                cpuset                      affinity
    PidsLimit                 pids                        RLIMIT_NPROC in its user namespace, for each uid
    Blkio…                    io, blkio                   nothing
    OomScoreAdj               the process's own, anywhere

What nothing enforces is told on start, or refused (--strict-limits). What enforces each is in state.json, "limits",
and inspect shows it.
"""

from __future__ import annotations

import os

from pod.core import cgroups, statefile
from pod.core.errors import HostUnsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Container, Iterable, Mapping
    from typing import Any

FLAGS = {
    "BlkioDeviceReadBps": "--device-read-bps", "BlkioDeviceReadIOps": "--device-read-iops",
    "BlkioDeviceWriteBps": "--device-write-bps", "BlkioDeviceWriteIOps": "--device-write-iops",
    "BlkioWeight": "--blkio-weight", "BlkioWeightDevice": "--blkio-weight-device", "CpuPeriod": "--cpu-period",
    "CpuQuota": "--cpu-quota", "CpuShares": "--cpu-shares", "CpusetCpus": "--cpuset-cpus",
    "CpusetMems": "--cpuset-mems", "DeviceCgroupRules": "--device-cgroup-rule", "Memory": "--memory",
    "MemoryReservation": "--memory-reservation", "MemorySwap": "--memory-swap",
    "MemorySwappiness": "--memory-swappiness", "NanoCpus": "--cpus", "OomKillDisable": "--oom-kill-disable",
    "PidsLimit": "--pids-limit",
}  # fmt: skip

PERIOD = 100_000
"""Microseconds that --cpus is a share of, as Docker has it."""
_NPROC_SINCE = (5, 14)
"""The kernel that counts processes for each user namespace (getrlimit(2), user_namespaces(7))."""
_THROTTLES = {
    "BlkioDeviceReadBps": ("rbps", "read_bps"),
    "BlkioDeviceWriteBps": ("wbps", "write_bps"),
    "BlkioDeviceReadIOps": ("riops", "read_iops"),
    "BlkioDeviceWriteIOps": ("wiops", "write_iops"),
}


class Decision:
    """What one start does: ``folders`` get a group each, whose ``files`` are (number of the folder, file, value);
    ``affinity`` processors, None for all; ``memory`` bytes to be watched, ``nproc`` for RLIMIT_NPROC, 0 for none;
    ``score`` for oom_score_adj. ``by``: HostConfig's member to what enforces it; ``places``: controller to (kind,
    folder) of those that can be written to once it runs. ``lacking``: sentences about what nothing does, or not as
    exactly as a control group would.
    """

    __slots__ = ("affinity", "by", "files", "folders", "lacking", "memory", "nproc", "places", "score")

    def __init__(self) -> None:
        self.folders: list[str] = []
        self.files: list[tuple[int, str, str]] = []
        self.affinity: frozenset[int] | None = None
        self.memory = self.nproc = 0
        self.score = ""
        self.by: dict[str, str] = {}
        self.places: dict[str, tuple[str, str]] = {}
        self.lacking: list[str] = []

    def put(self, folder: str, file: str, value: object) -> None:
        """One line for a file of the group in ``folder``; "-file" where some kernels have none."""
        if folder not in self.folders:
            self.folders.append(folder)
        self.files.append((self.folders.index(folder), file, str(value)))


def decide(host: Mapping[str, Any], container_id: str, kernel: str) -> Decision:
    """For a start of the container on this ``kernel`` (uname's release). HostUnsupported where a limit cannot be set
    as it is asked, UsageError for a --cgroup-parent that is none.
    """
    parent = host.get("CgroupParent") or ""
    places = cgroups.find(parent)
    decision = Decision()
    _memory(decision, places, host)
    _processor(decision, places, host, int(container_id[:8], 16), os.sched_getaffinity(0))
    _cpuset(decision, places, host)
    _pids(decision, places, host, kernel)
    _blkio(decision, places, host)
    if host.get("OomScoreAdj"):
        decision.score = _score(int(host["OomScoreAdj"]))
        decision.by["OomScoreAdj"] = "oom_score_adj"
    if host.get("DeviceCgroupRules"):
        decision.lacking.append("--device-cgroup-rule has no effect: a container has the devices that --device names")
    if parent and not decision.folders:
        _join_parent(decision, places)
    for controller in ("memory", "cpu", "cpuset", "pids", "io"):
        kind, folder = places.of(controller)
        if folder in decision.folders:
            decision.places[controller] = (kind, folder)
    return decision


def _join_parent(decision: Decision, places: cgroups.Places) -> None:
    """A group without limits of its own, for those of its parent."""
    for folder in [places.unified] if places.unified else places.split.values():
        decision.folders.append(folder)
    decision.by["CgroupParent"] = cgroups.V2 if places.unified else cgroups.V1


def not_enforced(host: Mapping[str, Any], members: Iterable[str]) -> list[str]:
    """Sentences about those of ``members`` that are asked for, where nothing does anything about them."""
    words = "is not enforced: no control group of yours can limit that"
    return [f"{FLAGS[member]} {words}" for member in members if host.get(member)]


def _none(decision: Decision, host: Mapping[str, Any], *members: str) -> None:
    decision.lacking += not_enforced(host, members)


def _memory(decision: Decision, places: cgroups.Places, host: Mapping[str, Any]) -> None:
    limit, swap = int(host.get("Memory") or 0), int(host.get("MemorySwap") or 0)
    kind, folder = places.of("memory")
    if not kind:
        if limit:
            decision.memory = limit
            decision.by["Memory"] = "supervisor"
            decision.lacking.append(
                "--memory is enforced by watching alone, which is approximate: no control group of yours can limit it"
            )
        _none(decision, host, "MemorySwap", "MemoryReservation", "MemorySwappiness", "OomKillDisable")
        return
    for member in ("Memory", "MemorySwap", "MemoryReservation", "MemorySwappiness", "OomKillDisable"):
        if host.get(member) is not None and host[member] is not False:
            decision.by[member] = kind
    for file, value in memory_files(kind, host):
        decision.put(folder, file, value)
    for member in ("MemorySwappiness", "OomKillDisable"):
        if kind != cgroups.V1 and host.get(member) not in (None, False):
            del decision.by[member]
            decision.lacking.append(f"{FLAGS[member]} is not enforced: version 2 of control groups has no such limit")
    if swap and not _has_swap(kind, folder):
        decision.by.pop("MemorySwap", None)
        decision.lacking.append("--memory-swap is not enforced: this kernel does not account for swap")


def _has_swap(kind: str, folder: str) -> bool:
    return os.path.exists(f"{folder}/{'memory.swap.max' if kind != cgroups.V1 else 'memory.memsw.limit_in_bytes'}")


def memory_files(kind: str, host: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(file, value) of the memory controller; without --memory-swap as much swap as memory, as Docker has it."""
    limit, swap = int(host.get("Memory") or 0), int(host.get("MemorySwap") or 0)
    found: list[tuple[str, str]] = []
    if kind != cgroups.V1:
        if limit:
            found.append(("memory.max", str(limit)))
            found.append(("-memory.swap.max", "max" if swap < 0 else str(swap - limit if swap else limit)))
        if host.get("MemoryReservation"):
            found.append(("memory.low", str(host["MemoryReservation"])))
        return found
    if limit:
        found.append(("memory.limit_in_bytes", str(limit)))
        found.append(("-memory.memsw.limit_in_bytes", str(-1 if swap < 0 else swap or 2 * limit)))
    if host.get("MemoryReservation"):
        found.append(("memory.soft_limit_in_bytes", str(host["MemoryReservation"])))
    if host.get("MemorySwappiness") is not None:
        found.append(("memory.swappiness", str(host["MemorySwappiness"])))
    if host.get("OomKillDisable"):
        found.append(("memory.oom_control", "1"))
    return found


def by_affinity(host: Mapping[str, Any], container_id: str, groups: Container[str], free: set[int]) -> Decision:
    """What can be done of limits on processors without those control ``groups`` ("cpu", "cpuset") that hold it anyway,
    for one that may have the processors ``free``.
    """
    decision = Decision()
    if "cpu" not in groups:
        _processor(decision, cgroups.Places(), host, int(container_id[:8], 16), free)
    if "cpuset" not in groups:
        _cpuset(decision, cgroups.Places(), host)
    return decision


def _processor(
    decision: Decision, places: cgroups.Places, host: Mapping[str, Any], spread: int, mine: set[int]
) -> None:
    members = [name for name in ("NanoCpus", "CpuQuota", "CpuPeriod", "CpuShares") if host.get(name)]
    if not members:
        return
    kind, folder = places.of("cpu")
    if kind:
        decision.by.update(dict.fromkeys(members, kind))
        for file, value in processor_files(kind, host):
            decision.put(folder, file, value)
        return
    _none(decision, host, "CpuShares")
    share = processors(host)
    if not share:
        return
    whole = whole_processors(host)
    free = sorted(mine)
    for member in ("NanoCpus", "CpuQuota", "CpuPeriod"):
        if host.get(member):
            decision.by[member] = "affinity"
    if whole < len(free):
        start = spread % len(free)
        decision.affinity = frozenset((free + free)[start : start + whole])
    if share != whole or whole > len(free):
        flag = "--cpus" if host.get("NanoCpus") else "--cpu-quota"
        decision.lacking.append(
            f"{flag} is enforced by affinity alone, to {min(whole, len(free))} whole processors: "
            "no control group of yours can limit it"
        )


def processors(host: Mapping[str, Any]) -> float:
    """How many processors' time --cpus or --cpu-quota allow; 0 for no limit."""
    if host.get("NanoCpus"):
        return int(host["NanoCpus"]) / 1e9
    quota = int(host.get("CpuQuota") or 0)
    return quota / int(host.get("CpuPeriod") or PERIOD) if quota > 0 else 0.0


def whole_processors(host: Mapping[str, Any]) -> int:
    """As many as affinity gives for that time: the next whole number."""
    return -int(-processors(host) // 1)


def processor_files(kind: str, host: Mapping[str, Any]) -> list[tuple[str, str]]:
    """(file, value) of the cpu controller. Shares become a weight of 1 to 10000 as crun and runc have it."""
    period = int(host.get("CpuPeriod") or PERIOD)
    quota = int(host.get("CpuQuota") or 0)
    if host.get("NanoCpus"):
        period, quota = PERIOD, int(host["NanoCpus"]) * PERIOD // 1_000_000_000
    found: list[tuple[str, str]] = []
    if kind != cgroups.V1:
        if quota or host.get("CpuPeriod"):
            found.append(("cpu.max", f"{quota if quota > 0 else 'max'} {period}"))
        if host.get("CpuShares"):
            found.append(("cpu.weight", str(1 + (min(max(int(host["CpuShares"]), 2), 262144) - 2) * 9999 // 262142)))
        return found
    if quota or host.get("CpuPeriod"):
        found.append(("cpu.cfs_period_us", str(period)))
    if quota:
        found.append(("cpu.cfs_quota_us", str(quota)))
    if host.get("CpuShares"):
        found.append(("cpu.shares", str(host["CpuShares"])))
    return found


def _cpuset(decision: Decision, places: cgroups.Places, host: Mapping[str, Any]) -> None:
    if not host.get("CpusetCpus") and not host.get("CpusetMems"):
        return
    kind, folder = places.of("cpuset")
    if not kind:
        _none(decision, host, "CpusetMems")
        if host.get("CpusetCpus"):
            wanted = parse_set(host["CpusetCpus"])
            decision.affinity = wanted if decision.affinity is None else (decision.affinity & wanted) or wanted
            decision.by["CpusetCpus"] = "affinity"
        return
    for member, file in (("CpusetCpus", "cpuset.cpus"), ("CpusetMems", "cpuset.mems")):
        value = host.get(member) or ""
        if value:
            decision.by[member] = kind
        if kind == cgroups.V1 and not value:  # a new group has none, and nothing runs in it then
            value = statefile.read_bytes_of_proc(f"{folder}/{file}").decode("ascii", "replace").strip()
        if value:
            decision.put(folder, file, value)


def parse_set(text: str) -> frozenset[int]:
    """Numbers of a list like "0-3,7" (cpuset(7)). ValueError."""
    found: set[int] = set()
    for part in text.split(","):
        low, dash, high = part.strip().partition("-")
        high = high if dash else low
        if not all(number.isascii() and number.isdigit() and len(number) < 6 for number in (low, high)):
            raise ValueError(f"{text!r} is no list of numbers")
        if not int(low) <= int(high) < 8192:
            raise ValueError(f"{text!r} is no list of numbers that there can be")
        found.update(range(int(low), int(high) + 1))
    return frozenset(found)


def _pids(decision: Decision, places: cgroups.Places, host: Mapping[str, Any], kernel: str) -> None:
    limit = int(host.get("PidsLimit") or 0)
    if limit <= 0:
        return
    kind, folder = places.of("pids")
    if kind:
        decision.by["PidsLimit"] = kind
        decision.put(folder, "pids.max", limit)
    elif _version(kernel) >= _NPROC_SINCE:
        decision.nproc = limit
        decision.by["PidsLimit"] = "RLIMIT_NPROC"
        decision.lacking.append(
            "--pids-limit is enforced for each user of the container alone: no control group of yours can limit it"
        )
    else:
        _none(decision, host, "PidsLimit")


def _version(kernel: str) -> tuple[int, int]:
    numbers = [int(part) if part.isdigit() else 0 for part in kernel.split("-")[0].split(".")[:2]]
    return numbers[0], numbers[1] if len(numbers) > 1 else 0


def _blkio(decision: Decision, places: cgroups.Places, host: Mapping[str, Any]) -> None:
    members = [name for name in ("BlkioWeight", "BlkioWeightDevice", *_THROTTLES) if host.get(name)]
    if not members:
        return
    kind, folder = places.of("io")
    if not kind:
        _none(decision, host, *members)
        return
    for member in members:
        if member in _THROTTLES:
            unified, split = _THROTTLES[member]
            for row in host[member]:
                where = _device_number(FLAGS[member], row["Path"])
                if kind != cgroups.V1:
                    decision.put(folder, "io.max", f"{where} {unified}={row['Rate']}")
                else:
                    decision.put(folder, f"blkio.throttle.{split}_device", f"{where} {row['Rate']}")
        elif not _weight(decision, kind, folder, member, host[member]):
            continue
        decision.by[member] = kind


def _weight(decision: Decision, kind: str, folder: str, member: str, value: Any) -> bool:
    """Weights want a scheduler of the kernel's that knows them: bfq, or io.cost."""
    names = ("io.weight", "io.bfq.weight") if kind != cgroups.V1 else ("blkio.weight", "blkio.bfq.weight")
    file = next((name for name in names if os.path.exists(f"{folder}/{name}")), "")
    if not file or (member == "BlkioWeightDevice" and file == "blkio.bfq.weight"):
        decision.lacking.append(f"{FLAGS[member]} is not enforced: this kernel has no weights for devices")
        return False
    if member == "BlkioWeight":
        decision.put(folder, file, _io_weight(int(value)) if file == "io.weight" else value)
        return True
    for row in value:
        where = _device_number(FLAGS[member], row["Path"])
        weight = _io_weight(row["Weight"]) if file == "io.weight" else row["Weight"]
        decision.put(folder, "blkio.weight_device" if kind == cgroups.V1 else file, f"{where} {weight}")
    return True


def _io_weight(weight: int) -> int:
    """Of Docker's 10 to 1000 the same place within 1 to 10000."""
    return 1 + (weight - 10) * 9999 // 990


def _device_number(flag: str, path: str) -> str:
    try:
        info = os.stat(path)
    except OSError as error:
        raise HostUnsupported(f"{flag}: {path}: {error.strerror}", hint="give the path of a disk: /dev/sda") from None
    if info.st_mode >> 12 != 6:
        raise HostUnsupported(f"{flag}: {path}: not a block device", hint="give the path of a disk: /dev/sda")
    number = f"{info.st_rdev >> 8 & 0xFFF}:{info.st_rdev & 0xFF | info.st_rdev >> 12 & 0xFFF00}"
    device = os.path.realpath(f"/sys/dev/block/{number}")
    if os.path.exists(device + "/partition"):
        disk = os.path.basename(os.path.dirname(device))
        raise HostUnsupported(
            f"{flag}: {path}: a partition, and the kernel limits whole disks alone", hint=f"its disk: /dev/{disk}"
        )
    return number


def _score(wanted: int) -> str:
    now = int(statefile.read_bytes_of_proc("/proc/self/oom_score_adj").decode("ascii").strip() or 0)
    if wanted < now:
        raise HostUnsupported(
            f"--oom-score-adj: {wanted} is below your own {now}, and only root may lower it",
            hint=f"a value from {now} to 1000 can be had",
        )
    return str(wanted)
