"""Where a control group of a container can be made (cgroups(7)): found by looking, never outside of what is the user's.

    found first                                                                            kind
    version 2, beside or below our own group, where the folder and its cgroup.procs are    "cgroup v2"
    ours and its subtree hands the controller on; where nobody but this process is in
    such a group it is divided
    version 1, our own group of that controller's hierarchy, where it is ours              "cgroup v1"

--cgroup-parent names another folder, from the root of the hierarchy or, without a slash, below our own group.
A login's own group is root's: there a scope of the user's systemd manager is the way (cgroup_scope.py).
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import HostUnsupported, StoreCorrupt, UsageError

_BASE = "/sys/fs/cgroup"
V2, V1, SCOPE = "cgroup v2", "cgroup v1", "cgroup v2, a scope of systemd's"
CALLER = "pod-caller"
"""A group beside those of containers, for this process where it was alone in a group that is divided."""


class Places:
    """Folders that may get groups: ``unified`` of version 2, "" for none, with the names of the controllers that it
    hands on, ``is_scope`` where systemd made it for us; ``by_scope`` controllers that a start
    would get in one; ``split`` of version 1, by controller.
    """

    __slots__ = ("by_scope", "controllers", "is_scope", "split", "unified")

    def __init__(self) -> None:
        self.is_scope = False
        self.by_scope: frozenset[str] = frozenset()
        self.unified = ""
        self.controllers: frozenset[str] = frozenset()
        self.split: dict[str, str] = {}

    def of(self, controller: str) -> tuple[str, str]:
        """(kind, folder) for limits of that controller ("memory", "cpu", "cpuset", "pids", "io"); "" where none is."""
        if controller in self.controllers:
            return SCOPE if self.is_scope else V2, self.unified
        folder = self.split.get("blkio" if controller == "io" else controller, "")
        return (V1, folder) if folder else ("", "")


def find(parent: str = "", *, look: bool = False) -> Places:
    """What is there for us now. UsageError and HostUnsupported for a ``parent`` that cannot be.

    ``look``: nothing is made, divided or entered for it; what a start would find besides is not told then.
    """
    if parent.endswith(".slice"):
        raise UsageError(
            f"--cgroup-parent: {parent}: slices are systemd's to make", hint="give a folder of a hierarchy: /my/group"
        )
    if "/../" in f"/{parent}/":
        raise UsageError(f"--cgroup-parent: {parent}: not a path of a control group", hint="leave '..' out")
    places = Places()
    own, split = _own()
    for controller, (folder, path) in split.items():
        place = _below(folder, path, parent)
        if _is_ours(place, parent):
            places.split[controller] = place
    base = _unified()
    if base and own is not None:
        _find_unified(places, base, own, parent)
        if look and not places.unified:
            places.by_scope = _of_manager(base)
        elif not parent and not places.unified and not _divide_own(places, base, own):
            _enter_scope(places, base, own)
    if parent and not places.unified and not places.split:
        raise HostUnsupported(
            f"--cgroup-parent: {parent}: no such control group of yours",
            hint="an administrator can make one and give it to you: the folder, and its file cgroup.procs",
        )
    return places


def _unified() -> str:
    """Where version 2 is mounted, "" where it is not."""
    for base in (_BASE, _BASE + "/unified"):
        if os.path.exists(base + "/cgroup.controllers"):
            return base
    return ""


def _own() -> tuple[str | None, dict[str, tuple[str, str]]]:
    """Our group of version 2 (None where it is not told), and of version 1 by controller: (folder of it, path)."""
    own = None
    split: dict[str, tuple[str, str]] = {}
    try:
        text = statefile.read_bytes_of_proc("/proc/self/cgroup").decode("utf-8", "replace")
    except (OSError, StoreCorrupt):
        return None, {}
    for line in text.splitlines():
        _, _, rest = line.partition(":")
        names, _, path = rest.partition(":")
        if "/.." in path:  # outside of our cgroup namespace
            continue
        if not names:
            own = path
        elif not names.startswith("name="):
            for controller in names.split(","):
                split[controller] = (f"{_BASE}/{names}", path)
    return own, split


def _below(folder: str, own: str, parent: str) -> str:
    path = parent if parent.startswith("/") else f"{own.rstrip('/')}/{parent}"
    return (folder + "/" + path.strip("/")).rstrip("/")


def _is_ours(folder: str, parent: str) -> bool:
    """Whether groups can be made in ``folder``, which --cgroup-parent may have to make first."""
    if parent and not os.path.isdir(folder) and os.access(os.path.dirname(folder), os.W_OK):
        try:
            os.mkdir(folder)
        except OSError:
            return False
    return os.access(folder, os.W_OK) and os.access(folder + "/cgroup.procs", os.W_OK)


def _find_unified(places: Places, base: str, own: str, parent: str) -> None:
    here = _below(base, own, parent)
    if parent:
        if _is_ours(here, parent):
            places.unified, places.controllers = here, _handed_on(here) or _divide(here, _able(here))
        return
    beside = os.path.dirname(here) if here != base else here
    for folder in (beside, here):
        if _is_ours(folder, ""):
            found = _handed_on(folder)
            if found:
                places.unified, places.controllers = folder, found
                return


def _divide_own(places: Places, base: str, own: str) -> bool:
    """Where this process is alone in a group of ours it goes one below, and hands the controllers on."""
    here = _below(base, own, "")
    able = _able(here) if _is_ours(here, "") else frozenset()
    if not able or not _is_alone(here):
        return False
    os.mkdir(f"{here}/{CALLER}")
    _put(f"{here}/{CALLER}/cgroup.procs", str(os.getpid()))
    places.unified, places.controllers = here, _divide(here, able)
    return True


def _of_manager(base: str) -> frozenset[str]:
    """What the user's systemd manager has to hand on."""
    from pod.core import cgroup_scope

    uid = os.getuid()
    folder = f"{base}/user.slice/user-{uid}.slice/user@{uid}.service"
    return _able(folder) if cgroup_scope.is_there() else frozenset()


