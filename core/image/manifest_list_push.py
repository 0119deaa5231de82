"""`pod manifest push`: the manifests of a list into its repository, blobs mounted from where they are, the index."""

from __future__ import annotations

import os
import threading

from pod.core.errors import NotFound, RegistryError, StoreCorrupt
from pod.core.image import blobs, manifest_list
from pod.core.oci import digest as digests
from pod.core.oci import image_spec
from pod.core.oci import reference as references
from pod.core.oci.image_spec import Manifest
from pod.core.registry.client import own
from pod.core.registry.upload import Blob, Uploads

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.oci.image_spec import Descriptor
    from pod.core.oci.reference import Reference


def push(engine: Engine, name: str, *, purge: bool, insecure: bool, told: Callable[[str], None]) -> str:
    """The digest of the index that was pushed; ``told`` gets Docker's line for each manifest. With ``purge`` the list
    is forgotten then. NotFound, RegistryError.
    """
    target = references.parse(name).with_default_tag()
    record = manifest_list.local(engine, name)
    if record is None:
        hint = f"pod manifest create {name} MANIFEST… makes it"
        raise NotFound(f"No such manifest: {target.familiar()}", hint=hint)
    sources = [references.parse(entry["reference"]) for entry in record["entries"]]
    for source in sources:
        if source.domain != target.domain:
            text = f"cannot use source images from a different registry than the target image: {source.domain}"
            raise RegistryError(f"{text} != {target.domain}", hint="push that image to the target's registry first")
    manifest_list.trust(engine, target, insecure=insecure)
    endpoint = own(engine, target)
    try:
        places = sorted({source.path for source in sources if source.path != target.path})
        uploads = Uploads(endpoint, target.familiar_name, places)
        for entry, source in zip(record["entries"], sources):
            _push_entry(engine, uploads, target, source, entry)
            told(f"Pushed ref {target.name}@{entry['digest']} with digest: {entry['digest']}")
        raw, media_type = manifest_list.document(record)
        uploads.put_manifest(target.tag, raw, media_type)
    finally:
        endpoint.close()
    if purge:
        manifest_list.remove(engine, name)
    return digests.of(raw)


def _push_entry(engine: Engine, uploads: Uploads, target: Reference, source: Reference, entry: dict[str, Any]) -> None:
    raw = entry["raw"].encode()
    try:
        manifest = image_spec.parse_manifest(raw, entry["mediaType"])
    except image_spec.DocumentError as error:
        raise RegistryError(f"read manifest: {entry['reference']}: {error}") from None
    if source.path != target.path and isinstance(manifest, Manifest):
        for blob in (manifest.config, *manifest.layers):
            _bring(engine, uploads, source, blob)
    uploads.put_manifest(entry["digest"], raw, entry["mediaType"])


def _bring(engine: Engine, uploads: Uploads, source: Reference, blob: Descriptor) -> None:
    """Mounts a blob, or sends it where the store has it."""
    if uploads.has("blobs", blob.digest):
        return
    location = uploads.begin(blob.digest, source.path)
    if not location:
        return
    try:
        fd = blobs.open_read(engine, blob.digest)
    except StoreCorrupt:
        text = f"push manifest list: {blob.digest}: the registry does not mount it from {source.familiar_name}"
        raise RegistryError(text, hint=f"pod pull {source.familiar()} brings it, then push again") from None
    try:
        uploads.send(location, Blob(fd, blob.digest, blob.size, lambda _: None, threading.Event()))
    finally:
        os.close(fd)
