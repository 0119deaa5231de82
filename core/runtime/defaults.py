"""What a container gets when nobody says otherwise: Docker's defaults, as data, and the grammars that change them.

Sources: moby oci/defaults.go and oci/caps, capabilities(7), getrlimit(2), signal(7).
"""

from __future__ import annotations

from pod.core.errors import PodError, UsageError

_CAPABILITIES = """
CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE
NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN
SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE
MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE
"""
CAPABILITIES: dict[str, int] = {name: number for number, name in enumerate(_CAPABILITIES.split())}
"""Capability name, without CAP_, to its bit: all 41 of Linux 5.9 and later (linux/capability.h)."""

ALL_CAPS = (1 << len(CAPABILITIES)) - 1

DEFAULT_CAPS: tuple[str, ...] = (
    "CHOWN",
    "DAC_OVERRIDE",
    "FSETID",
    "FOWNER",
    "MKNOD",
    "NET_RAW",
    "SETGID",
    "SETUID",
    "SETFCAP",
    "SETPCAP",
    "NET_BIND_SERVICE",
    "SYS_CHROOT",
    "KILL",
    "AUDIT_WRITE",
)
"""What Docker leaves to a container's root."""

MASKED_PATHS: tuple[str, ...] = (
    "/proc/acpi",
    "/proc/asound",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/sys/devices/virtual/powercap",
    "/sys/firmware",
)
"""Covered by an empty read-only tmpfs (folders) or /dev/null (files), where they exist."""

READONLY_PATHS: tuple[str, ...] = ("/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger")
"""Bound over themselves read-only, where they exist."""

DEFAULT_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""$PATH of a container whose image sets none."""

SHM_SIZE = 64 << 20
"""Bytes of /dev/shm."""

STOP_SIGNAL = "SIGTERM"
STOP_TIMEOUT = 10
"""Seconds between the stop signal and SIGKILL."""

DEVICES: tuple[str, ...] = ("null", "zero", "full", "random", "urandom", "tty")
"""Names under /dev, bound from the host's."""

DEV_LINKS: tuple[tuple[str, str], ...] = (
    ("fd", "/proc/self/fd"),
    ("stdin", "/proc/self/fd/0"),
    ("stdout", "/proc/self/fd/1"),
    ("stderr", "/proc/self/fd/2"),
    ("ptmx", "pts/ptmx"),
    ("core", "/proc/kcore"),
)
"""Symbolic links under /dev: (name, target)."""

_RLIMITS = "cpu fsize data stack core rss nproc nofile memlock as locks sigpending msgqueue nice rtprio rttime"
RLIMITS: dict[str, int] = {name: number for number, name in enumerate(_RLIMITS.split()) if name != "as"}
"""--ulimit's names (docker/go-units: address space is not among them) to RLIMIT_ numbers, the same on x86 and Arm."""

LIMIT_KEYS = frozenset(
    (
        "BlkioDeviceReadBps", "BlkioDeviceReadIOps", "BlkioDeviceWriteBps", "BlkioDeviceWriteIOps", "BlkioWeight",
        "BlkioWeightDevice", "CgroupParent", "CpuPeriod", "CpuQuota", "CpuShares", "CpusetCpus", "CpusetMems",
        "DeviceCgroupRules", "Memory", "MemoryReservation", "MemorySwap", "MemorySwappiness", "NanoCpus",
        "OomKillDisable", "OomScoreAdj", "PidsLimit",
    )
)  # fmt: skip
"""Members of HostConfig that limit resources (core/runtime/limits.py); a record has those that were given."""

_SIGNALS = """
HUP INT QUIT ILL TRAP ABRT BUS FPE KILL USR1 SEGV USR2 PIPE ALRM TERM STKFLT CHLD CONT STOP TSTP TTIN TTOU URG XCPU
XFSZ VTALRM PROF WINCH IO PWR SYS
"""
SIGNALS: dict[str, int] = {name: number for number, name in enumerate(_SIGNALS.split(), 1)}
"""Signal name, without SIG, to its number on x86 and Arm."""