def _enter_scope(places: Places, base: str, own: str) -> None:
    """Only where version 2 has the controllers: a hybrid's scopes have nothing to hand on."""
    from pod.core import cgroup_scope

    if not _able(base) or not cgroup_scope.is_there() or not cgroup_scope.enter(own):
        return
    moved, _ = _own()
    if moved is not None and _divide_own(places, base, moved):
        places.is_scope = True


def join_scope(group: str) -> None:
    """For who joins a container whose ``group`` (a folder) is in a scope: only systemd lets us in there."""
    own, _ = _own()
    unit = next((part for part in group.split("/") if part.startswith("pod-") and part.endswith(".scope")), "")
    if not unit or own is None or f"/{unit}/" in f"{own}/":
        return
    from pod.core import cgroup_scope

    cgroup_scope.attach(unit, f"/{CALLER}", own)


def _words(path: str) -> frozenset[str]:
    try:
        return frozenset(statefile.read_bytes_of_proc(path).decode("ascii", "replace").split())
    except (OSError, StoreCorrupt):
        return frozenset()


def _handed_on(folder: str) -> frozenset[str]:
    return _words(folder + "/cgroup.subtree_control")


def _able(folder: str) -> frozenset[str]:
    return _words(folder + "/cgroup.controllers") & {"cpu", "cpuset", "io", "memory", "pids"}


def _divide(folder: str, controllers: frozenset[str]) -> frozenset[str]:
    """Hands controllers on to what is below ``folder``; those that could be."""
    for controller in controllers:
        try:
            _put(folder + "/cgroup.subtree_control", "+" + controller)
        except OSError:
            continue
    return _handed_on(folder)


def _is_alone(folder: str) -> bool:
    """Whether this process is the only one of that group, so that nobody else is moved by dividing it."""
    return _words(folder + "/cgroup.procs") == {str(os.getpid())}


def _put(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def put(folder: str, file: str, text: str) -> None:
    """Writes one file of a group. OSError."""
    _put(f"{folder}/{file}", text)
