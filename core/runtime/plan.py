"""Writer of plan.bin, the flat file that tells the C core everything about one start.

The layout is drawn in ext/src/core/plan.h and the keys in ext/src/core/plan_keys.h; ``KEYS`` is the same table (a
unit test compares them).
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MAGIC = b"PODPLAN\n"
VERSION = 1

U64, STR, STRV, BLOB = 1, 2, 3, 4

KEYS: dict[str, tuple[int, int]] = {
    "ID": (1, STR),
    "FLAGS": (2, U64),
    "DIR": (3, STR),
    "SOCKET_DIR": (4, STR),
    "EXPLAIN": (5, STRV),
    "NAMESPACES": (6, U64),
    "UID_MAP": (7, BLOB),
    "GID_MAP": (8, BLOB),
    "NEWUIDMAP": (9, STR),
    "NEWGIDMAP": (10, STR),
    "PINS": (11, STR),
    "LOWERS": (12, STRV),
    "UPPER": (13, STR),
    "WORK": (14, STR),
    "ROOT": (15, STR),
    "OVERLAY": (16, STR),
    "MOUNTS": (17, BLOB),
    "STRINGS": (18, BLOB),
    "HOSTNAME": (19, STR),
    "DOMAINNAME": (20, STR),
    "ARGV": (21, STRV),
    "ENV": (22, STRV),
    "CWD": (23, STR),
    "USER": (24, STR),
    "GROUPS": (25, STRV),
    "CAPS": (26, U64),
    "SECCOMP": (27, BLOB),
    "RLIMITS": (28, BLOB),
    "SYSCTLS": (29, STRV),
    "DETACH_KEYS": (30, BLOB),
    "HOST": (31, STR),
    "REMOVE": (32, STRV),
    "TRASH": (33, STR),
    "PRINT": (34, STR),
    "WINSIZE": (35, U64),
    "PID": (36, U64),
    "PID_START": (37, U64),
    "WARNING": (38, STR),
    "LOCK": (39, U64),
    "NOTIFY": (52, BLOB),
    "BASIC": (53, BLOB),
    "RECORDS": (56, STRV),
    "PRELOAD": (54, STRV),
    "FEWER": (55, BLOB),
    "EVENTS": (110, STRV),
    "HEALTH": (90, BLOB),
    "HEALTH_ARGV": (91, STRV),
    "HEALTH_LATE": (92, STR),
    "VOLUMES": (101, STRV),
    "IMAGE_LOWERS": (100, STRV),
    "LOG_FLAGS": (70, U64),
    "LOG_SIZE": (71, U64),
    "LOG_FILES": (72, U64),
    "LOG_BUFFER": (73, U64),
    "LOG_ATTRS": (74, STR),
    "LOG_ADDRESS": (75, STRV),
    "LOG_SYSLOG": (76, U64),
    "LOG_TEXTS": (77, STRV),
    "RESTART": (60, STR),
    "RESTART_PAUSE": (61, U64),
    "NET": (62, BLOB),
    "NETD": (63, STRV),
    "NET_HOSTS": (64, STR),
    "GROUPS_IN": (65, STRV),
    "GROUP_FILES": (66, STRV),
    "AFFINITY": (67, BLOB),
    "MEMORY": (68, U64),
    "OOM_SCORE": (69, STR),
    "LIMITS": (78, STR),
    "NET_APART": (115, STRV),
    "SHARE": (111, U64),
    "SHARE_PID": (112, U64),
    "SHARE_START": (113, U64),
    "SHARE_SHM": (114, STR),
    "TARGETS": (120, STRV),
    "FLAT": (121, STR),
    "LATEST": (122, U64),
    "P_PREFIX": (40, STRV),
    "P_FLAGS": (41, U64),
    "P_INPUTS": (42, BLOB),
    "P_TEXT": (43, BLOB),
    "P_CONFIG": (44, BLOB),
    "P_HOSTNAME": (45, BLOB),
    "P_HOSTS": (46, BLOB),
    "P_RESOLV": (47, BLOB),
    "P_NAMES": (48, STRV),
    "P_PLACES": (49, STRV),
    "P_ENTRY": (50, STRV),
    "P_PATCHES": (51, BLOB),
}

# enum pod_plan_flags
TTY = 1 << 0
STDIN = 1 << 1
DETACH = 1 << 2
ATTACH_OUT = 1 << 3
ATTACH_ERR = 1 << 4
ATTACH_IN = 1 << 5
INIT = 1 << 6
NO_NEW_PRIVS = 1 << 7
SIG_PROXY = 1 << 8
READ_ONLY = 1 << 9
SINGLE_ID = 1 << 10
REMOVE = 1 << 11
LOOPBACK = 1 << 12
EXEC = 1 << 13
NO_LOG = 1 << 14
SAY_DETACHED = 1 << 15
PROBE = 1 << 20
CLAIMED = 1 << 21
BOUND = 1 << 22
ONE_FILTER = 1 << 23
APART = 1 << 24

# enum pod_log_flags
LOG_COMPRESS, LOG_NON_BLOCKING = 1, 2

# enum pod_mount_kind
FS, BIND, MKDIR, SYMLINK, MASK, RDONLY, VOLUME, IMAGE = 1, 2, 3, 4, 5, 6, 7, 8
# enum pod_mount_bits
OPTIONAL, NOFOLLOW, ON_PROC, REC_RDONLY, NOCOPY, WHOLE_RDONLY = 1, 2, 4, 8, 16, 32
# sys/mount.h
MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC = 1, 2, 4, 8
MS_REC, MS_SLAVE, MS_RELATIME, MS_STRICTATIME = 16384, 1 << 19, 1 << 21, 1 << 24
# linux/sched.h
CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS = 0x20000, 0x2000000, 0x4000000
CLONE_NEWIPC, CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x8000000, 0x10000000, 0x20000000, 0x40000000

_HEADER = 56
_ENTRY = 16
_CHECK_AT = 52
_CHECK_FACTOR = 0x9E3779B97F4A7C15


class Mount:
    """One operation of the mount plan (struct pod_mount); all paths are absolute, the target's inside the root."""

    __slots__ = ("kind", "target", "source", "fstype", "data", "flags", "bits", "mode")

    def __init__(
        self,
        kind: int,
        target: str,
        *,
        source: str = "",
        fstype: str = "",
        data: str = "",
        flags: int = 0,
        bits: int = 0,
        mode: int = 0o755,
    ) -> None:
        self.kind = kind
        self.target = target
        self.source = source
        self.fstype = fstype
        self.data = data
        self.flags = flags
        self.bits = bits
        self.mode = mode


