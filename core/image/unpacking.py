"""Blobs to trees: layers/<map>/<hex of chainID>/{diff,owners,done} and flat-<hex>/{diff,done}, by pod.ext.layer.

A layer folder appears by rename, whole, after the digest of its unpacked tar was held against the diffID. Each has
a lock of its own: two processes that need the same layer do the work once.
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import DigestMismatch, PodError, StoreCorrupt
from pod.core.image.layers import is_done

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.store import Image
    from pod.core.runtime.userns import IdMap

MAX_BYTES = 1 << 40
"""Unpacked bytes of one layer at most; the free space of the file system is the nearer bound."""
MAX_ENTRIES = 1 << 24
_SPARE = 64 << 20
_LOCK_TIMEOUT = 3600.0


def sizes(engine: Engine, image: Image, idmap: IdMap) -> int:
    """Bytes of all unpacked layers (of their tar streams), from what the extraction noted."""
    total = 0
    for layer in image.record["layers"]:
        total += statefile.read(engine.paths.layer(idmap.key, layer["chainID"]) + "/done")["size"]
    return total


def extract(engine: Engine, layer: dict[str, Any], idmap: IdMap) -> str:
    """Extracts one layer of an image record and publishes it; returns its folder. Waits for another who is at it."""
    path = engine.paths.layer(idmap.key, layer["chainID"])
    folder = engine.paths.layers(idmap.key)
    os.makedirs(folder, 0o700, exist_ok=True)
    lock = f"{engine.run_dir}/locks/layer-{idmap.key}-{path.rpartition('/')[2]}"
    with statefile.Lock(lock, timeout=_LOCK_TIMEOUT):
        if is_done(path):
            return path
        temporary = f"{folder}/.{layer['chainID'][7:23]}.{os.getpid()}.{os.urandom(4).hex()}"
        held = _make_held(temporary)
        try:
            _fill(engine, layer, idmap, temporary)
            if os.path.lexists(path):  # Half of a layer without "done": not ours by any rule, so out of the way.
                discard(engine, path, idmap)
            os.rename(temporary, path)
        except BaseException:
            discard(engine, temporary, idmap)
            raise
        finally:
            os.close(held)
    return path


def _make_held(folder: str) -> int:
    """Makes a folder and returns a descriptor that holds its lock: leftovers leaves it alone while we live."""
    import contextlib
    import fcntl

    os.mkdir(folder, 0o700)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # Without flock on this file system the grace time alone protects it.
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


def _fill(engine: Engine, layer: dict[str, Any], idmap: IdMap, folder: str) -> None:
    """diff, owners and done in ``folder``."""
    from pod.ext.layer import extract as unpack

    try:
        blob = os.open(engine.paths.blob(layer["digest"]), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise StoreCorrupt(f"extract layer: {layer['digest']}: its blob is missing", hint="pull the image") from None
    root = owners = -1
    try:
        os.mkdir(folder + "/diff", 0o755)
        os.chmod(folder + "/diff", 0o755)
        root = os.open(folder + "/diff", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        owners = os.open(folder + "/owners", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        ranged = idmap.kind == "range"
        dialect = engine.facts.layer_dialect
        limit = _max_bytes(root)

        def work() -> bytes:
            try:
                result = unpack(
                    blob, root, owners, mapped=ranged, dialect=dialect, max_bytes=limit, max_entries=MAX_ENTRIES
                )
            except OSError as error:
                raise _explain(error, layer) from error
            return statefile.dumps(list(result)).encode()

        try:
            answer = _call_mapped(engine, idmap, work)
        except PodError:
            _blame_blob(engine, layer, blob)
            raise
    finally:
        for descriptor in (blob, root, owners):
            if descriptor >= 0:
                os.close(descriptor)
    blob_hex, _blob_size, diff_hex, diff_size, entries = statefile.loads(answer)
    _compare(engine, layer, blob_hex, diff_hex)
    if _hides_all(folder + "/diff"):
        statefile.write(folder + "/opaque", {"version": 1})
    done = {"version": 1, "diffID": layer["diffID"], "size": diff_size, "entries": entries, "dialect": dialect}
    statefile.write(folder + "/done", done)


def _hides_all(root: str) -> bool:
    """Whether the layer hides everything below it (``.wh..wh..opq`` at its top)."""
    try:
        return os.getxattr(root, "user.overlay.opaque") == b"y"
    except OSError:
        return os.path.lexists(root + "/.wh..wh..opq")


def _call_mapped(engine: Engine, idmap: IdMap, work: Any) -> bytes:
    from pod.core.runtime import userns

    return userns.call_mapped(engine, idmap, work)


def _max_bytes(descriptor: int) -> int:
    space = os.fstatvfs(descriptor)
    return min(MAX_BYTES, space.f_bavail * space.f_frsize + _SPARE)


def _explain(error: OSError, layer: dict[str, Any]) -> PodError:
    """An OSError of the extraction as one line."""
    import errno

    from pod.ext.errors import StepError

    said = str(error) if isinstance(error, StepError) else f"{error.filename or ''}: {error.strerror}".lstrip(": ")
    hint = None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some space, or set POD_ROOT to a folder on a larger file system"
    return PodError(f"extract layer: {layer['digest'][:19]}: {said}", hint=hint)


def _blame_blob(engine: Engine, layer: dict[str, Any], blob: int) -> None:
    """After a failed extraction: DigestMismatch if the blob in the store is not what it was, and it is dropped."""
    import hashlib

    hashed = hashlib.sha256()
    position = 0
    while True:
        chunk = os.pread(blob, 1 << 20, position)
        if not chunk:
            break
        hashed.update(chunk)
        position += len(chunk)
    _compare(engine, layer, hashed.hexdigest(), layer["diffID"][7:])


def _compare(engine: Engine, layer: dict[str, Any], blob_hex: str, diff_hex: str) -> None:
    for what, wanted, got in (("blob", layer["digest"], blob_hex), ("unpacked layer", layer["diffID"], diff_hex)):
        if "sha256:" + got == wanted:
            continue
        if what == "blob":
            from pod.core.image import blobs

            blobs.drop(engine, layer["digest"])  # Worth nothing, and in the way of a good one.
        raise DigestMismatch(
            f"extract layer: {layer['digest']}: wrong digest: {what} is sha256:{got}, not {wanted}",
            hint="the image is damaged or forged; pull it again",
        )


def discard(engine: Engine, path: str, idmap: IdMap) -> None:
    """Takes a layer folder out of sight at once (rename to trash), then removes it. A missing one is fine."""
    target = f"{engine.paths.trash}/{os.urandom(8).hex()}"
    os.makedirs(engine.paths.trash, 0o700, exist_ok=True)
    try:
        os.rename(path, target)
    except FileNotFoundError:
        return
    remove_tree(engine, target, idmap)


def remove_tree(engine: Engine, path: str, idmap: IdMap) -> None:
    """Removes a tree whose owners may be any ids of the map: with a range in the user's mapped namespace."""
    from pod.ext.layer import rmtree

    folder, _, name = path.rpartition("/")
    parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:

        def work() -> bytes:
            rmtree(parent, name)
            return b""

        _call_mapped(engine, idmap, work)
    finally:
        os.close(parent)


