"""A new image of a base image, one more layer and a configuration: what ``commit`` publishes.

    archive → blobs/ (compressed, not visible before its digest is known) → configuration → manifest → record and name

The layer is unpacked by whoever runs it first. All of it is published under the lock that keeps others from sorting
out blobs that no image needs yet.
"""

from __future__ import annotations

from pod.core import statefile
from pod.core.errors import StoreCorrupt
from pod.core.image import blobs, compress, durable, gc, layout, leftovers, store
from pod.core.oci import digest as digests
from pod.core.oci import image_spec
from pod.core.oci.image_spec import ImageConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.compress import Written
    from pod.core.image.store import Image
    from pod.core.oci.reference import Reference

_LAYER = "application/vnd.oci.image.layer.v1.tar"
_FOREIGN = "application/vnd.oci.image.layer.nondistributable.v1.tar"
_SUFFIXES = {compress.GZIP: "+gzip", compress.ZSTD: "+zstd", compress.NONE: ""}


class Layer:
    """One layer on its way into the store: ``target`` is the file that gets it; then :meth:`written` says what it is.

    Leaving the context without a publication removes it.
    """

    __slots__ = ("blob", "kind", "sides")

    def __init__(self, engine: Engine, kind: str = compress.GZIP) -> None:
        self.blob = blobs.Nameless(engine)
        self.kind = kind
        self.sides: Written | None = None

    def __enter__(self) -> Layer:
        self.blob.__enter__()
        return self

    def __exit__(self, *exc: object) -> None:
        self.blob.__exit__(*exc)

    def take(self, source_fd: int) -> None:
        """Compresses the archive that ``source_fd`` gives, to its end."""
        self.sides = compress.write(source_fd, self.blob.fileno(), self.kind)


def publish(
    engine: Engine,
    base: Image,
    config: Mapping[str, Any],
    layer: Layer | None,
    reference: Reference | None,
    annotations: Mapping[str, str] | None = None,
) -> Image:
    """The image of ``base``'s layers and ``layer`` (None: no further one) with the configuration ``config``, of which
    "rootfs" is made here, and ``annotations`` in its manifest. A name that led elsewhere moves, the old image may
    dangle. StoreCorrupt where a part of ``base`` is gone.
    """
    entries = [dict(entry) for entry in base.record["layers"]]
    if layer is not None and layer.sides is not None:
        entries.append(_entry(layer))
    raw, manifest = documents(config, entries, annotations)
    parsed = ImageConfig(raw)
    for entry, chain in zip(entries, image_spec.chain_ids(parsed.diff_ids)):
        entry["chainID"] = chain
    layout.prepare(engine)
    leftovers.collect(engine)
    with store.collection_lock(engine, publish=True):
        for entry in base.record["layers"]:
            if not blobs.has(engine, entry["digest"], entry["size"]):
                raise StoreCorrupt(f"commit: layer {entry['digest']} of the image is gone", hint="pull the image again")
        if layer is not None and layer.sides is not None:
            layer.blob.publish(layer.sides.digest)
        config_digest = blobs.put(engine, raw)
        manifest_digest = blobs.put(engine, manifest)
        record = _record(base, parsed, config_digest, manifest_digest, entries)
        image = store.put(engine, record, reference, manifest_digest, made_here=True)
    parts = (config_digest, manifest_digest, *(entry["digest"] for entry in entries))
    if not all(blobs.has(engine, digest) for digest in parts):
        raise StoreCorrupt("commit: parts of the image vanished", hint="is an rmi running on another node? try again")
    durable.settle_later(engine)
    gc.after_publishing(engine)
    return image


def documents(
    config: Mapping[str, Any], entries: list[dict[str, Any]], annotations: Mapping[str, str] | None = None
) -> tuple[bytes, bytes]:
    """Configuration (``config`` with its "rootfs") and manifest of an image of the layers ``entries``, a record's."""
    diff_ids = [entry["diffID"] for entry in entries]
    raw = statefile.dumps({**config, "rootfs": {"type": "layers", "diff_ids": diff_ids}}).encode()
    manifest = _manifest(digests.of(raw), len(raw), entries)
    if annotations:
        manifest["annotations"] = dict(annotations)
    return raw, statefile.dumps(manifest).encode()


def _entry(layer: Layer) -> dict[str, Any]:
    sides = layer.sides
    assert sides is not None
    return {
        "digest": sides.digest,
        "mediaType": _LAYER + _SUFFIXES[layer.kind],
        "size": sides.size,
        "diffID": sides.diff_id,
        "unpacked": sides.raw_size,
    }


def _record(
    base: Image, config: ImageConfig, config_digest: str, manifest_digest: str, entries: list[dict[str, Any]]
) -> dict[str, Any]:
    return {
        "version": 1,
        "id": config_digest,
        "manifest": manifest_digest,
        "mediaType": image_spec.OCI_MANIFEST,
        "created": config.created,
        "architecture": config.architecture,
        "os": config.os or "linux",
        "variant": config.variant,
        "size": base.record["size"] + sum(entry.get("unpacked", 0) for entry in entries[len(base.record["layers"]) :]),
        "layers": entries,
    }


def _manifest(config_digest: str, config_size: int, entries: list[dict[str, Any]]) -> dict[str, Any]:
    """image-spec manifest.md; Docker's names of the base's layers become OCI's, their bytes stay."""
    return {
        "schemaVersion": 2,
        "mediaType": image_spec.OCI_MANIFEST,
        "config": {"mediaType": image_spec.OCI_CONFIG, "digest": config_digest, "size": config_size},
        "layers": [
            {"mediaType": _oci_type(entry["mediaType"]), "digest": entry["digest"], "size": entry["size"]}
            for entry in entries
        ],
    }


def _oci_type(media_type: str) -> str:
    if not media_type.startswith("application/vnd.docker."):
        return media_type
    prefix = _FOREIGN if ".foreign." in media_type else _LAYER
    suffix = media_type.rpartition(".tar")[2].lstrip(".+")
    return f"{prefix}+{suffix}" if suffix else prefix