def _text(value: str) -> bytes:
    data = value.encode("utf-8", "surrogateescape")
    if b"\0" in data:
        raise ValueError(f"NUL in {value!r}")
    return data + b"\0"


def u32(*values: int) -> bytes:
    """Little-endian 32-bit numbers, one after the other."""
    return b"".join([value.to_bytes(4, "little") for value in values])


def u64(value: int) -> bytes:
    """One little-endian 64-bit number."""
    return (value & 0xFFFFFFFFFFFFFFFF).to_bytes(8, "little")


def extents(triples: Iterable[tuple[int, int, int]]) -> bytes:
    """struct pod_id_extent[]: (inside, outside, count)."""
    return b"".join([u32(*triple) for triple in triples])


def rlimits(limits: Iterable[tuple[int, int, int]]) -> bytes:
    """struct pod_rlimit[]: (resource, soft, hard); -1 is no limit."""
    return b"".join([u32(resource, 0) + u64(soft) + u64(hard) for resource, soft, hard in limits])


class PlanWriter:
    """Collects keys; :meth:`finish` gives the file's bytes. A key that is set twice keeps its last value."""

    __slots__ = ("_values",)

    def __init__(self) -> None:
        self._values: dict[str, bytes] = {}

    def number(self, key: str, value: int) -> None:
        assert KEYS[key][1] == U64
        self._values[key] = u64(value)

    def text(self, key: str, value: str) -> None:
        assert KEYS[key][1] == STR
        self._values[key] = _text(value)

    def texts(self, key: str, values: Sequence[str]) -> None:
        assert KEYS[key][1] == STRV
        self._values[key] = b"".join([_text(value) for value in values])

    def blob(self, key: str, value: bytes) -> None:
        assert KEYS[key][1] == BLOB
        self._values[key] = value

    def mounts(self, mounts: Iterable[Mount]) -> None:
        """MOUNTS and STRINGS; equal strings are kept once."""
        strings = bytearray(b"\0")
        offsets: dict[str, int] = {"": 0}

        def place(value: str) -> int:
            offset = offsets.get(value)
            if offset is None:
                offset = offsets[value] = len(strings)
                strings.extend(_text(value))
            return offset

        table = [
            u32(m.kind, m.bits, m.flags, m.mode, place(m.source), place(m.target), place(m.fstype), place(m.data))
            for m in mounts
        ]
        self._values["MOUNTS"] = b"".join(table)
        self._values["STRINGS"] = bytes(strings)

    def take(self, values: dict[str, bytes]) -> None:
        """Every key of a plan that was read by :func:`parse`."""
        self._values.update(values)

    def finish(self, build_id: str) -> bytes:
        """The whole file. ``build_id`` is the helper's, 32 hex digits."""
        entries = []
        data = []
        offset = _HEADER + _ENTRY * len(self._values)
        offset += -offset % 8
        start = offset
        for key, value in self._values.items():
            number, kind = KEYS[key]
            entries.append(u32(number, kind, offset, len(value)))
            padding = -len(value) % 8
            data.append(value + b"\0" * padding)
            offset += len(value) + padding
        head = MAGIC + u32(VERSION, offset) + build_id.encode("ascii") + u32(len(entries), 0) + b"".join(entries)
        return head + b"\0" * (start - len(head)) + b"".join(data)


def with_check(data: bytes) -> bytes:
    """The file with the check of all its words in its header (pod_plan_is_whole): a prepared start lies there for long.
    """
    import struct

    state = 0
    for (word,) in struct.iter_unpack("<Q", data):
        state = (state ^ word) * _CHECK_FACTOR & 0xFFFFFFFFFFFFFFFF
        state ^= state >> 32
    return data[:_CHECK_AT] + u32(state & 0xFFFFFFFF) + data[_CHECK_AT + 4 :]


def offsets(data: bytes) -> dict[str, int]:
    """Where the value of each key begins in a plan that this build wrote."""
    keys = {number: key for key, (number, _) in KEYS.items()}
    return {keys[row[0]]: row[2] for row in _rows(data)}


def parse(data: bytes) -> dict[str, bytes]:
    """The values of a plan that this build wrote, in the file's order."""
    keys = {number: key for key, (number, _) in KEYS.items()}
    return {keys[row[0]]: data[row[2] : row[2] + row[3]] for row in _rows(data)}


def _rows(data: bytes) -> list[list[int]]:
    """(key, type, offset, length) of each entry."""
    count = int.from_bytes(data[48:52], "little")
    starts = range(_HEADER, _HEADER + count * _ENTRY, _ENTRY)
    return [[int.from_bytes(data[at + i : at + i + 4], "little") for i in (0, 4, 8, 12)] for at in starts]
