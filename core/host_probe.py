"""Trials behind core/host: what is tried, where, and what follows for the planners. Cold: some 30 ms."""

from __future__ import annotations

import contextlib
import errno
import os
import struct

from pod.core import host, statefile
from pod.core.errors import StoreCorrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.host import Facts

    Ranges = list[tuple[int, int]]

MAX_RANGES = 31
"""Sub-id ranges that are used: with the user's own id as many extents as ext/src/core/userns.h takes."""

_MAX_FILE = 1 << 20
_MAX_ID = (1 << 32) - 2
_ON_STORE = frozenset(("overlay", "overlay_layers", "volatile", "whiteout", "xattr"))
_PROGRAM_PATH = "/usr/bin:/bin:/usr/sbin:/sbin:/usr/local/bin:/usr/local/sbin"


class Trial:
    """The outcome of one probe: ``ok``, else errno, step, path and ``reason`` in words."""

    __slots__ = ("errno", "ok", "path", "reason", "step")

    def __init__(self, ok: bool, errno: int = 0, step: str = "", path: str = "", reason: str = "") -> None:
        self.ok = ok
        self.errno = errno
        self.step = step
        self.path = path
        self.reason = reason


class Trials:
    """Probes by name, each tried once, when first asked for."""

    __slots__ = ("_done", "_engine")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._done: dict[str, Trial] = {}

    def __getitem__(self, name: str) -> Trial:
        if name not in self._done:
            base = self._engine.paths.cache if name in _ON_STORE else self._engine.run_dir
            self._done[name] = try_in(name, base)
        return self._done[name]


def try_in(name: str, base: str) -> Trial:
    """Probe ``name`` in a fresh folder below ``base``, which is removed again."""
    from pod.ext import process

    try:
        os.makedirs(base, 0o700, exist_ok=True)
        scratch = f"{base}/probe-{os.getpid()}-{os.urandom(4).hex()}"
        os.mkdir(scratch, 0o700)
    except OSError as error:
        return Trial(False, error.errno or 0, "MKDIR", base, f"make a folder: {base}: {strerror(error)}")
    try:
        process.probe(name, scratch)
        return Trial(True)
    except OSError as error:
        return failed(error)
    finally:
        remove_scratch(scratch)


def failed(error: OSError) -> Trial:
    """A Trial from a StepError, with "mount: proc: operation not permitted (EPERM)" for people."""
    step, path = str(getattr(error, "step", "")), str(getattr(error, "path", ""))
    code = errno.errorcode.get(error.errno or 0, str(error.errno))
    parts = [str(getattr(error, "words", "")), path, f"{strerror(error)} ({code})"]
    return Trial(False, error.errno or 0, step, path, ": ".join(part for part in parts if part))


def strerror(error: OSError) -> str:
    return os.strerror(error.errno or 0).lower()


def remove_scratch(path: str) -> None:
    """Removes what a probe left: few entries of our own making, but overlayfs leaves a folder without any rights."""
    for folder, names, _ in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                os.chmod(f"{folder}/{name}", 0o700, follow_symlinks=True)
    import shutil

    shutil.rmtree(path, ignore_errors=True)


def gather(engine: Engine) -> Facts:
    """Tries what the planners depend on."""
    return judge(engine, Trials(engine))


def judge(engine: Engine, trials: Trials) -> Facts:
    """The facts that follow from ``trials``."""
    name = user_name()
    uname = os.uname()
    values: dict[str, Any] = {
        "kernel": uname.release,
        "machine": uname.machine,
        "no_new_privs": host.process_status().get("NoNewPrivs") == "1",
        "apparmor_restrict_unprivileged_userns": sysctl("kernel/apparmor_restrict_unprivileged_userns") == "1",
        "uid_ranges": sub_ids("/etc/subuid", os.geteuid(), name),
        "gid_ranges": sub_ids("/etc/subgid", os.geteuid(), name),
        "newuidmap": find_program("newuidmap", engine.environ.get("PATH", "")),
        "newgidmap": find_program("newgidmap", engine.environ.get("PATH", "")),
        "tun": trials["tun"].ok,
        "fuse": trials["fuse"].ok,
        "seccomp": trials["seccomp"].ok,
        "seccomp_notify": trials["seccomp_notify"].ok,
        **_namespaces(trials),
        **_cgroups(),
    }
    if not values["uid_ranges"] or not values["gid_ranges"]:
        values["uid_ranges"], values["gid_ranges"] = _ranges_of_getsubids(engine, name, values)
    values["idmap_reason"] = _range_reason(values, name)
    values["idmap_kind"] = "single" if values["idmap_reason"] else "range"
    return host.Facts(values)


