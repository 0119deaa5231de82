"""Resource limits of run, create, update and build: flags to members of HostConfig, with Docker's checks and words."""

from __future__ import annotations

from pod.core import statefile
from pod.core.errors import StoreCorrupt, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options

_PLAIN = (
    ("blkio-weight", "BlkioWeight"),
    ("cgroup-parent", "CgroupParent"),
    ("cpu-period", "CpuPeriod"),
    ("cpu-quota", "CpuQuota"),
    ("cpu-shares", "CpuShares"),
    ("cpuset-cpus", "CpusetCpus"),
    ("cpuset-mems", "CpusetMems"),
    ("memory", "Memory"),
    ("memory-reservation", "MemoryReservation"),
    ("memory-swap", "MemorySwap"),
    ("oom-kill-disable", "OomKillDisable"),
    ("oom-score-adj", "OomScoreAdj"),
    ("pids-limit", "PidsLimit"),
    ("device-cgroup-rule", "DeviceCgroupRules"),
)
_DEVICES = (
    ("device-read-bps", "BlkioDeviceReadBps", True),
    ("device-read-iops", "BlkioDeviceReadIOps", False),
    ("device-write-bps", "BlkioDeviceWriteBps", True),
    ("device-write-iops", "BlkioDeviceWriteIOps", False),
)
FLAGS = frozenset(
    (*(flag for flag, _ in _PLAIN), *(row[0] for row in _DEVICES), "blkio-weight-device", "cpus", "memory-swappiness")
)
"""What :func:`members` reads."""
REALTIME = frozenset(("cpu-rt-period", "cpu-rt-runtime"))

_LEAST_MEMORY = 6 << 20


def members(options: Options) -> dict[str, Any]:
    """Those members of HostConfig that were given and mean something. UsageError with Docker's words."""
    given = options.given
    if not REALTIME.isdisjoint(given):
        raise UsageError(
            "--cpu-rt-period and --cpu-rt-runtime: real-time processor time is the host administrator's to give",
            hint="--ulimit rtprio=… holds where your own limit allows it",
        )
    found: dict[str, Any] = {}
    for flag, member in _PLAIN:
        if flag in given and options[flag]:
            found[member] = options[flag]
    if "cpus" in given and options["cpus"]:
        found["NanoCpus"] = options["cpus"]
    if "memory-swappiness" in given and options["memory-swappiness"] != -1:
        found["MemorySwappiness"] = options["memory-swappiness"]
    for flag, member, in_bytes in _DEVICES:
        if flag in given:
            found[member] = [_rate(flag, text, in_bytes=in_bytes) for text in options[flag]]
    if "blkio-weight-device" in given:
        found["BlkioWeightDevice"] = [_device_weight(text) for text in options["blkio-weight-device"]]
    return found


def members_of_run(options: Options) -> dict[str, Any]:
    """The same, checked: of a new container, where all that counts is there."""
    found = members(options)
    check(found)
    return found


def check(host: dict[str, Any]) -> None:
    """UsageError, as Docker's daemon words it, for limits that cannot be meant."""
    _check_memory(host)
    _check_processor(host)
    weight = host.get("BlkioWeight", 0)
    if weight and not 10 <= weight <= 1000:
        raise UsageError("Range of blkio weight is from 10 to 1000")
    score = host.get("OomScoreAdj", 0)
    if not -1000 <= score <= 1000:
        raise UsageError(f"Invalid value {score}, range for oom score adj is [-1000, 1000]")
    for rule in host.get("DeviceCgroupRules", ()):
        _check_rule(rule)


def _check_memory(host: dict[str, Any]) -> None:
    limit, swap = host.get("Memory", 0), host.get("MemorySwap", 0)
    reserved, swappiness = host.get("MemoryReservation", 0), host.get("MemorySwappiness")
    if limit and limit < _LEAST_MEMORY:
        raise UsageError("Minimum memory limit allowed is 6MB")
    if limit and 0 < swap < limit:
        raise UsageError("Minimum memoryswap limit should be larger than memory limit, see usage")
    if swap > 0 and not limit:
        raise UsageError("You should always set the Memory limit when using Memoryswap limit, see usage")
    if swappiness is not None and not 0 <= swappiness <= 100:
        raise UsageError(f"Invalid value: {swappiness}, valid memory swappiness range is 0-100")
    if reserved and reserved < _LEAST_MEMORY:
        raise UsageError("Minimum memory reservation allowed is 6MB")
    if limit and reserved > limit:
        raise UsageError("Minimum memory limit can not be less than memory reservation limit, see usage")


