"""Seccomp profiles: Docker's default one, its JSON format, and what they say for one host and one set of capabilities.

Format (moby profiles/seccomp, runtime-spec config-linux.md#seccomp), unknown fields tolerated as by Docker:

    defaultAction  defaultErrnoRet  architectures | archMap[{architecture, subArchitectures[]}]
    syscalls[{names[] | name, action, errnoRet, args[{index, value, valueTwo, op}],
              includes{caps[], arches[], minKernel}, excludes{caps[], arches[], minKernel}}]

Meaning, as runc and libseccomp give it: a rule with several conditions needs all of them, unless two look at the same
argument, when each counts alone; arguments are compared as 64-bit unsigned numbers; unknown names are passed over; a
rule whose action is the default one says nothing; calls newer than any that the profile names get ENOSYS, so that
programs fall back. Where several rules match, the strictest decides (as the kernel does between filters).
"""

from __future__ import annotations

from pod.core import statefile
from pod.core.errors import UsageError
from pod.core.runtime.defaults import CAPABILITIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Condition = tuple[int, str, int, int]
    """(argument index, operator without SCMP_CMP_, value, second value)"""

KILL_PROCESS = 0x80000000
KILL_THREAD = 0x00000000
TRAP = 0x00030000
ERRNO = 0x00050000
TRACE = 0x7FF00000
LOG = 0x7FFC0000
ALLOW = 0x7FFF0000
"""linux/seccomp.h; the low 16 bits carry the errno."""

_ACTIONS = {
    "SCMP_ACT_KILL": KILL_THREAD,
    "SCMP_ACT_KILL_THREAD": KILL_THREAD,
    "SCMP_ACT_KILL_PROCESS": KILL_PROCESS,
    "SCMP_ACT_TRAP": TRAP,
    "SCMP_ACT_ERRNO": ERRNO,
    "SCMP_ACT_TRACE": TRACE,
    "SCMP_ACT_LOG": LOG,
    "SCMP_ACT_ALLOW": ALLOW,
}
_OPERATORS = ("NE", "LT", "LE", "EQ", "GE", "GT", "MASKED_EQ")
_GO_ARCH = {"x86_64": "amd64", "aarch64": "arm64"}
_ARCHES = {
    "SCMP_ARCH_X86_64": "x86_64",
    "SCMP_ARCH_X86": "i386",
    "SCMP_ARCH_AARCH64": "aarch64",
    "SCMP_ARCH_ARM": "arm",
}
_U64 = (1 << 64) - 1
_MAX_RULES = 1 << 16
PREFIX = "seccomp profile: "
"""Begins what is said about a document whose file is not known any more."""
EPERM = 1
ENOSYS = 38


class Rule:
    """``action`` (a SECCOMP_RET value) for the calls ``names`` when all ``conditions`` hold."""

    __slots__ = ("action", "conditions", "names")

    def __init__(self, names: tuple[str, ...], action: int, conditions: tuple[Condition, ...] = ()) -> None:
        self.names = names
        self.action = action
        self.conditions = conditions


class Profile:
    """What a document says for one machine, kernel and set of capabilities.

    ``arches`` are the ABIs that are filtered by the rules; any other is killed. ``mentioned`` are all names that apply,
    also those of rules that only repeat the default.
    """

    __slots__ = ("arches", "default", "mentioned", "rules")

    def __init__(self, default: int, arches: tuple[str, ...], rules: list[Rule], mentioned: set[str]) -> None:
        self.default = default
        self.arches = arches
        self.rules = rules
        self.mentioned = mentioned