_SIGNAL_ALIASES = {"IOT": 6, "CLD": 17, "POLL": 29, "UNUSED": 31}
_SIGRTMIN = 34
"""What glibc leaves to programs of the kernel's 32..64; musl begins at 35, but docker counts like glibc."""
_SIGRTMAX = 64


def parse_capability(name: str) -> int:
    """The bit of ``name`` ("NET_ADMIN", "cap_net_admin"). UsageError for what Linux does not have."""
    plain = name.strip().upper()
    if plain.startswith("CAP_"):
        plain = plain[4:]
    bit = CAPABILITIES.get(plain)
    if bit is None:
        raise UsageError(
            f'invalid capability: "{name}"',
            hint="names are those of capabilities(7), with or without CAP_, or ALL",
        )
    return bit


def _mask(names: list[str]) -> tuple[bool, int]:
    """(ALL was named, the bits of the other names)."""
    everything = False
    bits = 0
    for name in names:
        if name.strip().upper() in ("ALL", "CAP_ALL"):
            everything = True
        else:
            bits |= 1 << parse_capability(name)
    return everything, bits


def resolve_caps(add: list[str], drop: list[str], privileged: bool) -> int:
    """Bit mask of a container's capabilities after --cap-add, --cap-drop and --privileged.

    As moby oci/caps TweakCapabilities: --privileged gives all whatever else is said; with ALL added, all but those
    dropped; with ALL dropped, only those added; else the default ones, less those dropped, plus those added.
    """
    add_all, added = _mask(add)
    drop_all, dropped = _mask(drop)
    if privileged:
        return ALL_CAPS
    if add_all:
        return ALL_CAPS & ~dropped
    if drop_all:
        return added
    default = 0
    for name in DEFAULT_CAPS:
        default |= 1 << CAPABILITIES[name]
    return default & ~dropped | added


def capability_names(mask: int) -> list[str]:
    """ "CAP_…" names of the bits of ``mask``, in the kernel's order (as inspect and config.json show them)."""
    return ["CAP_" + name for name, bit in CAPABILITIES.items() if mask >> bit & 1]


def parse_signal(text: str) -> int:
    """Number of a signal written "SIGTERM", "term", "15", "RTMIN+3" or "SIGRTMAX-1". PodError else
    (status 1; ``run`` and ``create`` make 125 of it, as Docker).

    0 is refused, as by docker; so are numbers above SIGRTMAX.
    """
    name = text.strip().upper()
    if name.isascii() and name.isdigit() and len(name) <= 3:
        number = int(name)
        if 1 <= number <= _SIGRTMAX:
            return number
        raise PodError(f"invalid signal: {text}")
    if name.startswith("SIG"):
        name = name[3:]
    number = SIGNALS.get(name) or _SIGNAL_ALIASES.get(name) or _realtime(name)
    if not number:
        raise PodError(f"invalid signal: {text}", hint="names and numbers are those of signal(7), e.g. HUP, 15")
    return number


def _realtime(name: str) -> int:
    """Number of "RTMIN", "RTMIN+N", "RTMAX", "RTMAX-N"; 0 for anything else."""
    for word, base, sign in (("RTMIN", _SIGRTMIN, "+"), ("RTMAX", _SIGRTMAX, "-")):
        if name == word:
            return base
        offset = name[len(word) + 1 :]
        if name.startswith(word + sign) and len(offset) <= 2 and offset.isascii() and offset.isdigit():
            number = base + int(offset) if sign == "+" else base - int(offset)
            if _SIGRTMIN <= number <= _SIGRTMAX:
                return number
    return 0


def signal_name(number: int) -> str:
    """ "SIGTERM" for 15, "SIGRTMIN+3" for 37, the digits where there is no name."""
    for name, value in SIGNALS.items():
        if value == number:
            return "SIG" + name
    if _SIGRTMIN <= number <= _SIGRTMAX:
        return "SIGRTMIN" if number == _SIGRTMIN else f"SIGRTMIN+{number - _SIGRTMIN}"
    return str(number)
