"""``save``: images of the store as an archive.

    docker-archive    what `docker save` writes: plain layers, manifest.json and repositories, an OCI layout beside them
    oci-archive       an OCI layout in a tar; manifests and layers keep their bytes, so their digests
    oci-dir           the same as a folder

Layers are written once, however many images have them. What is read from the store is held against its digest on the
way. Nothing depends on when or where: the same images give the same bytes.
"""

from __future__ import annotations

import os

from pod.core import events, statefile
from pod.core.errors import InvalidReference
from pod.core.image import archive_images, archive_layers, blobs, spool, store, variant
from pod.core.image.archive_write import of_bytes
from pod.core.image.push_squeeze import PLAIN
from pod.core.oci import digest as digests
from pod.core.oci import image_spec
from pod.core.oci import reference as references
from pod.core.oci.image_spec import Descriptor

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.archive_layers import Layer
    from pod.core.image.archive_write import Target
    from pod.core.image.store import Image
    from pod.core.oci.reference import Reference

FORMATS = ("docker-archive", "oci-archive", "oci-dir")
COMPRESSIONS = ("gzip", "zstd")


class Chosen:
    """One image to save, and the names that go with it. ``documents``: configuration and manifest of one that is not
    published, so that the store does not have them.
    """

    __slots__ = ("documents", "image", "names")

    def __init__(self, image: Image, documents: tuple[bytes, bytes] | None = None) -> None:
        self.image = image
        self.documents = documents
        self.names: list[Reference] = []


def choose(engine: Engine, words: Sequence[str], wanted: Sequence[str] = ()) -> list[Chosen]:
    """What ``words`` mean, each image once, in their order. A name without a tag means all tags of that repository, an
    id or a digest the image without names; NoSuchImage.
    """
    chosen: dict[str, Chosen] = {}
    for word in words:
        for image, name in _meant(engine, word, wanted):
            one = chosen.setdefault(image.id, Chosen(image))
            if name is not None and name not in one.names:
                one.names.append(name)
    return list(chosen.values())


def _meant(engine: Engine, word: str, wanted: Sequence[str]) -> list[tuple[Image, Reference | None]]:
    try:
        reference = references.parse(word)
    except InvalidReference:
        return [(variant.resolve(engine, word, wanted), None)]  # An id, or that error.
    if not reference.tag and not reference.digest:
        tagged = [
            ref["name"] for ref in store.list_refs(engine)
            if "@" not in ref["name"] and ref["name"].rpartition(":")[0] == reference.name
        ]  # fmt: skip
        if tagged:
            return [(variant.resolve(engine, name, wanted), references.parse(name)) for name in tagged]
    image = variant.resolve(engine, word, wanted)
    name = reference.with_default_tag()
    ref = store.read_ref(engine, name.canonical())
    return [(image, name if ref is not None and not name.digest else None)]


def save(
    engine: Engine,
    chosen: Sequence[Chosen],
    target: Target,
    form: str,
    compress: str = "",
    *,
    only_plain: bool = False,
) -> None:
    """Writes the archive. StoreCorrupt where the store lost or damaged a part; the caller removes what is there.
    ``only_plain``: layers that are compressed in another way than ``compress`` stay so.
    """
    if form == "docker-archive":
        _Docker(engine, target).write(chosen)
    else:
        _Layout(engine, target, compress, only_plain=only_plain).write(chosen)
    target.close()
    for one in chosen:
        if one.documents is None:
            events.emit(engine, "image", "save", one.image.id, {"name": one.image.id})


class _Archive:
    """What both forms share: blobs, each written once, and index.json of the images' manifests."""

    def __init__(self, engine: Engine, target: Target) -> None:
        self._engine = engine
        self._target = target
        self._written: set[str] = set()
        self._index: list[dict[str, Any]] = []

    def _document(self, data: bytes) -> str:
        digest = digests.of(data)
        if digest not in self._written:
            self._written.add(digest)
            self._target.file("blobs/sha256/" + digest[7:], len(data), of_bytes(data))
        return digest

    def _layer(self, layer: Layer) -> None:
        if layer.digest not in self._written:
            self._written.add(layer.digest)
            self._target.file("blobs/sha256/" + layer.digest[7:], layer.size, layer.fill)

    def _json(self, name: str, value: Any) -> None:
        data = statefile.dumps(value).encode()
        self._target.file(name, len(data), of_bytes(data))

    def _begin(self) -> None:
        self._target.folder("blobs")
        self._target.folder("blobs/sha256")

    def _end(self) -> None:
        self._json("index.json", {"schemaVersion": 2, "mediaType": image_spec.OCI_INDEX, "manifests": self._index})
        self._json("oci-layout", {"imageLayoutVersion": "1.0.0"})

    def _config(self, one: Chosen) -> bytes:
        if one.documents is not None:
            return one.documents[0]
        return blobs.read(self._engine, one.image.id, image_spec.MAX_CONFIG)

    def _name(self, entry: dict[str, Any], names: list[tuple[str, str]]) -> None:
        """The image's manifest in index.json, once for each (whole name, what ref.name says)."""
        for whole, short in names:
            annotations = {archive_images.FULL_NAME: whole, archive_images.REF_NAME: short}
            self._index.append({**entry, "annotations": annotations})
        if not names:
            self._index.append(entry)