ALWAYS = """
accept accept4 access adjtimex alarm bind brk cachestat capget capset chdir chmod chown chown32 clock_adjtime
clock_adjtime64 clock_getres clock_getres_time64 clock_gettime clock_gettime64 clock_nanosleep clock_nanosleep_time64
close close_range connect copy_file_range creat dup dup2 dup3 epoll_create epoll_create1 epoll_ctl epoll_ctl_old
epoll_pwait epoll_pwait2 epoll_wait epoll_wait_old eventfd eventfd2 execve execveat exit exit_group faccessat faccessat2
fadvise64 fadvise64_64 fallocate fanotify_mark fchdir fchmod fchmodat fchmodat2 fchown fchown32 fchownat fcntl fcntl64
fdatasync fgetxattr flistxattr flock fork fremovexattr fsetxattr fstat fstat64 fstatat64 fstatfs fstatfs64 fsync
ftruncate ftruncate64 futex futex_requeue futex_time64 futex_wait futex_waitv futex_wake futimesat get_robust_list
get_thread_area getcpu getcwd getdents getdents64 getegid getegid32 geteuid geteuid32 getgid getgid32 getgroups
getgroups32 getitimer getpeername getpgid getpgrp getpid getppid getpriority getrandom getresgid getresgid32 getresuid
getresuid32 getrlimit getrusage getsid getsockname getsockopt gettid gettimeofday getuid getuid32 getxattr getxattrat
inotify_add_watch inotify_init inotify_init1 inotify_rm_watch io_cancel io_destroy io_getevents io_pgetevents
io_pgetevents_time64 io_setup io_submit ioctl ioprio_get ioprio_set ipc kill landlock_add_rule landlock_create_ruleset
landlock_restrict_self lchown lchown32 lgetxattr link linkat listen listmount listxattr listxattrat llistxattr _llseek
lremovexattr lseek lsetxattr lstat lstat64 madvise map_shadow_stack membarrier memfd_create memfd_secret mincore mkdir
mkdirat mknod mknodat mlock mlock2 mlockall mmap mmap2 mprotect mq_getsetattr mq_notify mq_open mq_timedreceive
mq_timedreceive_time64 mq_timedsend mq_timedsend_time64 mq_unlink mremap mseal msgctl msgget msgrcv msgsnd msync munlock
munlockall munmap name_to_handle_at nanosleep newfstatat _newselect open openat openat2 pause pidfd_open
pidfd_send_signal pipe pipe2 pkey_alloc pkey_free pkey_mprotect poll ppoll ppoll_time64 prctl pread64 preadv preadv2
prlimit64 process_mrelease pselect6 pselect6_time64 pwrite64 pwritev pwritev2 read readahead readlink readlinkat readv
recv recvfrom recvmmsg recvmmsg_time64 recvmsg remap_file_pages removexattr removexattrat rename renameat renameat2
restart_syscall rmdir rseq rt_sigaction rt_sigpending rt_sigprocmask rt_sigqueueinfo rt_sigreturn rt_sigsuspend
rt_sigtimedwait rt_sigtimedwait_time64 rt_tgsigqueueinfo sched_get_priority_max sched_get_priority_min sched_getaffinity
sched_getattr sched_getparam sched_getscheduler sched_rr_get_interval sched_rr_get_interval_time64 sched_setaffinity
sched_setattr sched_setparam sched_setscheduler sched_yield seccomp select semctl semget semop semtimedop
semtimedop_time64 send sendfile sendfile64 sendmmsg sendmsg sendto set_robust_list set_thread_area set_tid_address
setfsgid setfsgid32 setfsuid setfsuid32 setgid setgid32 setgroups setgroups32 setitimer setpgid setpriority setregid
setregid32 setresgid setresgid32 setresuid setresuid32 setreuid setreuid32 setrlimit setsid setsockopt setuid setuid32
setxattr setxattrat shmat shmctl shmdt shmget shutdown sigaltstack signalfd signalfd4 sigprocmask sigreturn socketpair
splice stat stat64 statfs statfs64 statmount statx symlink symlinkat sync sync_file_range syncfs sysinfo tee tgkill time
timer_create timer_delete timer_getoverrun timer_gettime timer_gettime64 timer_settime timer_settime64 timerfd_create
timerfd_gettime timerfd_gettime64 timerfd_settime timerfd_settime64 times tkill truncate truncate64 ugetrlimit umask
uname unlink unlinkat uretprobe utime utimensat utimensat_time64 utimes vfork vmsplice wait4 waitid waitpid write writev
"""
"""Allowed whatever the capabilities, by Docker's default profile."""

