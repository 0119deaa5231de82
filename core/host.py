"""What this host can do for a plain user, found by trying (host_probe) and remembered for this boot.

Record, RUN_DIR/facts: {"version": 1, "key": …, and every name of :class:`Facts`}. It is taken only if its key is ours:
same build, ids, user namespace, no_new_privs and seccomp state of this process, and unchanged sub-id files and
newuidmap. A host that allows no user namespaces is not remembered: whoever allows them then need not reboot.

On the warm path: one small file is read, nothing heavy is imported.
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import StoreCorrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine

_VERSION = 1
_FIRST_USERNS = "4026531837"
"""PROC_USER_INIT_INO: /proc/self/ns/user outside of all containers."""
_STAMPED = ("/etc/subuid", "/etc/subgid", "/usr/bin/newuidmap", "/usr/bin/newgidmap")


class Facts:
    """What planners need to know. A reason is empty where nothing is amiss, else one clause for people.

    ``idmap_kind`` "range" or "single"; ``uid_ranges``/``gid_ranges`` the user's sub-ids, (start, count); ``overlay``
    "native" or "flatten"; ``layer_dialect`` "overlay" or "aufs" (how layers keep whiteouts on disk); ``volatile``
    whether overlays may skip writeback; ``fresh_proc``/``fresh_sys`` whether own procfs and sysfs can be mounted;
    ``root_emulation`` "full" or "basic", what auto means for containers with one id;
    ``network`` "gateway" (containers on bridges, all ways out and in), "bridges" (they see each other alone) or "none";
    ``cgroup_version`` 2, 1 or 0 (none); ``cgroup_controllers`` those that we may use in a group of our own.
    """

    __slots__ = (
        "apparmor_restrict_unprivileged_userns",
        "cgroup_controllers",
        "cgroup_delegated",
        "cgroup_version",
        "fresh_proc",
        "fresh_sys",
        "fuse",
        "gid_ranges",
        "idmap_kind",
        "idmap_reason",
        "kernel",
        "layer_dialect",
        "machine",
        "netns",
        "network",
        "network_ipv6",
        "network_reason",
        "newgidmap",
        "newuidmap",
        "no_new_privs",
        "overlay",
        "overlay_reason",
        "root_emulation",
        "root_emulation_reason",
        "seccomp",
        "seccomp_notify",
        "tun",
        "uid_ranges",
        "userns",
        "userns_reason",
        "volatile",
    )
    apparmor_restrict_unprivileged_userns: bool
    cgroup_controllers: list[str]
    cgroup_delegated: bool
    cgroup_version: int
    fresh_proc: bool
    fresh_sys: bool
    fuse: bool
    gid_ranges: list[tuple[int, int]]
    idmap_kind: str
    idmap_reason: str
    kernel: str
    layer_dialect: str
    machine: str
    netns: bool
    network: str
    network_ipv6: bool
    network_reason: str
    newgidmap: str
    newuidmap: str
    no_new_privs: bool
    overlay: str
    overlay_reason: str
    root_emulation: str
    root_emulation_reason: str
    seccomp: bool
    seccomp_notify: bool
    tun: bool
    uid_ranges: list[tuple[int, int]]
    userns: bool
    userns_reason: str
    volatile: bool

    def __init__(self, values: dict[str, Any]) -> None:
        """From the record's form; KeyError where a name is missing."""
        for name in self.__slots__:
            setattr(self, name, values[name])
        self.uid_ranges = [(start, count) for start, count in self.uid_ranges]
        self.gid_ranges = [(start, count) for start, count in self.gid_ranges]

    def as_dict(self) -> dict[str, Any]:
        """The record's form: JSON values only."""
        return {name: getattr(self, name) for name in self.__slots__}


