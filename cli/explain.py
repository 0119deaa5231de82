"""``pod __explain WHAT NAME PROGRAM STEP ERRNO PATH``: words a failure that the static helper met.

The helper execs this instead of carrying texts: the slow path may be slow. Exit codes are Docker's: 127 where the
program is not found, 126 where it cannot be executed, 125 else.
"""

from __future__ import annotations

import os

from pod.cli.options import Command
from pod.core.errors import LaunchFailed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "__explain",
    "WHAT NAME PROGRAM STEP ERRNO PATH",
    "Word a failed start",
    min_args=6,
    max_args=6,
    interspersed=False,
)

ENOENT, EACCES, ENOEXEC, EPERM, ENOSPC, EINVAL, ENOTDIR, ELOOP, EUSERS, EXDEV = 2, 13, 8, 1, 28, 22, 20, 40, 87, 18
ENOTCONN, ECONNRESET, EOPNOTSUPP, EDQUOT, ENOSYS, EBUSY = 107, 104, 95, 122, 38, 16

_NAMESPACES = "'pod doctor' says what forbids namespaces here; in a container, start that with --security-opt nesting"
_SUBIDS = "check your lines in /etc/subuid and /etc/subgid; 'pod doctor' shows them"

_ACTIONS = {
    "start": "start container", "exec": "exec in container", "attach": "attach to container", "build": "run step",
}  # fmt: skip
_NEEDS_NAMESPACES = ("CLONE", "USERNS", "IDMAP", "SETNS", "PROPAGATION", "MOUNT")
_LIMITS = {
    11: "is a limit on processes too low? ('ulimit -u')",  # EAGAIN
    24: "more descriptors are needed: 'ulimit -n 64' is enough",  # EMFILE
}
"""Whatever step met them."""

_HINTS = {
    ("COPY", EBUSY): "the start of another container copies a volume's first content and is stopped; end that one",
    ("CLONE", EPERM): _NAMESPACES,
    ("CLONE", ENOSPC): _NAMESPACES,
    ("CLONE", EUSERS): "namespaces are nested too deep",
    ("USERNS", EPERM): _NAMESPACES,
    ("EMULATOR", ENOTCONN): "the process that emulates root for this container has ended: restart the container",
    ("EMULATOR", ECONNRESET): "more than 255 execs at once find no room in a container: wait for some to end",
    ("USERNS", ENOSPC): _NAMESPACES,
    ("IDMAP", EPERM): _NAMESPACES,
    ("NEWUIDMAP", EPERM): _SUBIDS,
    ("NEWGIDMAP", EPERM): _SUBIDS,
    ("NEWUIDMAP", ENOENT): "the package uidmap is missing",
    ("NEWGIDMAP", ENOENT): "the package uidmap is missing",
    ("OVERLAY", EPERM): "'pod doctor' says whether overlay works on the store's file system",
    ("OVERLAY", EINVAL): "'pod doctor' says whether overlay works on the store's file system",
    ("KEYRING", EDQUOT): "your user's quota of keys is used up: see /proc/sys/kernel/keys/maxkeys and /proc/keys",
    ("RLIMIT", EPERM): "a hard limit cannot be raised above your own: see 'ulimit -H -a'",
    ("BIND", ENOENT): "the path to bind must exist on the host",
    ("BIND", EACCES): "the path to bind must be readable by you",
    ("BIND", ENOTDIR): "a folder cannot be mounted on a file, nor a file on a folder",
    ("BIND", EINVAL): "what is mounted below the source may not be left out: use bind-recursive=enabled",
    ("BIND", EOPNOTSUPP): "this kernel cannot make mounts below the source read-only: use bind-recursive=writable",
    ("GROUPS", EPERM): "the id map has no such group",
    ("WAIT", 3): "it was killed; 'pod ps -a' tells what became of the container",
}

_UNWATCHED = {
    "exec": ("the process that watched the program ended unexpectedly", "both were killed"),
    "build": ("the process that watched the step ended unexpectedly", "both were killed: build again"),
}


def main(engine: Engine, options: Options) -> int:
    what, name, program, step, number, path = options.args
    errnum = int(number) if number.isdigit() else 0
    if step in _NEEDS_NAMESPACES and errnum in (EPERM, EACCES, ENOSPC, EUSERS, EINVAL, ENOSYS) and _is_own_proc():
        from pod.core import host_doctor

        host_doctor.refuse(engine)  # Allowed when the plan was made, or by another process than the one that failed.
    error = word(what, name, program, step, errnum, path)
    if step == "IDMAP" and not _is_own_proc():
        error.hint = "/proc is that of another pid namespace: mount one here (bwrap --proc /proc)"
    raise error