BY_CAPABILITY = {
    "CAP_DAC_READ_SEARCH": "open_by_handle_at",
    "CAP_SYS_ADMIN": "bpf clone clone3 fanotify_init fsconfig fsmount fsopen fspick lookup_dcookie lsm_get_self_attr "
    "lsm_list_modules lsm_set_self_attr mount mount_setattr move_mount open_tree perf_event_open quotactl quotactl_fd "
    "setdomainname sethostname setns syslog umount umount2 unshare",
    "CAP_SYS_BOOT": "reboot",
    "CAP_SYS_CHROOT": "chroot",
    "CAP_SYS_MODULE": "delete_module init_module finit_module",
    "CAP_SYS_PACCT": "acct",
    "CAP_SYS_PTRACE": "kcmp pidfd_getfd process_madvise process_vm_readv process_vm_writev ptrace",
    "CAP_SYS_RAWIO": "iopl ioperm",
    "CAP_SYS_TIME": "settimeofday stime clock_settime clock_settime64",
    "CAP_SYS_TTY_CONFIG": "vhangup",
    "CAP_SYS_NICE": "get_mempolicy mbind set_mempolicy set_mempolicy_home_node",
    "CAP_SYSLOG": "syslog",
    "CAP_BPF": "bpf",
    "CAP_PERFMON": "perf_event_open",
}
"""Allowed in addition, by the capability that the container has."""

SOCKET_FAMILIES = (*range(1, 12), 13, 14, 15, 16, 17, 18, 21, 22, 24, *range(26, 34), 35, 36, 39, 41, 42, 43, 44, 45)
"""socket(2)'s families that are allowed. Not among them: AF_VSOCK (40), which reaches the hypervisor past every network
namespace; AF_ALG (38), the kernel's crypto; and those that Linux has removed."""

_CLONE_NAMESPACES = 0x7E020000
"""CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET} of clone(2)."""

_PERSONALITIES = (0x0, 0x8, 0x20000, 0x20008, 0xFFFFFFFF)
"""PER_LINUX, PER_LINUX32, UNAME26, both, and "only tell"."""

NESTING = (
    "clone clone3 unshare setns mount umount umount2 mount_setattr move_mount open_tree fsopen fsmount fsconfig fspick "
    "pivot_root chroot sethostname setdomainname keyctl add_key request_key pidfd_getfd"
)
"""What a container engine inside a container needs; the kernel judges all of it within the inner user namespace."""

_SET_IDS = (
    "chown chown32 fchown fchown32 lchown lchown32 fchownat setgroups setgroups32 setuid setuid32 setgid setgid32 "
    "setreuid setreuid32 setregid setregid32 setresuid setresuid32 setresgid setresgid32 setfsuid setfsuid32 "
    "setfsgid setfsgid32"
)
_S_IFMT, _S_IFCHR, _S_IFBLK = 0o170000, 0o020000, 0o060000

ROOT_EMULATION = (
    Rule(tuple(_SET_IDS.split()), ERRNO),
    Rule(("mknod",), ERRNO, ((1, "MASKED_EQ", _S_IFMT, _S_IFCHR),)),
    Rule(("mknod",), ERRNO, ((1, "MASKED_EQ", _S_IFMT, _S_IFBLK),)),
    Rule(("mknodat",), ERRNO, ((2, "MASKED_EQ", _S_IFMT, _S_IFCHR),)),
    Rule(("mknodat",), ERRNO, ((2, "MASKED_EQ", _S_IFMT, _S_IFBLK),)),
)
"""Answered with success and not done, before any other rule: a container that has a single id cannot have these."""


def _allow(names: str, **more: Any) -> dict[str, Any]:
    return {"names": names.split(), "action": "SCMP_ACT_ALLOW", **more}


def _argument(index: int, op: str, value: int, second: int = 0) -> list[dict[str, Any]]:
    return [{"index": index, "value": value, "valueTwo": second, "op": "SCMP_CMP_" + op}]


def default_document() -> dict[str, Any]:
    """Docker's default profile in its own format, with one difference: a socket cannot be made through socketcall(2) of
    32-bit x86, which would go round the list of families (a pointer's target is not for a filter to see)."""
    without_admin = {"caps": ["CAP_SYS_ADMIN"]}
    rules = [
        _allow(ALWAYS),
        _allow("process_vm_readv process_vm_writev ptrace", includes={"minKernel": "4.8"}),
        _allow("socketcall", args=_argument(0, "NE", 1)),
        *(_allow("socket", args=_argument(0, "EQ", family)) for family in SOCKET_FAMILIES),
        *(_allow("personality", args=_argument(0, "EQ", value)) for value in _PERSONALITIES),
        _allow(
            "arm_fadvise64_64 arm_sync_file_range sync_file_range2 breakpoint cacheflush set_tls",
            includes={"arches": ["arm", "arm64"]},
        ),
        _allow("arch_prctl", includes={"arches": ["amd64", "x32"]}),
        _allow("modify_ldt", includes={"arches": ["amd64", "x32", "x86"]}),
        *(_allow(names, includes={"caps": [cap]}) for cap, names in BY_CAPABILITY.items()),
        _allow("clone", args=_argument(0, "MASKED_EQ", _CLONE_NAMESPACES), excludes=without_admin),
        {"names": ["clone3"], "action": "SCMP_ACT_ERRNO", "errnoRet": ENOSYS, "excludes": without_admin},
    ]
    arch_map = [
        {"architecture": "SCMP_ARCH_X86_64", "subArchitectures": ["SCMP_ARCH_X86"]},
        {"architecture": "SCMP_ARCH_AARCH64", "subArchitectures": ["SCMP_ARCH_ARM"]},
    ]
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": EPERM, "archMap": arch_map, "syscalls": rules}


