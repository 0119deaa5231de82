"""From documents and blobs of some source to an image of the store: what pull and the embedded image share.

    source → manifest (of the platform) → configuration → blobs, verified → layers, extracted → record and name

Nothing is visible before its digest was checked, and the name comes last. How blobs and layers come: image/arrival.
"""

from __future__ import annotations

import os
import threading

from pod.core.errors import NoSuchImage, RegistryError, StoreCorrupt
from pod.core.image import blobs, layers, layout, leftovers, store
from pod.core.image.arrival import Arrival, Progress, fetch
from pod.core.image.sizes import Sizes
from pod.core.oci import image_spec
from pod.core.oci.image_spec import ImageConfig, Index, Manifest
from pod.core.oci.platform import Platform
from pod.core.oci.platform import host as host_platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from pod.core.engine import Engine
    from pod.core.image.store import Image
    from pod.core.oci.reference import Reference

    Report = Callable[[int], None]

    class Source(Protocol):
        """Documents and blobs. ``fetch`` writes a whole blob, tells of its bytes, ends when ``stop`` is set.

        ``interrupt`` wakes every fetch that waits for data, after ``stop`` was set.
        """

        def manifest(self, digest: str) -> tuple[bytes, str]: ...

        def fetch(self, writer: blobs.Writer, report: Report, stop: threading.Event) -> None: ...

        def interrupt(self) -> None: ...


ROUNDS = 10
"""How often what others' rmi took meanwhile is fetched again."""


def choose(
    source: Source, raw: bytes, media_type: str, wanted: Platform | None, shown: str
) -> tuple[Manifest, Index | None]:
    """The manifest for the platform, and the index it was chosen from. RegistryError where there is none."""
    index: Index | None = None
    document = _parse(raw, media_type, shown)
    if isinstance(document, Index):
        index = document
        entry = index.choose(wanted or host_platform())
        if entry is None:
            offered = ", ".join(index.platforms()[:12]) or "none"
            raise RegistryError(
                f"no matching manifest for {wanted or host_platform()} in the manifest list entries: {shown}",
                hint=f"it is there for: {offered}; choose one with --platform",
            )
        raw, media_type = source.manifest(entry.digest)
        if len(raw) != entry.size:
            raise RegistryError(f"read manifest: {shown}: {len(raw)} bytes instead of the {entry.size} of its index")
        document = _parse(raw, media_type, shown)
        if isinstance(document, Index):
            raise RegistryError(f"read manifest: {shown}: an index where its index promised a manifest")
    return document, index


def _parse(raw: bytes, media_type: str, shown: str) -> Manifest | Index:
    try:
        return image_spec.parse_manifest(raw, media_type)
    except image_spec.DocumentError as error:
        raise RegistryError(f"read manifest: {shown}: {error}") from None


def install(
    engine: Engine,
    source: Source,
    manifest: Manifest,
    index: Index | None,
    *,
    reference: Reference | None,
    wanted: Platform | None,
    silent: bool = False,
    shown: str = "",
) -> Image:
    """Fetches what is missing, extracts, publishes the image under ``reference`` (None: no name).

    ``silent`` tells nothing of layers to the engine's progress. ``shown``: what errors call it.
    """
    shown = shown or (reference.familiar() if reference is not None else manifest.digest)
    layout.prepare(engine)
    leftovers.collect(engine)
    for turn in range(ROUNDS):
        try:
            config = _configuration(engine, source, manifest, wanted, shown)
            record = make_record(manifest, config)
            _bring_layers(engine, source, record, Progress(engine, silent=silent))
        except StoreCorrupt:
            if turn == ROUNDS - 1:
                raise
            continue  # Someone's rmi took a blob between its fetch and its use.
        with store.collection_lock(engine, publish=True):
            if not _complete(engine, record):
                continue  # Someone's rmi took a part while we worked: fetch that part again.
            blobs.put(engine, manifest.raw)
            if index is not None:
                blobs.put(engine, index.raw)
            of_layer = Sizes(engine)
            record["size"] = sum(of_layer.of(layer["chainID"]) or 0 for layer in record["layers"])
            digest = index.digest if index is not None else manifest.digest
            image = store.put(engine, record, reference, digest)
        # An rmi on another node of a shared home does not see our lock: it saw the record, or we see what is gone.
        if _complete(engine, record) and blobs.has(engine, manifest.digest):
            return image
    raise StoreCorrupt(f"store image: {shown}: parts of it vanish again and again", hint="is another rmi running?")


