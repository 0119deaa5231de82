"""The mount plan of a container: pure; returns the operations that ext/src/core/mount.c carries out.

The order is that of runc: /proc, /dev and what lies in it, /sys, the engine's files, the user's mounts, masks last.
"""

from __future__ import annotations

from pod.core.errors import UsageError
from pod.core.runtime import defaults, plan
from pod.core.runtime.plan import Mount

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

_NOSUID_NODEV_NOEXEC = plan.MS_NOSUID | plan.MS_NODEV | plan.MS_NOEXEC

_OPTION_FLAGS = {
    "ro": plan.MS_RDONLY,
    "nosuid": plan.MS_NOSUID,
    "nodev": plan.MS_NODEV,
    "noexec": plan.MS_NOEXEC,
    "relatime": plan.MS_RELATIME,
    "strictatime": plan.MS_STRICTATIME,
    "noatime": 1024,
    "nodiratime": 2048,
    "sync": 16,
    "dirsync": 128,
}
_OPTION_CLEARS = {
    "rw": plan.MS_RDONLY,
    "suid": plan.MS_NOSUID,
    "dev": plan.MS_NODEV,
    "exec": plan.MS_NOEXEC,
    "async": 16,
    "atime": 1024,
}
_TMPFS_DATA = ("size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "huge")


def base_mounts(host: dict[str, Any], *, single: bool, fresh_proc: bool, fresh_sys: bool = True) -> list[Mount]:
    """/proc, /dev, /sys and what belongs to them. ``host`` is the container's HostConfig."""
    own_net = host["NetworkMode"] != "host"
    own_pid = host["PidMode"] != "host"
    privileged = host["Privileged"]
    return [
        _proc(own_pid and fresh_proc, own_pid),
        *_dev(host, single=single),
        *_sys(own_net=own_net and fresh_sys, privileged=privileged, own_cgroups=host["CgroupnsMode"] != "host"),
    ]


def _proc(fresh: bool, own_pid: bool) -> Mount:
    if fresh:
        return Mount(plan.FS, "/proc", fstype="proc", flags=_NOSUID_NODEV_NOEXEC, bits=plan.NOFOLLOW)
    # --pid host needs the host's own; in nested containers the kernel refuses a fresh one, and the parent's is
    # all there is: read-only, since its /proc/sys would be the parent's.
    flags = _NOSUID_NODEV_NOEXEC | plan.MS_REC | (plan.MS_RDONLY if own_pid else 0)
    bits = plan.NOFOLLOW | (plan.REC_RDONLY if own_pid else 0)
    return Mount(plan.BIND, "/proc", source="/proc", flags=flags, bits=bits)


def _dev(host: dict[str, Any], *, single: bool) -> Iterable[Mount]:
    tty_group = "" if single else ",gid=5"
    yield Mount(
        plan.FS,
        "/dev",
        fstype="tmpfs",
        flags=plan.MS_NOSUID | plan.MS_STRICTATIME,
        data="mode=755,size=65536k",
        bits=plan.NOFOLLOW,
    )
    for name in defaults.DEVICES:
        yield Mount(plan.BIND, "/dev/" + name, source="/dev/" + name, flags=plan.MS_NOSUID | plan.MS_NOEXEC)
    yield Mount(
        plan.FS,
        "/dev/pts",
        fstype="devpts",
        flags=plan.MS_NOSUID | plan.MS_NOEXEC,
        data="newinstance,ptmxmode=0666,mode=0620" + tty_group,
        bits=plan.NOFOLLOW,
    )
    for name, target in defaults.DEV_LINKS:
        yield Mount(plan.SYMLINK, "/dev/" + name, source=target)
    if host["IpcMode"] == "host":
        yield Mount(plan.BIND, "/dev/shm", source="/dev/shm", flags=plan.MS_REC | _NOSUID_NODEV_NOEXEC)
        yield Mount(
            plan.BIND,
            "/dev/mqueue",
            source="/dev/mqueue",
            flags=plan.MS_REC | _NOSUID_NODEV_NOEXEC,
            bits=plan.OPTIONAL,
        )
        return
    if host["IpcMode"].startswith("container:"):
        yield Mount(plan.MKDIR, "/dev/shm")  # the other container's is put there
    elif host["IpcMode"] != "none":
        size = host["ShmSize"]
        yield Mount(
            plan.FS,
            "/dev/shm",
            fstype="tmpfs",
            source="shm",
            flags=_NOSUID_NODEV_NOEXEC,
            data=f"mode=1777,size={size}",
            bits=plan.NOFOLLOW,
        )
    yield Mount(plan.FS, "/dev/mqueue", fstype="mqueue", flags=_NOSUID_NODEV_NOEXEC, bits=plan.NOFOLLOW)


def _sys(*, own_net: bool, privileged: bool, own_cgroups: bool) -> Iterable[Mount]:
    read_only = 0 if privileged else plan.MS_RDONLY
    if own_net:
        yield Mount(plan.FS, "/sys", fstype="sysfs", flags=_NOSUID_NODEV_NOEXEC | read_only, bits=plan.NOFOLLOW)
        if not own_cgroups:  # a fresh one shows a namespace of the mounter's own
            flags = plan.MS_REC | _NOSUID_NODEV_NOEXEC | plan.MS_RDONLY
            bits = plan.NOFOLLOW | plan.OPTIONAL | plan.REC_RDONLY
            yield Mount(plan.BIND, "/sys/fs/cgroup", source="/sys/fs/cgroup", flags=flags, bits=bits)
            return
        yield Mount(
            plan.FS,
            "/sys/fs/cgroup",
            fstype="cgroup2",
            source="cgroup",
            flags=_NOSUID_NODEV_NOEXEC | plan.MS_RELATIME | read_only,
            bits=plan.NOFOLLOW | plan.OPTIONAL,
        )
        return
    # A fresh sysfs shows a network namespace, and that must be the mounter's own (sysfs(5)).
    yield Mount(
        plan.BIND,
        "/sys",
        source="/sys",
        flags=plan.MS_REC | _NOSUID_NODEV_NOEXEC | plan.MS_RDONLY,
        bits=plan.NOFOLLOW | plan.REC_RDONLY,
    )


def covers(host: dict[str, Any], *, fresh_proc: bool) -> list[Mount]:
    """Masked and read-only paths; they come after everything that is mounted.

    In a /proc of the container's own they must lie on procfs; the parent's, bound, has the parent's masks already.
    """
    mounts = []
    for path in host["MaskedPaths"]:
        mounts.append(Mount(plan.MASK, path, bits=plan.ON_PROC if fresh_proc and path.startswith("/proc/") else 0))
    for path in host["ReadonlyPaths"]:
        mounts.append(Mount(plan.RDONLY, path, bits=plan.ON_PROC if fresh_proc and path.startswith("/proc/") else 0))
    return mounts


def tmpfs(target: str, options: str, *, bare: bool = False) -> Mount:
    """--tmpfs TARGET[:options] with Docker's defaults: noexec, nosuid, nodev, mode 1777; ``bare``: without them."""
    flags = 0 if bare else _NOSUID_NODEV_NOEXEC
    data = {} if bare else {"mode": "1777"}
    for option in options.split(",") if options else []:
        name, equals, value = option.partition("=")
        if option in _OPTION_FLAGS:
            flags |= _OPTION_FLAGS[option]
        elif option in _OPTION_CLEARS:
            flags &= ~_OPTION_CLEARS[option]
        elif equals and name in _TMPFS_DATA:
            data[name] = value
        else:
            raise UsageError(f"invalid tmpfs option [{option!r}]".replace("'", '"'))
    text = ",".join([f"{name}={value}" for name, value in data.items()])
    return Mount(plan.FS, target, fstype="tmpfs", flags=flags, data=text)


def bind(
    source: str,
    target: str,
    *,
    read_only: bool,
    volume: bool = False,
    copy: bool = True,
    below: str = "",
    recursive: bool = True,
    depth: str = "below",
    slave: bool = False,
) -> Mount:
    """A host path or a volume's folder (``copy``: with the image's content at first), or the path ``below`` it, on
    ``target``. ``recursive``: with what is mounted there. ``depth``: how far read-only reaches (VolumeSpec).
    """
    flags = plan.MS_REC if recursive else 0
    bits = 0 if copy or not volume else plan.NOCOPY
    if read_only:
        flags |= plan.MS_RDONLY
        bits |= {"below": plan.REC_RDONLY, "top": 0, "whole": plan.WHOLE_RDONLY}[depth]
    flags |= plan.MS_SLAVE if slave else 0
    kind = plan.VOLUME if volume else plan.BIND
    return Mount(kind, target, source=source, flags=flags, bits=bits, data=below)


def image(target: str, first: int, count: int, below: str) -> Mount:
    """An image's tree, read-only: ``count`` layers of the plan's IMAGE_LOWERS from ``first`` on."""
    return Mount(
        plan.IMAGE, target, fstype="userxattr", flags=plan.MS_RDONLY, mode=first << 16 | count, data=below
    )


def device(source: str, target: str) -> Mount:
    """--device: a node of the host's, bound. What may be done with it stays the host's decision."""
    return Mount(plan.BIND, target, source=source, flags=plan.MS_NOSUID | plan.MS_NOEXEC)