def parse(data: bytes, what: str, limit: int) -> dict[str, Any]:
    """The JSON object in ``data``. UsageError, beginning with ``what``, for anything else or longer than ``limit``."""
    if len(data) > limit:
        raise UsageError(f"{what}: more than {limit >> 20} MiB is no seccomp profile")
    try:
        document = statefile.loads(data)
    except ValueError as error:
        raise UsageError(
            f"{what}: decoding seccomp profile failed: {error}",
            hint="a profile is a JSON document as docs.docker.com/engine/security/seccomp describes it",
        ) from None
    if not isinstance(document, dict):
        raise UsageError(f"{what}: decoding seccomp profile failed: not a JSON object")
    return document


def _bad(reason: str) -> UsageError:
    return UsageError(PREFIX + reason)


def _get(where: dict[str, Any], key: str, kind: type, place: str) -> Any:
    """where[key], of type ``kind``; the kind's empty value where it is missing or null."""
    value = where.get(key)
    if value is None:
        return kind()
    if not isinstance(value, kind) or (kind is int and isinstance(value, bool)):
        raise _bad(f"{place}{key}: not {_KINDS[kind]}")
    return value


_KINDS: dict[type, str] = {str: "a string", int: "a whole number", list: "a list", dict: "an object"}


def _strings(where: dict[str, Any], key: str, place: str) -> list[str]:
    values: list[str] = _get(where, key, list, place)
    if not all(isinstance(value, str) for value in values):
        raise _bad(f"{place}{key}: not a list of strings")
    return values


def _action(where: dict[str, Any], key: str, errno_key: str, place: str, errno_default: int = EPERM) -> int:
    """SECCOMP_RET value of an action; ERRNO and TRACE carry their number, EPERM unless given."""
    name = _get(where, key, str, place)
    if name == "SCMP_ACT_NOTIFY":
        raise _bad(f"{place}{key}: SCMP_ACT_NOTIFY needs a listener, which pod does not offer")
    action = _ACTIONS.get(name)
    if action is None:
        raise _bad(f"{place}{key}: unknown action {name[:40]!r}" if name else f"{place}{key}: no action given")
    if action not in (ERRNO, TRACE):
        return action
    number = _get(where, errno_key, int, place) if where.get(errno_key) is not None else errno_default
    if not 0 <= number <= 4095:
        raise _bad(f"{place}{errno_key}: {number} is no errno")
    return int(action | number)


def resolve(document: dict[str, Any], machine: str, caps: int, kernel: tuple[int, int]) -> Profile:
    """What ``document`` says on ``machine`` for the capabilities in ``caps``. UsageError names the field at fault."""
    default = _action(document, "defaultAction", "defaultErrnoRet", "")
    rules: list[Rule] = []
    mentioned: set[str] = set()
    entries = _get(document, "syscalls", list, "")
    for number, entry in enumerate(entries):
        place = f"syscalls[{number}]."
        if not isinstance(entry, dict):
            raise _bad(f"{place[:-1]}: not an object")
        if not _applies(entry, place, machine, caps, kernel):
            continue
        names = _names(entry, place)
        action = _action(entry, "action", "errnoRet", place)
        mentioned.update(names)
        alternatives = _conditions(entry, place)
        if action != default:
            rules += [Rule(names, action, conditions) for conditions in alternatives]
        if len(rules) > _MAX_RULES:
            raise _bad(f"more than {_MAX_RULES} rules")
    return Profile(default, _arches(document, machine), rules, mentioned)


def _names(entry: dict[str, Any], place: str) -> tuple[str, ...]:
    single = _get(entry, "name", str, place)
    names = _strings(entry, "names", place)
    if single and names:
        raise _bad(f"{place[:-1]}: both 'name' and 'names' are given, use either")
    if single:
        return (single,)
    if not names:
        raise _bad(f"{place}names: no system call is named")
    return tuple(names)


