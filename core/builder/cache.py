"""Steps that a build need not do again, by what they depend on: the tree below, the instruction, what it copies.

A key says nothing of how the build came to that tree: two Dockerfiles that reach the same layer share what follows.
"""

from __future__ import annotations

import os

from pod.core import moments, statefile, storedir
from pod.core.image import blobs, built_layers, durable, layout, leftovers, store
from pod.core.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.commit import Layer

MEDIA_TYPE = "application/vnd.oci.image.layer.v1.tar"


class Step:
    """What is known of a step that was done: its layer (None: it made none), and when."""

    __slots__ = ("created", "key", "layer")

    def __init__(self, key: str, layer: dict[str, Any] | None, created: str) -> None:
        self.key = key
        self.layer = layer
        self.created = created


class Record:
    """One record, as ``builder du`` shows it: bytes of the layer, seconds since 1970 of its last use."""

    __slots__ = ("created", "description", "key", "size", "used")

    def __init__(self, key: str, description: str, size: int, created: str, used: float) -> None:
        self.key = key
        self.description = description
        self.size = size
        self.created = created
        self.used = used


def key_of(engine: Engine, parts: list[Any]) -> str:
    """64 hex digits of all that a step depends on. Layers differ by id map only in what a host can do, so that is no
    part of it; $SOURCE_DATE_EPOCH is, since it is in the layer's times.
    """
    text = statefile.dumps({"version": 1, "epoch": epoch(engine), "parts": parts})
    return digests.of_small(text.encode())[7:]


def find(engine: Engine, key: str) -> Step | None:
    """The step, if it was done and all of it is there."""
    record = built_layers.read(engine, key)
    if record is None:
        return None
    layer = record["layer"]
    if layer is not None and not blobs.has(engine, layer["digest"], layer["size"]):
        return None
    built_layers.note_use(engine, key)
    return Step(key, layer, record["created"])


def keep(engine: Engine, key: str, layer: Layer | None, chain_of: Callable[[str], str], description: str) -> Step:
    """Publishes a step that was just done. ``chain_of``: a diffID to the chain id that the layer gets."""
    created = now(engine)
    entry = None
    layout.prepare(engine)
    leftovers.collect(engine)
    with store.collection_lock(engine, publish=True):
        if layer is not None:
            sides = layer.sides
            assert sides is not None
            layer.blob.publish(sides.digest)
            entry = {
                "digest": sides.digest, "mediaType": MEDIA_TYPE, "size": sides.size, "diffID": sides.diff_id,
                "chainID": chain_of(sides.diff_id), "unpacked": sides.raw_size,
            }  # fmt: skip
        record = {"version": 1, "layer": entry, "created": created, "description": description[:1000]}
        built_layers.write(engine, key, record)
    durable.settle_later(engine)
    return Step(key, entry, created)


def epoch(engine: Engine) -> int | None:
    """Seconds since 1970 that stand for now, and that no file of a layer may be younger than."""
    return moments.source_date_epoch(engine.environ)


def now(engine: Engine) -> str:
    """The time of what is made now, RFC 3339: $SOURCE_DATE_EPOCH where it is set."""
    seconds = epoch(engine)
    return statefile.timestamp() if seconds is None else moments.rfc3339(seconds * moments.SECOND)


# ---- what `builder du` and `builder prune` ask


def records(engine: Engine) -> list[Record]:
    """All of them, the one used last first."""
    found = []
    for key in built_layers.keys(engine):
        record = built_layers.read(engine, key)
        try:
            used = os.lstat(built_layers.path_of(engine, key)).st_mtime
        except FileNotFoundError:
            continue
        if record is None:
            found.append(Record(key, "(damaged)", 0, "", 0.0))
            continue
        size = int(record["layer"]["size"]) if record["layer"] else 0
        found.append(Record(key, str(record.get("description", "")), size, record["created"], used))
    found.sort(key=lambda one: one.used, reverse=True)
    return found


def remove(engine: Engine, keys: list[str]) -> int:
    """Takes records away, and the blobs and layers that nobody else needs; the bytes of the blobs."""
    from pod.core.image import remove as images

    trash: list[str] = []
    freed = 0
    with store.collection_lock(engine, publish=False):
        layers = []
        for key in keys:
            record = built_layers.read(engine, key)
            if record is not None and record["layer"] is not None:
                layers.append(record["layer"])
            images.unlink(built_layers.path_of(engine, key))
        needed, chains = images.kept(engine)
        for layer in layers:
            if layer["digest"] not in needed:
                freed += max(images.unlink(engine.paths.blob(layer["digest"])), 0)
            if layer["chainID"] not in chains:
                folder = engine.paths.layer(engine.idmap.key, layer["chainID"])
                trash.append(storedir.into_trash(engine.paths, folder))
    images.empty(engine, trash)
    return freed


