"""``system reset``: everything that a store has goes, and the store with it.

Only of a folder that carries the store's marker, and there only what pod makes, by name; a link is removed, never
followed. What is in the store goes into the trash by renames, folder after folder, so that what is left is a store at
every moment; the marker goes last. A reset that was killed is finished by the next, or its trash by the next ``ps``.
"""

from __future__ import annotations

import contextlib
import os
import stat
import time

from pod.core import statefile, storedir
from pod.core.container import lifecycle, model, settling, stopping
from pod.core.errors import Conflict, NoSuchContainer, PodError
from pod.core.image import trash
from pod.core.runtime import userns

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from pod.core.container.model import Container
    from pod.core.engine import Engine
    from pod.core.runtime.userns import IdMap

MARKER = "VERSION"
FOLDERS = (
    "names", "containers", "networks", "volumes", "manifests", "refs", "images", "builder", "compose", "layers",
    "blobs", "cache", "trash",
)  # fmt: skip
"""In the order in which they are emptied: what leads somewhere before that to which it leads. The cache has the pointer
to the run directory, which goes before it."""
FILES = ("events", "events.1", "events.lock", "owners", "index.json", "oci-layout")
_TEMPORARY = (".index.json.", ".VERSION.", ".oci-layout.")
_FLAGS = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
_KEPT_INSIDE = {"networks": ("names",), "blobs": ("sha256",), "builder": ("cache", "holds", "mounts", "work")}
"""Folders in folders that every store has."""


class Reset:
    """What :func:`reset` did: what it could not remove ("path: reason"), and what lies there that is not pod's."""

    __slots__ = ("foreign", "stuck")

    def __init__(self) -> None:
        self.stuck: list[str] = []
        self.foreign: list[str] = []


def check(engine: Engine) -> list[Container]:
    """The containers that will be stopped. PodError where there is no store, Conflict where one runs elsewhere."""
    root = engine.paths.root
    if not _marked(root):
        raise PodError(
            f"reset: {root}: there is no store of pod's (no file {MARKER})", hint="--root and POD_ROOT name another"
        )
    if os.path.lexists(f"{root}/{MARKER}"):
        storedir.check_version(statefile.read_bytes(f"{root}/{MARKER}", 64).strip(b"\0") or b"1", engine.paths)
    # Nobody else is to empty the trash meanwhile: that makes folders anew that a reset has just removed.
    found = settling.settle_all(engine, trash=False) if os.path.isdir(engine.paths.containers) else []
    elsewhere = [one for one in found if one.status == "elsewhere"]
    if elsewhere:
        shown = ", ".join(f"{one.name} (on {one.state.get('hostname')})" for one in elsewhere[:5])
        raise Conflict(f"reset: containers run elsewhere: {shown}", hint="stop them there first")
    return [one for one in found if one.is_running]


def _marked(root: str) -> bool:
    for name in (MARKER, storedir.LEAVING):
        try:
            if stat.S_ISREG(os.lstat(f"{root}/{name}").st_mode):
                return True
        except OSError:
            continue
    return False


def reset(engine: Engine) -> Reset:
    """Ends what runs, then removes everything. The caller has asked; :func:`check` is asked again."""
    outcome = Reset()
    _end_all(engine, check(engine))
    run = _run_directory(engine) or engine.run_dir  # work in the mapped namespace needs one
    root = os.open(os.path.realpath(engine.paths.root), _FLAGS)
    try:
        _empty_folders(engine, root, FOLDERS[:-2], engine.idmap, outcome)
        if not outcome.stuck:
            own = userns.IdMap("single", "single", [], [])
            _attempt(outcome, run, lambda: trash.remove_tree(engine, run, own))
            _empty_folders(engine, root, ("cache",), own, outcome)
        if not outcome.stuck:
            _dissolve(root, outcome)
    finally:
        os.close(root)
    if not outcome.stuck and not outcome.foreign:
        _remove_root(engine.paths.root)
    return outcome


def _end_all(engine: Engine, running: list[Container]) -> None:
    """SIGKILL to all, then the wait for each; those that somebody starts meanwhile are ended, too."""
    for _ in range(3):
        for one in running:
            with contextlib.suppress(NoSuchContainer):
                stopping.mark(one)
                stopping.signal(engine, one, 9)
        for one in running:
            if not stopping.end(engine, one, 30.0) or not _supervisor_gone(one):
                raise Conflict(
                    f"reset: container {one.name} did not end within 30 s of SIGKILL",
                    hint="a process of it hangs in the kernel (a dead network file system?); try again later",
                )
        for one in model.list_all(engine):
            lifecycle.delete(engine, one, volumes=False)
        running = check(engine)
        if not running:
            return
    raise Conflict("reset: containers are started again and again", hint="stop who does that first")