def _namespaces(trials: Trials) -> dict[str, Any]:
    """Everything that needs a user namespace; all no where there is none, without trying each."""
    missing = next((trials[name] for name in ("userns", "mountns", "pidns") if not trials[name].ok), None)
    if missing is not None:
        reason = missing.reason
        return {
            "userns": False,
            "userns_reason": reason,
            "overlay": "flatten",
            "overlay_reason": reason,
            "layer_dialect": "aufs",
            "volatile": False,
            "fresh_proc": False,
            "fresh_sys": False,
            "netns": False,
            "network": "none",
            "network_ipv6": False,
            "network_reason": reason,
            "root_emulation": "basic",
            "root_emulation_reason": reason,
        }
    volatile = trials["volatile"].ok
    overlay = trials["volatile"] if volatile else trials["overlay"]
    layers = trials["overlay_layers"]
    native = overlay.ok and layers.ok
    return {
        "userns": True,
        "userns_reason": "",
        "overlay": "native" if native else "flatten",
        "overlay_reason": overlay.reason or layers.reason,
        "layer_dialect": "overlay" if trials["whiteout"].ok and trials["xattr"].ok else "aufs",
        "volatile": native and volatile,
        "fresh_proc": trials["proc"].ok,
        "fresh_sys": trials["sysfs"].ok,
        "netns": trials["netns"].ok,
        **_network(trials),
        "root_emulation": "full" if trials["emulation"].ok else "basic",
        "root_emulation_reason": _emulation_reason(trials["emulation"]),
    }


def _network(trials: Trials) -> dict[str, Any]:
    """How far named networks go: bridges need links alone, the way out needs packet rules too."""
    missing = next((trials[name] for name in ("netns", "bridge", "gateway") if not trials[name].ok), None)
    bridges = trials["netns"].ok and trials["bridge"].ok
    return {
        "network": "gateway" if missing is None else "bridges" if bridges else "none",
        "network_ipv6": bridges and trials["ipv6"].ok,
        "network_reason": "" if missing is None else missing.reason,
    }


def _emulation_reason(trial: Trial) -> str:
    """Why root cannot be emulated in full; "" where it can."""
    if trial.errno == errno.EBUSY and trial.path == "a listener":
        return "this is a container of another pod or engine, which watches calls already"
    return trial.reason


def user_name() -> str:
    """The name of the effective user, "" where nobody knows one."""
    import pwd

    try:
        return pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:
        return ""


def sub_ids(path: str, uid: int, name: str) -> Ranges:
    """The user's ranges in a file of subuid(5) lines, by name or number, in the file's order; at most 31.

    Lines that make no sense are passed over, as newuidmap does.
    """
    try:
        data = statefile.read_bytes_of_proc(path, _MAX_FILE)
    except (OSError, StoreCorrupt):
        return []
    owners = {str(uid), name} - {""}
    found: Ranges = []
    for line in data.decode("utf-8", "replace").split("\n"):
        parts = line.split(":")
        if len(parts) == 3 and parts[0] in owners:
            add_range(found, parts[1], parts[2])
    return found[:MAX_RANGES]


def add_range(found: Ranges, start: str, count: str) -> None:
    """Appends a range if it is one, fits 32 bits and meets none that is there already."""
    if not all(text.isascii() and text.isdigit() and len(text) <= 10 for text in (start, count)):
        return
    low, size = int(start), int(count)
    if not size or not low or low + size - 1 > _MAX_ID:
        return
    if all(low + size <= other or other + length <= low for other, length in found):
        found.append((low, size))


