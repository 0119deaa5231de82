"""`pod manifest inspect`: lists of the store, manifests and indexes of a registry, as Docker shows them."""

from __future__ import annotations

import base64
import json

from pod.core.errors import NotFound
from pod.core.image import manifest_list
from pod.core.oci import image_spec
from pod.core.oci import reference as references
from pod.core.oci.image_spec import Index
from pod.core.registry.client import connect

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine

MOST_VERBOSE = 50
"""Manifests of an index of which the details are fetched."""


def entry(engine: Engine, name: str, manifest: str, *, verbose: bool) -> dict[str, Any]:
    """One manifest of a list of the store. NotFound."""
    record = manifest_list.local(engine, name)
    found = manifest_list.find(record, references.parse(manifest).with_default_tag()) if record else None
    if found is None:
        raise NotFound(f"no such manifest: {manifest} in {name}")
    return _details(found) if verbose else _object(found["raw"])


def named(engine: Engine, name: str, *, verbose: bool, insecure: bool) -> Any:
    """A list of the store by that name, else what its registry has."""
    record = manifest_list.local(engine, name)
    if record is not None:
        if verbose:
            return [_details(one) for one in record["entries"]]
        return _object(manifest_list.document(record)[0].decode())
    reference = references.parse(name).with_default_tag()
    manifest_list.trust(engine, reference, insecure=insecure)
    client = connect(engine, reference)
    try:
        found = manifest_list.fetch(client, reference)
        if not verbose:
            return _object(found.raw.decode())
        if not isinstance(found, Index):
            return _details(manifest_list.entry_of(client, reference, found.digest))
        shown = []
        for one in found.manifests[:MOST_VERBOSE]:
            if one.media_type not in image_spec.MANIFEST_TYPES:
                continue
            made = manifest_list.fetch(client, reference, one.digest)
            full = {
                "reference": f"{reference.canonical()}@{one.digest}" if not reference.digest else reference.canonical(),
                "mediaType": one.media_type,
                "digest": one.digest,
                "platform": (one.to_json().get("platform") or {}),
                "raw": made.raw.decode(),
            }
            shown.append(_details(full))
        return shown
    finally:
        client.close()


def _object(text: str) -> Any:
    return json.loads(text.removeprefix("\ufeff"))


def _details(one: dict[str, Any]) -> dict[str, Any]:
    kind = "OCIManifest" if one["mediaType"] == image_spec.OCI_MANIFEST else "SchemaV2Manifest"
    described = manifest_list.descriptor(one)
    return {
        "Ref": one["reference"],
        "Descriptor": {key: described[key] for key in ("mediaType", "digest", "size", "platform")},
        "Raw": base64.b64encode(one["raw"].encode()).decode(),
        kind: _object(one["raw"]),
    }
