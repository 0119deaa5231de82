"""The store as an OCI image layout (image-spec image-layout.md): the marker and index.json, derived from refs/.

``skopeo inspect oci:STORE:busybox:latest`` reads it. Each name is there twice, familiar and canonical, pointing to the
manifest of the platform that was pulled: other platforms' blobs are not in the store.
"""

from __future__ import annotations

import os

from pod.core import statefile, storedir
from pod.core.image import leftovers, store
from pod.core.oci import image_spec
from pod.core.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine


def prepare(engine: Engine) -> None:
    """Makes the store's folders (0700) and its markers. Idempotent; a few stats when all is there."""
    paths = engine.paths
    if os.path.exists(paths.root + "/oci-layout") and os.path.exists(paths.images):
        return
    storedir.prepare(paths)
    if not os.path.exists(paths.root + "/index.json"):
        statefile.write(paths.root + "/index.json", {"schemaVersion": 2, "manifests": []})
    statefile.write(paths.root + "/oci-layout", {"imageLayoutVersion": "1.0.0"})


def write_index(engine: Engine) -> None:
    """Writes index.json anew from the refs; under a lock, so that the last writer has seen every name."""
    with statefile.Lock(engine.run_dir + "/locks/index", timeout=10.0, optional=True):
        entries: list[dict[str, Any]] = []
        for ref in store.list_refs(engine):
            if "@" not in ref["name"]:
                entries.extend(_entries(engine, ref))
        index = {"schemaVersion": 2, "mediaType": image_spec.OCI_INDEX, "manifests": entries}
        statefile.write(engine.paths.root + "/index.json", index)
        leftovers.collect_files(engine.paths.root, ".index.json.")


def _entries(engine: Engine, ref: dict[str, Any]) -> list[dict[str, Any]]:
    try:
        record = statefile.read(engine.paths.image(ref["image"]))
        size = os.stat(engine.paths.blob(record["manifest"])).st_size
    except FileNotFoundError:
        return []  # Being removed by someone else, who writes the index after us.
    platform = {"architecture": record["architecture"], "os": record["os"]}
    if record.get("variant"):
        platform["variant"] = record["variant"]
    return [
        {
            "mediaType": record["mediaType"],
            "digest": record["manifest"],
            "size": size,
            "annotations": {"org.opencontainers.image.ref.name": name},
            "platform": platform,
        }
        for name in dict.fromkeys((references.parse(ref["name"]).familiar(), ref["name"]))
    ]