def _ranges_of_getsubids(engine: Engine, name: str, values: dict[str, Any]) -> tuple[Ranges, Ranges]:
    """Ranges that a directory service gives (nsswitch.conf "subid:"), told by getsubids(1) where that is installed."""
    program = find_program("getsubids", engine.environ.get("PATH", ""))
    if not program or not name:
        return values["uid_ranges"], values["gid_ranges"]
    return _ask_getsubids([program, name]), _ask_getsubids([program, "-g", name])


def _ask_getsubids(argv: list[str]) -> Ranges:
    """Lines "0: NAME START COUNT"."""
    import subprocess

    try:
        done = subprocess.run(
            argv, stdin=subprocess.DEVNULL, capture_output=True, timeout=10, env={"PATH": _PROGRAM_PATH}, check=False
        )
    except (OSError, subprocess.SubprocessError):
        return []
    found: Ranges = []
    for line in done.stdout[:_MAX_FILE].decode("utf-8", "replace").split("\n"):
        words = line.split()
        if len(words) == 4:
            add_range(found, words[2], words[3])
    return found[:MAX_RANGES]


def find_program(name: str, path: str) -> str:
    """Full path of a program in the usual folders, then in ``path``; "" where there is none."""
    for folder in (_PROGRAM_PATH + ":" + path).split(":"):
        full = f"{folder}/{name}"
        if folder.startswith("/") and os.path.isfile(full) and os.access(full, os.X_OK):
            return full
    return ""


def _range_reason(values: dict[str, Any], name: str) -> str:
    """Why a range map cannot be had; "" where it was made."""
    who = name or f"uid {os.geteuid()}"
    if not values["userns"]:
        return "no user namespaces"
    for key, file in (("uid_ranges", "/etc/subuid"), ("gid_ranges", "/etc/subgid")):
        if not values[key]:
            return f"{file} has no range for {who}"
    for program in ("newuidmap", "newgidmap"):
        if not values[program]:
            return f"{program} is not installed"
    if values["no_new_privs"]:
        return "no_new_privs is set on this process, so newuidmap has no power"
    from pod.ext import process

    try:
        process.probe_range(
            _extents(os.geteuid(), values["uid_ranges"]),
            _extents(os.getegid(), values["gid_ranges"]),
            values["newuidmap"],
            values["newgidmap"],
        )
    except OSError as error:
        return failed(error).reason
    return ""


def _extents(own: int, ranges: Ranges) -> bytes:
    packed = struct.pack("=3I", 0, own, 1)
    inside = 1
    for start, count in ranges:
        packed += struct.pack("=3I", inside, start, count)
        inside += count
    return packed


def sysctl(name: str) -> str:
    """Value of /proc/sys/``name``, "" where it does not exist."""
    try:
        return statefile.read_bytes_of_proc("/proc/sys/" + name).decode("ascii", "replace").strip()
    except OSError:
        return ""


def _cgroups() -> dict[str, Any]:
    """Which cgroups there are, and whether a group of ours could be made where we are (cgroups(7))."""
    values: dict[str, Any] = {"cgroup_version": 0, "cgroup_delegated": False, "cgroup_controllers": []}
    base = "/sys/fs/cgroup"
    if not os.path.exists(base + "/cgroup.controllers"):
        if os.path.isdir(base) and os.listdir(base):
            values["cgroup_version"] = 1
        return values
    values["cgroup_version"] = 2
    folder = base + own_cgroup()
    child = f"{folder}/pod-probe-{os.getpid()}"
    try:
        os.mkdir(child)
        os.rmdir(child)
        if os.access(folder + "/cgroup.procs", os.W_OK):
            text = statefile.read_bytes_of_proc(folder + "/cgroup.controllers").decode("ascii", "replace")
            values["cgroup_delegated"] = True
            values["cgroup_controllers"] = text.split()
    except OSError:
        return values
    return values


def own_cgroup() -> str:
    """Path of this process's v2 group below the mount ("/user.slice/…"), "" where it is not told."""
    try:
        text = statefile.read_bytes_of_proc("/proc/self/cgroup").decode("utf-8", "replace")
    except OSError:
        return ""
    for line in text.split("\n"):
        if line.startswith("0::/"):
            return line[3:].rstrip("/")
    return ""