def _supervisor_gone(one: Container) -> bool:
    """Waits for it: it still writes when it has recorded the end."""
    pid, start = int(one.state["supervisor"]), int(one.state["supervisorStart"])
    deadline = time.monotonic() + 30.0
    while model.process_lives(pid, start):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


def _run_directory(engine: Engine) -> str:
    """Where the pointer leads, if that is a folder of ours made by us (rundir); "" otherwise."""
    try:
        path = os.readlink(f"{engine.paths.cache}/run/{engine.host.key()}")
        st = os.lstat(path)
    except OSError:
        return ""
    own = st.st_mode == 0o40700 and st.st_uid == os.geteuid()
    return path if own and path.rpartition("/")[2].startswith(f"pod-{os.geteuid()}-") else ""


def _empty_folders(engine: Engine, root: int, folders: Sequence[str], idmap: IdMap, outcome: Reset) -> None:
    """Folders of the store, and then the trash."""
    _make_trash(root)
    aside = os.open("trash", _FLAGS, dir_fd=root)
    try:
        for folder in folders:
            _empty(root, folder, aside, outcome)
        _unlink_files(root, outcome)
        for name in os.listdir(aside):
            path = f"{engine.paths.trash}/{name}"
            _attempt(outcome, path, lambda path=path: trash.remove_tree(engine, path, idmap))  # type: ignore[misc]
    finally:
        os.close(aside)


def _unlink_files(root: int, outcome: Reset) -> None:
    for name in os.listdir(root):
        if name in FILES or name.startswith(_TEMPORARY):
            _attempt(outcome, name, lambda name=name: os.unlink(name, dir_fd=root))  # type: ignore[misc]


def _make_trash(root: int) -> None:
    """A link in its place, or a file, goes first."""
    try:
        if not stat.S_ISDIR(os.stat("trash", dir_fd=root, follow_symlinks=False).st_mode):
            os.unlink("trash", dir_fd=root)
    except FileNotFoundError:
        pass
    try:
        os.mkdir("trash", 0o700, dir_fd=root)
    except FileExistsError:
        pass


def _empty(parent: int, folder: str, trash: int, outcome: Reset) -> None:
    """Renames what lies in a folder into the trash. Of a link in the folder's place the link alone goes."""
    try:
        here = os.open(folder, _FLAGS, dir_fd=parent)
    except FileNotFoundError:
        return
    except OSError:
        _attempt(outcome, folder, lambda: os.unlink(folder, dir_fd=parent))
        return
    try:
        os.fchmod(here, 0o700)
        inner = _KEPT_INSIDE.get(folder, ())
        for name in os.listdir(here):
            if name in inner:
                _empty(here, name, trash, outcome)
            else:
                _attempt(outcome, f"{folder}/{name}", lambda name=name: _rename(here, name, trash))  # type: ignore[misc]
    finally:
        os.close(here)


def _rename(folder: int, name: str, trash: int) -> None:
    target = os.urandom(8).hex()
    try:
        os.rename(name, target, src_dir_fd=folder, dst_dir_fd=trash)
    except PermissionError:  # rename(2) writes into a directory that gets another parent
        held = os.open(name, os.O_PATH | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=folder)
        try:
            if stat.S_ISDIR(os.fstat(held).st_mode):
                os.chmod(f"/proc/self/fd/{held}", 0o700)
        finally:
            os.close(held)
        os.rename(name, target, src_dir_fd=folder, dst_dir_fd=trash)


def _attempt(outcome: Reset, what: str, work: Callable[[], None]) -> None:
    try:
        work()
    except FileNotFoundError:
        return  # somebody was faster
    except (OSError, PodError) as error:
        reason = error.message if isinstance(error, PodError) else (error.strerror or str(error)).lower()
        outcome.stuck.append(f"{what}: {reason}")


def _dissolve(root: int, outcome: Reset) -> None:
    """The empty folders and the marker: from here on another command makes a new store."""
    try:
        os.rename(MARKER, storedir.LEAVING, src_dir_fd=root, dst_dir_fd=root)
    except FileNotFoundError:
        pass
    for path in _folders_inside_out():
        try:
            os.rmdir(path, dir_fd=root)
        except OSError:
            continue  # somebody uses the store again, or it is not there
    _unlink_files(root, outcome)
    outcome.foreign = sorted(name for name in os.listdir(root) if name != storedir.LEAVING)
    if not os.path.lexists(f"/proc/self/fd/{root}/{MARKER}"):
        with contextlib.suppress(FileNotFoundError):  # who has begun to make a new store
            os.unlink(storedir.LEAVING, dir_fd=root)


def _folders_inside_out() -> Iterator[str]:
    for folder in FOLDERS:
        for inner in _KEPT_INSIDE.get(folder, ()):
            yield f"{folder}/{inner}"
        yield folder


def _remove_root(root: str) -> None:
    """The folder itself; a link to it, or a mount point, stays."""
    try:
        if not os.path.islink(root):
            os.rmdir(root)
    except OSError:
        return