def _configuration(
    engine: Engine, source: Source, manifest: Manifest, wanted: Platform | None, shown: str
) -> ImageConfig:
    descriptor = manifest.config
    if not blobs.has(engine, descriptor.digest, descriptor.size):
        fetch(engine, source, descriptor, lambda _: None, threading.Event())
    try:
        config = ImageConfig(blobs.read(engine, descriptor.digest, image_spec.MAX_CONFIG))
    except image_spec.DocumentError as error:
        raise RegistryError(f"read image: {shown}: {error}") from None
    if len(config.diff_ids) != len(manifest.layers):
        counts = f"{len(manifest.layers)} layers but {len(config.diff_ids)} diff_ids in its configuration"
        raise RegistryError(f"read image: {shown}: {counts}")
    if config.os not in ("", "linux"):
        raise RegistryError(f'image operating system "{config.os}" cannot be used on this platform: {shown}')
    if wanted is not None and wanted.rank(config.platform) is None:
        raise RegistryError(
            f"image with reference {shown} was found but its platform ({config.platform}) does not match the "
            f"specified platform ({wanted})",
            hint="leave --platform out to take what there is",
        )
    return config


def make_record(manifest: Manifest, config: ImageConfig) -> dict[str, Any]:
    """The record of images/ (see store) for a manifest and its configuration; ``size`` is 0 until layers are there."""
    chain = image_spec.chain_ids(config.diff_ids)
    return {
        "version": 1,
        "id": manifest.config.digest,
        "manifest": manifest.digest,
        "mediaType": manifest.media_type,
        "created": config.created,
        "architecture": config.architecture,
        "os": config.os or "linux",
        "variant": config.variant,
        "size": 0,
        "layers": [
            {
                "digest": layer.digest,
                "mediaType": layer.media_type,
                "size": layer.size,
                "diffID": diff_id,
                "chainID": chain_id,
            }
            for layer, diff_id, chain_id in zip(manifest.layers, config.diff_ids, chain)
        ],
    }


def present(engine: Engine, image_id: str) -> Image | None:
    """The image of that id, where the store has all of it."""
    try:
        image = store.by_id(engine, image_id)
    except NoSuchImage:
        return None
    return image if _complete(engine, image.record) and blobs.has(engine, image.record["manifest"]) else None


def _complete(engine: Engine, record: dict[str, Any]) -> bool:
    return blobs.has(engine, record["id"]) and all(
        blob and tree for blob, tree in (_parts(engine, layer) for layer in record["layers"])
    )


def _parts(engine: Engine, layer: dict[str, Any]) -> tuple[bool, bool]:
    """Whether a layer's blob and its extracted tree are there."""
    blob = blobs.has(engine, layer["digest"], layer["size"])
    return blob, layers.is_done(engine.paths.layer(engine.idmap.key, layer["chainID"]))


def _bring_layers(engine: Engine, source: Source, record: dict[str, Any], progress: Progress) -> None:
    """Blobs and extracted layers of ``record``, those that are missing."""
    there = [_parts(engine, layer) for layer in record["layers"]]
    todo = {layer["chainID"]: layer for layer, parts in zip(record["layers"], there) if not all(parts)}
    missing: dict[str, dict[str, Any]] = {}
    for layer, (blob, _) in zip(record["layers"], there):
        if not blob:
            missing.setdefault(layer["digest"], layer)
    whole = not todo and os.path.exists(engine.paths.image(record["id"]))  # Docker says no more then.
    for layer, parts in zip(record["layers"], there):
        if not all(parts):
            progress.tell(layer, "Pulling fs layer")
        elif not whole:
            progress.tell(layer, "Already exists")
    if todo:
        Arrival(engine, source, list(todo.values()), list(missing.values()), progress).run()