class _Docker(_Archive):
    def write(self, chosen: Sequence[Chosen]) -> None:
        self._begin()
        items: list[dict[str, Any]] = []
        repositories: dict[str, dict[str, str]] = {}
        for one in chosen:
            layers = [archive_layers.plain(self._engine, layer) for layer in one.image.record["layers"]]
            config = self._config(one)
            described = [Descriptor(archive_images.LAYER, layer.digest, layer.size).to_json() for layer in layers]
            raw = archive_images.manifest_of(one.image.id, len(config), described)
            for layer in layers:
                self._layer(layer)
            self._document(config)
            entry = Descriptor(image_spec.OCI_MANIFEST, self._document(raw), len(raw)).to_json()
            self._name(entry, [(name.canonical(), name.tag) for name in one.names])
            for name in one.names if layers else []:
                repositories.setdefault(name.familiar_name, {})[name.tag] = layers[-1].digest[7:]
            items.append(
                {
                    "Config": "blobs/sha256/" + one.image.id[7:],
                    "RepoTags": [name.familiar() for name in one.names] or None,
                    "Layers": ["blobs/sha256/" + layer.digest[7:] for layer in layers],
                    "LayerSources": {layer.digest: item for layer, item in zip(layers, described)},
                }
            )
        self._end_docker(items, repositories)

    def _end_docker(self, items: list[dict[str, Any]], repositories: dict[str, dict[str, str]]) -> None:
        self._json("index.json", {"schemaVersion": 2, "mediaType": image_spec.OCI_INDEX, "manifests": self._index})
        self._json("manifest.json", items)
        self._json("oci-layout", {"imageLayoutVersion": "1.0.0"})
        if repositories:
            self._json("repositories", repositories)


class _Layout(_Archive):
    def __init__(self, engine: Engine, target: Target, compress: str, *, only_plain: bool) -> None:
        super().__init__(engine, target)
        self._compress = compress
        self._only_plain = only_plain
        self._folder = ""
        self._made: dict[str, Layer] = {}

    def write(self, chosen: Sequence[Chosen]) -> None:
        if not self._compress:
            self._write(chosen)
            return
        self._folder, lock = spool.make(self._engine)
        try:
            self._write(chosen)
        finally:
            spool.remove(self._folder)
            os.close(lock)

    def _layer_of(self, layer: dict[str, Any]) -> Layer:
        if not self._compress or (self._only_plain and layer["mediaType"] not in PLAIN):
            return archive_layers.kept(self._engine, layer)
        before = self._made.get(layer["diffID"])
        if before is None:
            before = archive_layers.recompressed(self._engine, layer, self._compress, self._folder)
            self._made[layer["diffID"]] = before
            self._layer(before)  # Now, so that its file is gone before the next one is made.
        return before

    def _manifest(self, one: Chosen) -> bytes:
        if one.documents is not None:
            return one.documents[1]
        return blobs.read(self._engine, one.image.record["manifest"], image_spec.MAX_MANIFEST)

    def _write(self, chosen: Sequence[Chosen]) -> None:
        self._begin()
        for one in chosen:
            config = self._config(one)
            record = one.image.record
            raw = self._manifest(one)
            layers = [self._layer_of(layer) for layer in record["layers"]]
            media_type = record["mediaType"]
            if [layer.digest for layer in layers] != [layer["digest"] for layer in record["layers"]]:
                raw, media_type = _rewritten(raw, one.image.id, len(config), layers), image_spec.OCI_MANIFEST
            for layer in layers:
                self._layer(layer)
            self._document(config)
            entry = Descriptor(media_type, self._document(raw), len(raw)).to_json()
            platform = {"architecture": record["architecture"], "os": record["os"]}
            if record.get("variant"):
                platform["variant"] = record["variant"]
            entry["platform"] = platform
            self._name(entry, [(name.canonical(), name.canonical()) for name in one.names])
        self._end()


def _rewritten(raw: bytes, config: str, size: int, layers: list[Layer]) -> bytes:
    """The manifest ``raw`` with other layers: an OCI one, whose annotations stay."""
    described = [Descriptor(layer.media_type, layer.digest, layer.size).to_json() for layer in layers]
    made = archive_images.manifest_of(config, size, described)
    annotations = statefile.loads(raw).get("annotations")
    if not isinstance(annotations, dict) or not annotations:
        return made
    return statefile.dumps({**statefile.loads(made), "annotations": annotations}).encode()