def _check_processor(host: dict[str, Any]) -> None:
    nano, period, quota = host.get("NanoCpus", 0), host.get("CpuPeriod", 0), host.get("CpuQuota", 0)
    online = _online("/sys/devices/system/cpu/online")
    if nano and period:
        raise UsageError("Conflicting options: Nano CPUs and CPU Period cannot both be set")
    if nano and quota:
        raise UsageError("Conflicting options: Nano CPUs and CPU Quota cannot both be set")
    if nano and not 10_000_000 <= nano <= len(online) * 1_000_000_000:
        raise UsageError(
            f"Range of CPUs is from 0.01 to {len(online)}.00, as there are only {len(online)} CPUs available"
        )
    if period and not 1000 <= period <= 1_000_000:
        raise UsageError("CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)")
    if 0 < quota < 1000:
        raise UsageError("CPU cfs quota can not be less than 1ms (i.e. 1000)")
    if host.get("CpuShares", 0) < 0:
        raise UsageError(f"shares value of {host['CpuShares']} is invalid")
    for member, words, where in (
        ("CpusetCpus", "cpuset cpus", "/sys/devices/system/cpu/online"),
        ("CpusetMems", "cpuset mems", "/sys/devices/system/node/online"),
    ):
        if member in host:
            _check_set(words, host[member], _online(where))


def _online(path: str) -> frozenset[int]:
    from pod.core.runtime import limits

    try:
        return limits.parse_set(statefile.read_bytes_of_proc(path).decode("ascii").strip())
    except (OSError, ValueError, StoreCorrupt):
        return frozenset((0,))


def _check_set(words: str, text: str, online: frozenset[int]) -> None:
    from pod.core.runtime import limits

    try:
        wanted = limits.parse_set(text)
    except ValueError:
        raise UsageError(f"Invalid value {text} for {words}") from None
    if not wanted <= online:
        kind = "CPUs" if words.endswith("cpus") else "memory nodes"
        there = ",".join(map(str, sorted(online)))
        raise UsageError(f"Requested {kind} are not available - requested {text}, available: {there}")


def _rate(flag: str, text: str, *, in_bytes: bool) -> dict[str, Any]:
    """ "/dev/sda:1mb" as {"Path", "Rate"}."""
    from pod.cli import flag_values

    path, colon, rate = text.rpartition(":")
    example = "1mb" if in_bytes else "100"
    if not colon or not path.startswith("/dev/"):
        raise UsageError(f"--{flag}: bad format: {text}", hint=f"the form is /dev/sda:{example}")
    try:
        number = flag_values.parse_bytes(rate) if in_bytes else int(rate)
    except ValueError:
        number = -1
    if number < 0:
        raise UsageError(f"--{flag}: invalid rate for device: {text}", hint=f"the form is /dev/sda:{example}")
    return {"Path": path, "Rate": number}


def _device_weight(text: str) -> dict[str, Any]:
    path, colon, weight = text.rpartition(":")
    if not colon or not path.startswith("/dev/"):
        raise UsageError(f"--blkio-weight-device: bad format: {text}", hint="the form is /dev/sda:500")
    if not (weight.isascii() and weight.isdigit()) or (int(weight) and not 10 <= int(weight) <= 1000):
        raise UsageError(f"--blkio-weight-device: invalid weight for device: {text}", hint="10 to 1000, or 0")
    return {"Path": path, "Weight": int(weight)}


def _check_rule(rule: str) -> None:
    kind, _, rest = rule.partition(" ")
    number, _, mode = rest.partition(" ")
    halves = number.split(":")
    right = len(halves) == 2 and all(half == "*" or (half.isascii() and half.isdigit()) for half in halves)
    if kind not in ("a", "b", "c") or not right or not mode or set(mode) - set("rwm"):
        raise UsageError(f"invalid device cgroup format '{rule}'", hint="the form is: c 42:* rmw")
