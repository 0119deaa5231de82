"""Layers of the store on their way into an archive: as they are, plain, or compressed otherwise.

Each is held against its digest while it is written. The size of a plain layer, which a tar's header needs first, is
what its extraction has noted; where this user's map has none the layer is decoded twice.
"""

from __future__ import annotations

import errno
import os

from pod.core import statefile
from pod.core.errors import PodError, StoreCorrupt
from pod.core.image import archive_images, blobs
from pod.core.image.archive_decoder import Decoder
from pod.core.image.archive_write import write_all

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.archive_write import Fill

_CHUNK = 1 << 20
_AGAIN = "pull or load the image again"


class Layer:
    """A file of an archive: its digest and size (bytes), and what writes it."""

    __slots__ = ("digest", "fill", "media_type", "size")

    def __init__(self, media_type: str, digest: str, size: int, fill: Fill) -> None:
        self.media_type = media_type
        self.digest = digest
        self.size = size
        self.fill = fill


def kept(engine: Engine, layer: dict[str, Any]) -> Layer:
    """A layer of an image's record with the bytes that it has."""

    def fill(fd: int) -> int:
        return _copy(engine, layer["digest"], fd)

    return Layer(layer["mediaType"], layer["digest"], layer["size"], fill)


def plain(engine: Engine, layer: dict[str, Any]) -> Layer:
    """The layer as a plain tar, by the name of its diffID."""
    wanted = layer["diffID"]
    if layer["digest"] == wanted:
        return kept(engine, layer)
    size = _plain_size(engine, layer)
    if size is None:
        null = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
        try:
            size = _decode(engine, layer, null)
        finally:
            os.close(null)
    return Layer("", wanted, size, lambda fd: _decode(engine, layer, fd))


def _plain_size(engine: Engine, layer: dict[str, Any]) -> int | None:
    try:
        done = statefile.read(engine.paths.layer(engine.idmap.key, layer["chainID"]) + "/done")
    except (FileNotFoundError, StoreCorrupt):
        return None
    size = done.get("size")
    return size if isinstance(size, int) and done.get("diffID") == layer["diffID"] else None


def open_blob(engine: Engine, digest: str) -> int:
    """A descriptor of a blob, the caller's to close. StoreCorrupt where it is missing."""
    return blobs.open_read(engine, digest, f"save: blob {digest}: missing from the store", _AGAIN)


def recompressed(engine: Engine, layer: dict[str, Any], kind: str, folder: str) -> Layer:
    """The layer compressed by ``kind`` ("gzip", "zstd"); one that is so already keeps its bytes.

    It is written to a file of ``folder`` first (spool.make), for nobody knows its size and digest before.
    """
    from pod.core.image import compress

    if layer["mediaType"].endswith(("+" + kind, "." + kind)):
        return kept(engine, layer)
    path = f"{folder}/{layer['digest'][7:]}"
    source = open_blob(engine, layer["digest"])
    target = os.open(path, os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        with Decoder(source) as decoder:
            written = compress.write(decoder.fd, target, kind)
            decoder.finish()
    finally:
        os.close(source)
        os.close(target)
    if written.diff_id != layer["diffID"]:
        text = f"save: layer {layer['digest']}: it unpacks to {written.diff_id}, not {layer['diffID']}"
        raise StoreCorrupt(text, hint=_AGAIN)

    def fill(fd: int) -> int:
        again = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        try:
            return _pass_on(again, fd, written.digest)
        finally:
            os.close(again)
            os.unlink(path)

    return Layer(archive_images.LAYER + "+" + kind, written.digest, written.size, fill)


def _decode(engine: Engine, layer: dict[str, Any], fd: int) -> int:
    from pod.core.image import compress

    source = open_blob(engine, layer["digest"])
    try:
        written = compress.plain(source, fd)
    except PodError as error:
        if isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.EPIPE:
            raise BrokenPipeError(errno.EPIPE, "the reader has gone") from None
        raise
    finally:
        os.close(source)
    if written.diff_id != layer["diffID"]:
        text = f"save: layer {layer['digest']}: it unpacks to {written.diff_id}, not {layer['diffID']}"
        raise StoreCorrupt(text, hint=_AGAIN)
    return written.raw_size


def _copy(engine: Engine, digest: str, fd: int) -> int:
    source = open_blob(engine, digest)
    try:
        return _pass_on(source, fd, digest)
    finally:
        os.close(source)


def _pass_on(source: int, fd: int, digest: str) -> int:
    import hashlib

    hashed = hashlib.sha256()
    total = 0
    while data := os.read(source, _CHUNK):
        hashed.update(data)
        write_all(fd, data)
        total += len(data)
    if "sha256:" + hashed.hexdigest() != digest:
        raise StoreCorrupt(f"save: blob {digest}: its content has changed", hint=_AGAIN)
    return total