def word(what: str, name: str, program: str, step: str, errnum: int, path: str) -> LaunchFailed:
    """The error to show; ``step`` is a name of ext/src/core/steps.h."""
    action = _ACTIONS.get(what, what)
    reason = os.strerror(errnum).lower() if errnum else "failed"
    # Of exec Docker's daemon, which sets 125 for nothing, tells 126 for what the caller named wrongly.
    code = 126 if what == "exec" and step in ("SETUID", "SETGID", "CHDIR") else 125
    hint = _HINTS.get((step, errnum))
    if step == "EXEC":
        code, reason, hint = _exec_failure(program, errnum, reason)
    elif step == "SETUID" and errnum in (ENOENT, EINVAL):
        reason, hint = _no_entry("user", path, errnum, "passwd")
    elif step == "SETGID" and errnum in (ENOENT, EINVAL):
        reason, hint = _no_entry("group", path, errnum, "group")
    elif step == "CHDIR":
        reason = f'chdir to cwd ("{path}") failed: {reason}'
        hint = "the working directory must be a folder that the user can enter: see -w"
    elif step == "RESOLVE" and errnum in (ELOOP, ENOTDIR):
        reason = f"mount target /{path.lstrip('/')}: {reason}"
        hint = "the image has a link or a file where a folder must be"
    elif step == "RESOLVE" and errnum == EXDEV:
        reason = f"mount target {path}: it leads to /proc"
        hint = "the image has a link there; name another target"
    elif step == "SUBPATH":
        reason = f"subpath {path}: " + ("a link in it leads out of the volume" if errnum in (ELOOP, EXDEV) else reason)
        hint = "the path must be there, in the volume or image, and no link may lead out of it"
    elif step == "WAIT":
        reason, hint = _UNWATCHED.get(what, ("the container's supervisor ended unexpectedly", hint))
    else:
        reason, hint = _other(name, step, errnum, path, hint)
    return LaunchFailed(
        f"{action}: {name}: {reason}",
        step=step,
        errno=errnum,
        path=path,
        exit_code=code,
        hint=hint or _LIMITS.get(errnum) or _general(step),
    )


def _other(name: str, step: str, errnum: int, path: str, hint: str | None) -> tuple[str, str | None]:
    if step in ("NETNS", "NETD", "NETWORK", "NETLINK", "NFT", "PUBLISH", "ADDRESS"):
        from pod.cli import explain_network

        return explain_network.word(name, step, errnum, path)
    reason = os.strerror(errnum).lower() if errnum else "failed"
    return f"{_words(step)}: {path + ': ' if path else ''}{reason}", hint


def _is_own_proc() -> bool:
    """Whether the pids that /proc shows are those of our own pid namespace."""
    try:
        return os.readlink("/proc/self") == str(os.getpid())
    except OSError:
        return False


def _exec_failure(program: str, errnum: int, reason: str) -> tuple[int, str, str]:
    if errnum == ENOENT:
        if "/" in program:
            return 127, f'exec: "{program}": no such file or directory', "is it in the image, and its interpreter too?"
        return 127, f'exec: "{program}": executable file not found in $PATH', "is it in the image?"
    hint = "it must be an executable file that the user may run"
    if errnum == ENOEXEC:
        hint = "is it a program for this machine's architecture, or a script without its #! line?"
    return 126, f'exec: "{program}": {reason}', hint


def _no_entry(kind: str, path: str, errnum: int, database: str) -> tuple[str, str]:
    if errnum == EINVAL:
        return f"unable to find {kind} {path}: ids must be in range 0-2147483647", "name one of the image's"
    hint = f"the image's /etc/{database} has no such {kind}; an id can be given as a number"
    if kind == "user" and path.partition(":")[0].isdigit():
        hint = "with sub-ids an id must lie within the map: 'pod doctor' shows it"
    return f"unable to find {kind} {path.partition(':')[0]}: no matching entries in {database} file", hint


def _words(step: str) -> str:
    return step.lower().replace("_", " ")


def _general(step: str) -> str:
    return "'pod doctor' checks what this host allows" if step not in ("PLAN", "INTERNAL") else "this is a bug of pod"
