"""What a crash of the machine may have cut: published without waiting for the disk, marked until the disk has it.

    cache/unsynced/<host name>-<machine>-<boot>/<kind>@<name>@<random>     empty files; kind and name are
        blob@<hex>    blobs/sha256/<hex>            layer@<map>:<folder>    layers/<map>/<folder>
        tree@<id>     containers/<id>/rootfs, a container's copy of its image

A mark is made before the rename that publishes, so a journal that has the rename has the mark. A process that nobody
waits for syncs the file system and takes the marks away. The first command of another boot finds those of a boot that
ended too early: blobs are hashed again, layers and containers' copies are thrown away and made anew from what they were
made of when they are needed.
A warm start looks at nothing of this.
"""

from __future__ import annotations

import os

from pod.core import background, storedir
from pod.core.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine


def mark_blob(engine: Engine, digest: str) -> None:
    """Before a blob gets its name."""
    _mark(engine, "blob@" + digest[7:])


def mark_layer(engine: Engine, map_key: str, folder: str) -> None:
    """Before layers/<map>/<folder> gets its name."""
    _mark(engine, f"layer@{map_key}:{folder}")


def mark_tree(engine: Engine, container_id: str) -> None:
    """Before containers/<id>/rootfs gets its name."""
    _mark(engine, "tree@" + container_id)


def _mark(engine: Engine, name: str) -> None:
    folder = f"{_folder(engine)}/{_boot(engine)}"
    path = f"{folder}/{name}@{os.urandom(4).hex()}"
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW
    try:
        fd = os.open(path, flags, 0o600)
    except FileNotFoundError:
        os.makedirs(folder, 0o700, exist_ok=True)
        fd = os.open(path, flags, 0o600)
    os.close(fd)


def _folder(engine: Engine) -> str:
    return engine.paths.cache + "/unsynced"


def _boot(engine: Engine) -> str:
    """This host and boot as one file name; its last 36 characters are the boot id."""
    here = engine.host
    text = f"{here.hostname}-{here.machine}-{here.boot}"
    return "".join([c if c.isalnum() or c in "-_" else "_" for c in text])


def settle(engine: Engine) -> None:
    """Waits until the disk has all that is marked, then takes the marks away."""
    folder = f"{_folder(engine)}/{_boot(engine)}"
    marks = storedir.names(folder)
    if not marks:
        return
    _sync(engine.paths.root)
    for name in marks:
        _unlink(f"{folder}/{name}")


def _sync(path: str) -> None:
    """syncfs(2) of the file system that ``path`` is on; where the C library cannot be had, of all of them."""
    try:
        import ctypes

        syncfs = ctypes.CDLL(None, use_errno=True).syncfs
    except (ImportError, OSError, AttributeError):
        os.sync()
        return
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        if syncfs(fd) != 0:
            os.sync()
    finally:
        os.close(fd)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def settle_later(engine: Engine) -> None:
    """:func:`settle` in the background (background.run). Where no process can be made the next pull settles."""
    if storedir.names(f"{_folder(engine)}/{_boot(engine)}"):
        background.run(lambda: settle(engine))


def recover(engine: Engine) -> None:
    """Judges what a boot of this host that is over had not on disk yet. Called once per boot."""
    own = _boot(engine)
    for boot in storedir.names(_folder(engine)):
        if boot == own or boot[:-36] != own[:-36]:
            continue  # Alive, or another host's on a shared disk: not ours to judge.
        folder = f"{_folder(engine)}/{boot}"
        for name in storedir.names(folder):
            _judge(engine, name.rpartition("@")[0])
            _unlink(f"{folder}/{name}")
        try:
            os.rmdir(folder)
        except OSError:  # somebody was faster
            continue


def _judge(engine: Engine, name: str) -> None:
    kind, _, what = name.partition("@")
    if kind == "blob" and digests.is_hex(what):
        path = engine.paths.blob("sha256:" + what)
        if not _is_whole(path, "sha256:" + what):
            _unlink(path)
    elif kind == "layer":
        key, _, layer = what.partition(":")
        if "/" not in what and not layer.startswith("."):
            storedir.into_trash(engine.paths, f"{engine.paths.layers(key)}/{layer}")
    elif kind == "tree" and digests.is_hex(what):
        storedir.into_trash(engine.paths, engine.paths.container(what) + "/rootfs")


def _is_whole(path: str, wanted: str) -> bool:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return False
    try:
        return digests.of_file(fd) == wanted
    finally:
        os.close(fd)