def _conditions(entry: dict[str, Any], place: str) -> list[tuple[Condition, ...]]:
    """Alternatives, each of which needs all of its conditions; one without any where there are no args."""
    found: list[Condition] = []
    for number, argument in enumerate(_get(entry, "args", list, place)):
        where = f"{place}args[{number}]."
        if not isinstance(argument, dict):
            raise _bad(f"{where[:-1]}: not an object")
        index = _get(argument, "index", int, where)
        value = _get(argument, "value", int, where)
        second = _get(argument, "valueTwo", int, where)
        op = _get(argument, "op", str, where).replace("SCMP_CMP_", "", 1)
        if not 0 <= index <= 5:
            raise _bad(f"{where}index: {index} is not within 0 and 5")
        if not 0 <= value <= _U64 or not 0 <= second <= _U64:
            raise _bad(f"{where}value: not an unsigned 64-bit number")
        if op not in _OPERATORS:
            raise _bad(f"{where}op: unknown operator {op[:40]!r}")
        found.append((index, op, value, second))
    if len({condition[0] for condition in found}) < len(found):
        return [(condition,) for condition in found]
    return [tuple(found)]


def _applies(entry: dict[str, Any], place: str, machine: str, caps: int, kernel: tuple[int, int]) -> bool:
    for key in ("includes", "excludes"):
        wanted = key == "includes"
        group = _get(entry, key, dict, place)
        where = f"{place}{key}."
        arches = _strings(group, "arches", where)
        if arches and (_GO_ARCH.get(machine, machine) in arches) != wanted:
            return False
        minimum = _get(group, "minKernel", str, where)
        if minimum and (kernel >= _version(minimum, where)) != wanted:
            return False
        for name in _strings(group, "caps", where):
            bit = CAPABILITIES.get(name[4:] if name.startswith("CAP_") else name, 63)
            if bool(caps >> bit & 1) != wanted:
                return False
    return True


def _version(text: str, place: str) -> tuple[int, int]:
    major, _, minor = text.partition(".")
    if not (major.isascii() and major.isdigit() and minor.isascii() and minor.isdigit() and len(text) < 16):
        raise _bad(f"{place}minKernel: {text[:40]!r} is not of the form MAJOR.MINOR")
    return int(major), int(minor)


def _arches(document: dict[str, Any], machine: str) -> tuple[str, ...]:
    """The ABIs of this machine that the profile covers: the native one always, as libseccomp does."""
    listed = _strings(document, "architectures", "")
    mapped = _get(document, "archMap", list, "")
    if listed and mapped:
        raise _bad("both 'architectures' and 'archMap' are given, use either")
    for number, entry in enumerate(mapped):
        place = f"archMap[{number}]."
        if not isinstance(entry, dict):
            raise _bad(f"{place[:-1]}: not an object")
        if _ARCHES.get(_get(entry, "architecture", str, place)) == machine:
            listed = _strings(entry, "subArchitectures", place)
    others = tuple(_ARCHES[name] for name in listed if name in _ARCHES and _ARCHES[name] != machine)
    return (machine, *others)


def allow_nesting(profile: Profile) -> None:
    """Takes every rule about the calls of :data:`NESTING` out of ``profile`` and allows them."""
    names = frozenset(NESTING.split())
    kept = []
    for rule in profile.rules:
        rest = tuple(name for name in rule.names if name not in names)
        if rest:
            kept.append(Rule(rest, rule.action, rule.conditions))
    profile.rules[:] = [*kept, Rule(tuple(sorted(names)), ALLOW)]


def numbers(arch: str) -> dict[str, int]:
    """System call name → number of one ABI: "x86_64", "i386", "aarch64", "arm"."""
    from pod.core.runtime import syscalls_aarch64, syscalls_arm, syscalls_i386, syscalls_x86_64

    runs = {
        "x86_64": syscalls_x86_64.RUNS,
        "i386": syscalls_i386.RUNS,
        "aarch64": syscalls_aarch64.RUNS,
        "arm": syscalls_arm.RUNS,
    }[arch]
    table: dict[str, int] = {}
    number = 0
    for word in runs.split():
        if word.isdigit():
            number = int(word)
        else:
            table[word] = number
            number += 1
    return table