def flatten(engine: Engine, folders: list[str], idmap: IdMap, path: str) -> None:
    """Builds the tree flat-<hex> at ``path`` of the layers ``folders``, base first; others who want it wait."""
    folder, _, name = path.rpartition("/")
    with statefile.Lock(f"{engine.run_dir}/locks/{name[:5]}{idmap.key}-{name[5:]}", timeout=_LOCK_TIMEOUT):
        if is_done(path):
            return
        os.makedirs(folder, 0o700, exist_ok=True)
        temporary = f"{folder}/.{name[:21]}.{os.getpid()}.{os.urandom(4).hex()}"
        held = _make_held(temporary)
        try:
            _flatten(engine, folders, idmap, temporary)
            if os.path.lexists(path):
                discard(engine, path, idmap)
            os.rename(temporary, path)
        except BaseException:
            discard(engine, temporary, idmap)
            raise
        finally:
            os.close(held)


def _flatten(engine: Engine, folders: list[str], idmap: IdMap, temporary: str) -> None:
    from pod.ext import layer

    os.mkdir(temporary + "/diff", 0o755)
    flags = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW
    opened: list[int] = []
    try:
        for folder in (*(folder + "/diff" for folder in folders), temporary + "/diff"):
            opened.append(os.open(folder, flags))

        def work() -> bytes:
            layer.flatten(opened[:-1], opened[-1])
            return b""

        _call_mapped(engine, idmap, work)
    finally:
        for descriptor in opened:
            os.close(descriptor)
    statefile.write(temporary + "/done", {"version": 1, "layers": [folder.rpartition("/")[2] for folder in folders]})
