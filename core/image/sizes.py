"""Sizes of images: of layers unpacked, as their extraction noted it, whatever id map they were extracted for; and
what images take on the disk, blobs and trees, each once (:class:`Disk`).

    layers/<map>/<folder>/disk   {"version": 1, "bytes": …}: what du(1) says of the folder's tree, noted by who counted
                                 it first; a published tree never changes
"""

from __future__ import annotations

import os
import stat

from pod.core import disk, statefile, storedir
from pod.core.errors import PodError, StoreCorrupt
from pod.core.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.store import Image


class Sizes:
    """Remembers what it read: layers are asked for again and again."""

    __slots__ = ("_engine", "_keys", "_known")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = sorted(storedir.names(engine.paths.layers("").rstrip("/")))
        self._known: dict[str, int | None] = {}

    def of(self, chain_id: str) -> int | None:
        """Bytes of the layer's tar stream; None where it is extracted for no map."""
        if chain_id not in self._known:
            self._known[chain_id] = self._read(chain_id)
        return self._known[chain_id]

    def of_layer(self, layer: dict[str, Any]) -> int | None:
        """The same of an entry of an image's record, which may know it: a layer that was made here."""
        size = self.of(layer["chainID"])
        return layer.get("unpacked") if size is None else size

    def _read(self, chain_id: str) -> int | None:
        for key in self._keys:
            size = noted(self._engine.paths.layer(key, chain_id))
            if size is not None:
                return size
        return None


def noted(layer: str) -> int | None:
    """What the extraction of the layer folder ``layer`` noted; None where there is none, or nothing to be read."""
    try:
        size = statefile.read(layer + "/done").get("size")
    except (OSError, StoreCorrupt):
        return None
    return size if isinstance(size, int) else None


class Disk:
    """Bytes on the disk that blobs and unpacked trees of all maps take, as du(1) counts them.

    ``total`` is all of it, also what no image needs (any more). Trees that nobody has counted are walked once, in the
    user's mapped namespace.
    """

    __slots__ = ("_blobs", "_indexes", "_trees", "total")

    def __init__(self, engine: Engine) -> None:
        from pod.core.image import store

        self._blobs = {"sha256:" + name: size for name, size in _files(engine.paths.blobs)}
        self._indexes: dict[str, set[str]] = {}
        for ref in store.list_refs(engine):
            self._indexes.setdefault(ref["image"], set()).add(ref["digest"])
        self._trees: dict[str, int] = {}
        self.total = sum(self._blobs.values())
        for path, size in trees(engine, _folders(engine)).items():
            self.total += size
            chain = "sha256:" + path.rpartition("/")[2].removeprefix("flat-")
            self._trees[chain] = self._trees.get(chain, 0) + size

    def tree(self, chain_id: str) -> int:
        """Of one layer, unpacked: for every map, and flattened."""
        return self._trees.get(chain_id, 0)

    def blob(self, digest: str) -> int:
        """Of one blob, 0 where there is none."""
        return self._blobs.get(digest, 0)

    def parts(self, image: Image) -> dict[str, int]:
        """What an image needs, by digest and chain id."""
        record = image.record
        names = {record["id"], record["manifest"], *self._indexes.get(image.id, ())}
        names.update(layer["digest"] for layer in record["layers"])
        found = {name: self.blob(name) for name in names}
        found.update({"tree " + chain: self.tree(chain) for chain in image.chain_ids})
        return found

    def of(self, images: Iterable[Image]) -> int:
        """Of several images together: what they share counts once."""
        found: dict[str, int] = {}
        for image in images:
            found.update(self.parts(image))
        return sum(found.values())

    def shared(self, images: list[Image]) -> dict[str, tuple[int, int]]:
        """(bytes that another of ``images`` needs too, bytes that it alone needs) of each, by its id."""
        users: dict[str, int] = {}
        for image in images:
            for name in self.parts(image):
                users[name] = users.get(name, 0) + 1
        found = {}
        for image in images:
            parts = self.parts(image)
            own = sum(size for name, size in parts.items() if users[name] == 1)
            found[image.id] = (sum(parts.values()) - own, own)
        return found


def _files(folder: str) -> list[tuple[str, int]]:
    """(name, bytes on the disk) of the files of a folder."""
    found = []
    for name in storedir.names(folder):
        try:
            found.append((name, os.lstat(f"{folder}/{name}").st_blocks * 512))
        except FileNotFoundError:
            continue
    return found


def _folders(engine: Engine) -> list[str]:
    root = engine.paths.layers("").rstrip("/")
    return [
        f"{root}/{key}/{name}"
        for key in sorted(storedir.own_names(root))
        for name in sorted(storedir.own_names(f"{root}/{key}"))
        if digests.is_hex(name.removeprefix("flat-"))
    ]


def trees(engine: Engine, folders: list[str]) -> dict[str, int]:
    """Bytes on the disk of each layer folder; those that were counted before are not walked again."""
    found: dict[str, int] = {}
    missing = []
    for path in folders:
        size = _noted_disk(path)
        if size is None:
            missing.append(path)
        else:
            found[path] = size
    if missing:
        for path, size in walk(engine, missing).items():
            found[path] = size
            try:
                if os.path.exists(path + "/done"):
                    _note_disk(path, size)
            except OSError:
                continue  # a store that is only read, a full disk: counted again the next time
    return found


def _note_disk(folder: str, size: int) -> None:
    """In place: a temporary file would stay in the layer after a kill. What is cut is no JSON, and is counted again."""
    fd = os.open(folder + "/disk", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        os.write(fd, statefile.dumps({"version": 1, "bytes": size}).encode() + b"\n")
    finally:
        os.close(fd)


def _noted_disk(folder: str) -> int | None:
    try:
        size = statefile.read(folder + "/disk").get("bytes")
    except (OSError, StoreCorrupt):
        return None
    return size if isinstance(size, int) and not isinstance(size, bool) and size >= 0 else None


def walk(engine: Engine, folders: list[str]) -> dict[str, int]:
    """What du(1) says of each folder, whoever owns what lies in there; 0 of one that cannot be read."""
    from pod.core.runtime import userns

    def work() -> bytes:
        return statefile.dumps([_du(path) for path in folders]).encode()

    try:
        sizes = statefile.loads(userns.call_mapped(engine, engine.idmap, work))
    except PodError as error:
        engine.progress("warning", {"text": f"sizes are incomplete: {error.message}"})
        sizes = [_du(path) for path in folders]
    return dict(zip(folders, sizes))


def _du(path: str) -> int:
    """Bytes of the blocks of a tree, hard links once; no link is followed."""
    try:
        st = os.lstat(path)
    except OSError:
        return 0
    inside = disk.below(path) if stat.S_ISDIR(st.st_mode) else ()
    return 512 * (st.st_blocks + sum(one.st_blocks for one in inside))
