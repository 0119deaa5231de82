"""This boot's run directory: sockets, locks, pins of user namespaces, host facts.

One per (store, host, boot), always on a local file system: sockets and flock do not work everywhere a store may lie.
It is made fresh under /tmp and found through a pointer in the store, ``cache/run/<host key>``; a pointer of another
boot is ignored.
Nothing in XDG_RUNTIME_DIR: that is unset under su and emptied at logout.
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import HostUnsupported

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

FOLDERS = ("locks", "pins", "c")


_NONE = (FileNotFoundError, IsADirectoryError, NotADirectoryError, PermissionError, ProcessLookupError)
"""Such a file is not there, or not for us. Any other error (no descriptor is left, an interrupted call) says nothing of
what it tells: who took it for "another boot" or "gone" would clean up after containers that run.
"""


def boot_id() -> str:
    """This boot's id (random(4)), 36 characters; "" where /proc does not say. OSError where it cannot be read now."""
    try:
        return statefile.read_bytes_of_proc("/proc/sys/kernel/random/boot_id").decode().strip()
    except _NONE:
        return ""


def machine_id() -> str:
    """machine-id(5), or "" on hosts without one. OSError where it cannot be read now."""
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        try:
            return statefile.read_bytes_of_proc(path).decode("ascii", "replace").strip()
        except _NONE:
            continue
    return ""


def process_start(pid: int) -> int:
    """Start time of a process in clock ticks after boot (proc(5), stat field 22); 0 where it is gone or a zombie.
    OSError where that cannot be read now.
    """
    try:
        text = statefile.read_bytes_of_proc(f"/proc/{pid}/stat")
    except _NONE:
        return 0
    fields = text[text.rindex(b")") + 2 :].split()
    return 0 if fields[0] in (b"Z", b"X") else int(fields[19])


class HostIdentity:
    """Which machine, boot and pid namespace a process lives in: records carry it, so that they can be judged
    elsewhere.
    """

    __slots__ = ("boot", "hostname", "machine", "pidns")

    def __init__(self, machine: str, hostname: str, boot: str, pidns: int) -> None:
        self.machine = machine
        self.hostname = hostname
        self.boot = boot
        self.pidns = pidns

    def as_dict(self) -> dict[str, object]:
        return {"machine": self.machine, "hostname": self.hostname, "boot": self.boot, "pidns": self.pidns}

    @property
    def mark(self) -> str:
        """Boot and pid namespace in names of what is half made: only there its maker's pid means anything."""
        return f"{self.boot[:8]}{self.pidns:x}"

    def key(self) -> str:
        """One file name per host and boot."""
        text = f"{self.hostname}-{self.boot}-{self.pidns}"
        return "".join([c if c.isalnum() or c in "-_" else "_" for c in text])


def host_identity() -> HostIdentity:
    """The identity of the calling process's host."""
    return HostIdentity(machine_id(), os.uname().nodename, boot_id(), os.stat("/proc/self/ns/pid").st_ino)


_FOREIGN_LITTER = 3600.0
"""Seconds after which what some other boot's process left half made is taken for litter."""


def is_litter(engine: Engine, path: str, maker: str) -> bool:
    """Whether nobody is at work any more on the half-made ``path``, whose name says ``maker``: "MARK.PID" and perhaps
    more behind a dot (:attr:`HostIdentity.mark`).
    """
    import time

    mark, _, rest = maker.partition(".")
    pid = rest.partition(".")[0]
    if mark == engine.host.mark and pid.isdigit():
        return not process_start(int(pid))
    # Of an earlier boot, or of another node of a shared home, whose pids are not ours to judge.
    try:
        return time.time() - os.lstat(path).st_mtime > _FOREIGN_LITTER
    except FileNotFoundError:
        return False


def network_dir(engine: Engine) -> str:
    """Where the network process listens. One of another user namespace (unshare -r) has no power over what is made in
    this one, so each has its own; its name is that of the namespace, but for the machine's first (PROC_USER_INIT_INO).
    """
    try:
        inode = os.readlink("/proc/self/ns/user")[len("user:[") : -1]
    except OSError:
        inode = ""
    return engine.run_dir + ("/netd" if inode in ("", "4026531837") else "/netd-" + inode)


def _is_ours(path: str) -> bool:
    try:
        st = os.lstat(path)
    except OSError:
        return False
    return st.st_mode == 0o40700 and st.st_uid == os.geteuid()


def _whole(path: str) -> bool:
    """Whether ``path`` is a run directory of ours; folders that a cleaner of /tmp took away are made again."""
    if not _is_ours(path):
        return False
    for name in FOLDERS:
        try:
            os.mkdir(path + "/" + name, 0o700)
        except FileExistsError:
            continue
    return True


def open_run_dir(engine: Engine) -> str:
    """The run directory, made where there is none. HostUnsupported where no local folder can be written."""
    pointer = engine.paths.cache + "/run/" + engine.host.key()
    try:
        path = os.readlink(pointer)
        if _whole(path):
            return path
    except OSError:
        pass
    return _make(engine, pointer)


def _make(engine: Engine, pointer: str) -> str:
    from pod.core import storedir

    storedir.prepare(engine.paths)
    os.makedirs(os.path.dirname(pointer), mode=0o700, exist_ok=True)
    # Of all nodes of a shared home: one that hangs must not keep the others from starting.
    with statefile.Lock(engine.paths.cache + "/run/.lock", timeout=5.0, optional=True):
        try:
            path = os.readlink(pointer)
            if _whole(path):
                return path
            os.unlink(pointer)
        except OSError:
            pass
        from pod.core import lost_records
        from pod.core.image import durable

        durable.recover(engine)
        lost_records.heal(engine)
        path = _fresh_folder(engine)
        for name in FOLDERS:
            os.mkdir(path + "/" + name, 0o700)
        try:
            os.symlink(path, pointer)
        except FileExistsError:  # without the lock somebody was faster
            _remove(path)
            return os.readlink(pointer)
    return path


def _remove(path: str) -> None:
    for name in FOLDERS:
        os.rmdir(path + "/" + name)
    os.rmdir(path)


def _fresh_folder(engine: Engine) -> str:
    """A new 0700 folder with an unguessable name: whatever lies in /tmp already is nobody's business."""
    reasons = []
    for base in (engine.environ.get("POD_RUN_DIR"), "/tmp", "/var/tmp", "/dev/shm", engine.paths.root):
        if not base or not base.startswith("/"):
            continue
        path = f"{base}/pod-{os.geteuid()}-{os.urandom(6).hex()}"
        try:
            os.mkdir(path, 0o700)
            os.chmod(path, 0o700)  # an umask like 0277 must not take our own rights
            return path
        except OSError as error:
            reasons.append(f"{base}: {error.strerror}")
    raise HostUnsupported(
        "make the run directory: " + "; ".join(reasons),
        hint="set POD_RUN_DIR to a local folder that you can write",
    )


def container_dir(engine: Engine, container_id: str) -> str:
    """Folder of a container's control socket (made by the caller)."""
    return f"{engine.run_dir}/c/{container_id[:32]}"


def container_lock(engine: Engine, container_id: str, timeout: float = 60.0) -> statefile.Lock:
    """The lock that every change of a container's records holds, in the folder of its control socket."""
    return statefile.Lock(container_dir(engine, container_id) + "/lock", folder=True, timeout=timeout)
