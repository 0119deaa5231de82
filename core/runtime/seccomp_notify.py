"""Which calls of a container whose root is emulated in full wait for the emulator's answer.

With the default profile these rules and the profile's are one filter, since a filter more is a tenth of a millisecond
of a start: a call that the profile refuses is refused, whatever the emulator would let pass, as by two filters, of
which the kernel takes the strictest answer. With a profile of the user's they are two: ours must be there before the
process gives up its powers, and that profile may refuse the calls to do so. Imported only to build a filter:
the cache is that of seccomp.py, whose NOTIFY_REVISION counts the changes of RULES and LIBRARY.
"""

from __future__ import annotations

from pod.core.runtime import seccomp_bpf
from pod.core.runtime.seccomp_profile import ALLOW, ERRNO, ROOT_EMULATION, Profile, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.runtime.seccomp_profile import Condition

USER_NOTIF = 0x7FC00000
COOKIE = 0x706F642D6C6F6F6B
"""POD_COOKIE of ext/src/core/page.h: calls that have it as sixth argument pass."""

_EPERM = 1
_O_CREAT, _O_TMPFILE = 0o100, 0o20000000
_SOL_SOCKET, _SO_PEERCRED = 1, 17
_PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_SET_TIMERSLACK, _PR_GET_TIMERSLACK = 8, 22, 29, 30
_SECCOMP_SET_MODE_FILTER = 1
_AT_EMPTY_PATH = 0x1000
_MAPPED = 0x7000_0000_0000
"""Above it, on x86-64, lies what mmap has placed: shared libraries, and static programs that may lie anywhere. Other
programs lie at 4 MiB or around 0x5600_0000_0000. On arm64, where they lie at 0xaaaa_0000_0000, it tells apart only
those at a fixed place."""

_ALWAYS = (
    "chown chown32 fchown fchown32 lchown lchown32 fchownat setgroups setgroups32 setuid setuid32 setgid setgid32 "
    "setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32 "
    "setfsgid setfsgid32 mknod mknodat setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr "
    "removexattrat sched_setscheduler sched_setattr"
)
_UNLESS_COOKIE = (
    "execve execveat stat lstat statx getuid getuid32 geteuid geteuid32 getgid getgid32 getegid getegid32 "
    "getresuid getresuid32 getresgid getresgid32 getgroups getgroups32 creat mkdir mkdirat symlink symlinkat bind "
    "openat2 listxattr llistxattr flistxattr listxattrat stat64 lstat64"
)
_NO_COOKIE: Condition = (5, "NE", COOKIE, 0)


def _notify(names: str, *conditions: Condition) -> Rule:
    return Rule(tuple(names.split()), USER_NOTIF, conditions)


RULES = (
    # A ring's operations pass by every filter (statx, openat and mkdirat among them).
    Rule(("io_uring_setup", "io_uring_enter", "io_uring_register"), ERRNO | _EPERM),
    _notify(_ALWAYS),
    _notify(_UNLESS_COOKIE, _NO_COOKIE),
    # Every program asks whether its standard streams are terminals or files (stdio): whose they are, none.
    Rule(("newfstatat", "fstat", "fstat64", "fstatat64"), ALLOW, ((0, "LE", 2, 0),)),
    _notify("fstat newfstatat fstat64 fstatat64", _NO_COOKIE),
    *(_notify("open", (1, "MASKED_EQ", flag, flag), _NO_COOKIE) for flag in (_O_CREAT, _O_TMPFILE)),
    *(_notify("openat", (2, "MASKED_EQ", flag, flag), _NO_COOKIE) for flag in (_O_CREAT, _O_TMPFILE)),
    *(_notify("prctl", (0, "EQ", option, 0)) for option in (_PR_SET_KEEPCAPS, _PR_SET_SECCOMP, _PR_SET_TIMERSLACK)),
    _notify("prctl", (0, "EQ", _PR_GET_TIMERSLACK, 0), _NO_COOKIE),
    _notify("seccomp", (0, "LE", _SECCOMP_SET_MODE_FILTER, 0), _NO_COOKIE),
    _notify("getsockopt", (1, "EQ", _SOL_SOCKET, 0), (2, "EQ", _SO_PEERCRED, 0)),
)
"""In order; what none of them meets passes this filter."""
LIBRARY = (
    # The loader and the C library look so at what they have opened, at modes and sizes. fstat(3) itself is answered by
    # the library (ext/src/preload); static programs, whose fstat(3) it is too, have their "" elsewhere.
    Rule(("newfstatat",), ALLOW, ((3, "EQ", _AT_EMPTY_PATH, 0), (1, "GE", _MAPPED, 0))),
)
"""Before them, where that library is in force."""


_KIND, _CHARACTER, _BLOCK = 0o170000, 0o020000, 0o060000
DEVICES = tuple(
    # 0/0 is overlayfs' whiteout, which the kernel makes for anybody.
    _notify(name, (at, "MASKED_EQ", _KIND, kind), *(((at + 1, "NE", 0, 0),) if kind == _CHARACTER else ()))
    for name, at in (("mknod", 1), ("mknodat", 2))
    for kind in (_CHARACTER, _BLOCK)
)
"""With real ids: what the kernel refuses in user namespaces. Calls that none of them names are free of cost (the kernel
remembers those that a filter always allows)."""
SHOWN = (
    *DEVICES,
    _notify("stat lstat stat64 lstat64 statx"),
    Rule(("newfstatat", "fstat", "fstat64", "fstatat64"), ALLOW, ((0, "LE", 2, 0),)),
    _notify("fstat newfstatat fstat64 fstatat64"),
)
"""The same where there are such devices: stat shows them."""


def device_programs(machine: str, profile: Profile | None = None) -> tuple[bytes, bytes]:
    """(that of DEVICES, that of SHOWN) within ``profile``; HostUnsupported for a machine without tables."""
    devices, shown = [_within(machine, profile, rules) for rules in (DEVICES, SHOWN)]
    return devices, shown


def programs(machine: str, profile: Profile | None = None) -> tuple[bytes, bytes, bytes]:
    """(the filter with its listener, the same where the library is in force, what takes their place where the kernel
    gives no listener): struct sock_filter[] each, the first two within ``profile``.

    HostUnsupported for a machine without tables.
    """
    plain, library = [_within(machine, profile, rules) for rules in (RULES, LIBRARY + RULES)]
    return plain, library, seccomp_bpf.compile_filter(machine, _nothing(), ROOT_EMULATION)


def _within(machine: str, profile: Profile | None, rules: tuple[Rule, ...]) -> bytes:
    return seccomp_bpf.compile_filter(machine, profile or _nothing(), (), rules)


def _nothing() -> Profile:
    return Profile(ALLOW, ("x86_64", "i386", "aarch64", "arm"), [], set())
