"""Which errors a system call can give: of ENOSPC, EIO, EMFILE, EINTR and EDQUOT those that its manual page (section 2)
names.

Where Linux gives more than the page says the reason stands beside it. Calls that are not here give none of the five.
"""

from __future__ import annotations

import errno

from tests.support.faulter import Call

FULL = ("ENOSPC", "EDQUOT")

PAGES: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "open": ((*FULL, "EMFILE", "EINTR"), ("open", "openat", "openat2", "creat")),
    "read": (("EINTR", "EIO"), ("read", "pread64", "readv")),
    "write": ((*FULL, "EINTR", "EIO"), ("write", "pwrite64", "writev", "pwritev")),
    # sendfile(2) names EIO only; what it writes is a file here, which can be full.
    "sendfile": ((*FULL, "EIO"), ("sendfile",)),
    "copy_file_range": ((*FULL, "EIO"), ("copy_file_range",)),
    "close": ((*FULL, "EINTR", "EIO"), ("close",)),
    "fsync": ((*FULL, "EINTR", "EIO"), ("fsync", "fdatasync")),
    "sync": ((*FULL, "EIO"), ("syncfs",)),
    "sync_file_range": (("ENOSPC", "EIO"), ("sync_file_range",)),
    "truncate": (("EINTR", "EIO"), ("truncate", "ftruncate")),
    "fallocate": (("ENOSPC", "EINTR", "EIO"), ("fallocate",)),
    "flock": (("EINTR",), ("flock",)),
    # fcntl(2) gives EMFILE where it duplicates a descriptor, EINTR where it waits for a lock; the others none.
    "fcntl F_DUPFD": (("EMFILE",), ("fcntl F_DUPFD",)),
    "fcntl F_SETLKW": (("EINTR",), ("fcntl F_SETLKW",)),
    "dup": (("EMFILE", "EINTR"), ("dup2", "dup3")),
    # mkdir(2), rmdir(2), rename(2) and mknod(2) leave out EIO, which a broken disk gives there as from unlink(2).
    "mkdir": ((*FULL, "EIO"), ("mkdir", "mkdirat")),
    "rmdir": (("EIO",), ("rmdir",)),
    "unlink": (("EIO",), ("unlink", "unlinkat")),
    "rename": ((*FULL, "EIO"), ("rename", "renameat", "renameat2")),
    "link": ((*FULL, "EIO"), ("link", "linkat")),
    "symlink": ((*FULL, "EIO"), ("symlink", "symlinkat")),
    "mknod": ((*FULL, "EIO"), ("mknod", "mknodat")),
    "chmod": (("EIO",), ("chmod", "fchmod", "fchmodat")),
    "chown": (("EIO",), ("chown", "lchown", "fchown", "fchownat")),
    "setxattr": (FULL, ("setxattr", "lsetxattr", "fsetxattr")),
    "statfs": (("EINTR", "EIO"), ("statfs", "fstatfs")),
    "access": (("EIO",), ("access", "faccessat", "faccessat2")),
    "readlink": (("EIO",), ("readlink", "readlinkat")),
    "chdir": (("EIO",), ("chdir", "fchdir", "chroot")),
    "mount": (("EMFILE",), ("mount",)),
    "open_tree": (("EMFILE",), ("open_tree",)),
    "fsopen": (("EMFILE",), ("fsopen",)),
    "fsmount": (("EMFILE", "ENOSPC"), ("fsmount",)),
    "fspick": (("EMFILE",), ("fspick",)),
    # The one for namespaces: /proc/sys/user/max_*_namespaces.
    "clone": (("ENOSPC",), ("clone", "clone3")),
    "unshare": (("ENOSPC",), ("unshare",)),
    "execve": (("EIO", "EMFILE"), ("execve", "execveat")),
    "keyctl": (("EDQUOT",), ("keyctl", "add_key")),
    "pidfd_open": (("EMFILE",), ("pidfd_open",)),
    "pidfd_getfd": (("EMFILE",), ("pidfd_getfd",)),
    "memfd_create": (("EMFILE",), ("memfd_create",)),
    "socket": (("EMFILE",), ("socket", "socketpair")),
    # bind(2) of a name makes a file, as mknod(2) does.
    "bind": (FULL, ("bind",)),
    "connect": (("EINTR",), ("connect",)),
    "accept": (("EMFILE", "EINTR"), ("accept", "accept4")),
    "send": (("EINTR",), ("sendto", "sendmsg")),
    "recv": (("EINTR",), ("recvfrom", "recvmsg")),
    "pipe": (("EMFILE",), ("pipe", "pipe2")),
    "eventfd": (("EMFILE",), ("eventfd2",)),
    "epoll_create": (("EMFILE",), ("epoll_create1",)),
    "epoll_ctl": (("ENOSPC",), ("epoll_ctl",)),
    "epoll_wait": (("EINTR",), ("epoll_wait", "epoll_pwait")),
    "poll": (("EINTR",), ("poll", "ppoll")),
    "select": (("EINTR",), ("select", "pselect6")),
    "signalfd": (("EMFILE",), ("signalfd4",)),
    "timerfd_create": (("EMFILE",), ("timerfd_create",)),
    "inotify_init": (("EMFILE",), ("inotify_init1",)),
    "inotify_add_watch": (("ENOSPC",), ("inotify_add_watch",)),
    "wait": (("EINTR",), ("wait4", "waitid")),
    "nanosleep": (("EINTR",), ("nanosleep", "clock_nanosleep")),
    "getrandom": (("EINTR",), ("getrandom",)),
}
"""Manual page → the errors, the calls that it is about."""

_BY_CALL = {call: errors for errors, calls in PAGES.values() for call in calls}
_FOR_CREATION = {"ENOSPC", "EDQUOT"}


def faults(call: Call) -> list[int]:
    """What is tried there: 0 for SIGKILL, then the errors that it can give."""
    names = _BY_CALL.get(call.name, ())
    if call.name.startswith("open") and not call.changes:  # nothing is made
        names = tuple(name for name in names if name not in _FOR_CREATION)
    if call.target.startswith(("/memfd:", "pipe:", "socket:", "/dev/null", "/proc/")):  # no disk
        names = tuple(name for name in names if name not in {*_FOR_CREATION, "EIO"})
    return [0, *(getattr(errno, name) for name in names)]


def name(fault: int) -> str:
    """How it is shown."""
    return errno.errorcode[fault] if fault else "SIGKILL"