class Fact:
    """One line of ``pod doctor``.

    ``level`` "ok", "limit" (something is missing that run can do without) or "stop" (run cannot work); ``value`` what
    was found, ``proof`` by which trial, ``consequence`` what pod does about it, ``remedy`` what would change it.
    """

    __slots__ = ("consequence", "level", "name", "proof", "remedy", "value")

    def __init__(self, name: str, level: str, value: str, proof: str, consequence: str = "", remedy: str = "") -> None:
        self.name = name
        self.level = level
        self.value = value
        self.proof = proof
        self.consequence = consequence
        self.remedy = remedy

    def as_dict(self) -> dict[str, str]:
        return {name: getattr(self, name) for name in ("name", "level", "value", "proof", "consequence", "remedy")}


def load(engine: Engine) -> Facts:
    """This boot's facts from the run directory, else by trying (some 30 ms), and remembered."""
    status = process_status()
    key = _key(status)
    path = engine.run_dir + "/facts"
    try:
        record = statefile.read(path)
        if record.get("version") == _VERSION and record.get("key") == key:
            return Facts(record)
    except (OSError, StoreCorrupt, KeyError, TypeError, ValueError):
        pass
    return _find(engine, path, key)


def _find(engine: Engine, path: str, key: str) -> Facts:
    from pod.core import host_probe

    facts = host_probe.gather(engine)
    remember(facts, path, key)
    return facts


def remember(facts: Facts, path: str, key: str) -> None:
    """Writes the record, unless there is nothing worth keeping; a run directory that is full is no failure."""
    if not facts.userns:
        return
    import contextlib

    with contextlib.suppress(OSError):
        statefile.write(path, {"version": _VERSION, "key": key, **facts.as_dict()})


def require_userns(engine: Engine) -> None:
    """HostUnsupported, naming who forbids user namespaces, where a container cannot work."""
    if not engine.facts.userns:
        from pod.core import host_doctor

        host_doctor.refuse(engine)


def require_network(engine: Engine, mode: str) -> None:
    """HostUnsupported, naming what lacks, where a container of this NetworkMode needs a network that cannot be had."""
    if mode in ("none", "host") or mode.startswith("container:") or engine.facts.network == "gateway":
        return
    from pod.core import host_doctor_network

    host_doctor_network.require(engine)


def probe_all(engine: Engine) -> list[Fact]:
    """Everything that ``pod doctor`` shows, tried now; what is remembered is renewed on the way."""
    from pod.core import host_doctor, host_probe

    trials = host_probe.Trials(engine)
    facts = host_probe.judge(engine, trials)
    remember(facts, engine.run_dir + "/facts", _key(process_status()))
    return host_doctor.examine(engine, trials, facts)


def process_status() -> dict[str, str]:
    """NoNewPrivs, Seccomp and Seccomp_filters of this process (proc(5)); empty where /proc does not tell."""
    try:
        text = statefile.read_bytes_of_proc("/proc/self/status").decode("utf-8", "replace")
    except OSError:
        return {}
    found = {}
    for line in text[text.find("\nNoNewPrivs:") :].split("\n", 4)[:4]:
        name, _, value = line.partition(":")
        if name in ("NoNewPrivs", "Seccomp", "Seccomp_filters"):
            found[name] = value.strip()
    return found


def _key(status: dict[str, str]) -> str:
    parts = [_build(), str(os.geteuid()), str(os.getegid())]
    for path in ("/proc/self/ns/user", *_STAMPED):
        try:
            found = os.stat(path)
            parts.append(str(found.st_ino if path.startswith("/proc") else found.st_mtime_ns))
        except OSError:
            parts.append("-")
    parts.extend(status.get(name, "-") for name in ("NoNewPrivs", "Seccomp", "Seccomp_filters"))
    if parts[3] not in (_FIRST_USERNS, "-"):
        parts.append(_mounts())
    return " ".join(parts)


def _mounts() -> str:
    """What masks an outer container has: its namespaces' numbers are given to others when it ends."""
    import zlib

    try:
        return f"{zlib.crc32(statefile.read_bytes_of_proc('/proc/self/mountinfo', 4 << 20)):08x}"
    except (OSError, StoreCorrupt):
        return "-"


def _build() -> str:
    try:
        from pod.ext._build import BUILD_ID
    except ImportError:
        return "unbuilt"
    return str(BUILD_ID)
