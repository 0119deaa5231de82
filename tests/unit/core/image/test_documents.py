"""Documents of images that are made here: with annotations, and when their layers are compressed otherwise."""

from __future__ import annotations

import json

from pod.core.image import commit, save
from pod.core.image.archive_layers import Layer
from pod.core.oci import digest as digests

PLAIN = "application/vnd.oci.image.layer.v1.tar"
ENTRY = {"digest": "sha256:" + "1" * 64, "mediaType": PLAIN, "size": 5, "diffID": "sha256:" + "1" * 64}


def test_documents_when_annotated_then_the_manifest_says_so_and_names_the_configuration() -> None:
    raw, manifest = commit.documents({"created": "x", "config": {}}, [ENTRY], {"a": "b"})
    assert json.loads(raw)["rootfs"] == {"type": "layers", "diff_ids": [ENTRY["diffID"]]}
    found = json.loads(manifest)
    assert found["annotations"] == {"a": "b"}
    assert found["config"]["digest"] == digests.of(raw)
    assert found["config"]["size"] == len(raw)
    assert "annotations" not in json.loads(commit.documents({}, [ENTRY], {})[1])


def test_save_when_layers_are_compressed_then_annotations_stay() -> None:
    raw, manifest = commit.documents({}, [ENTRY], {"a": "b"})
    layer = Layer(PLAIN + "+zstd", "sha256:" + "2" * 64, 3, lambda fd: 0)
    found = json.loads(save._rewritten(manifest, digests.of(raw), len(raw), [layer]))
    assert found["annotations"] == {"a": "b"}
    assert [entry["digest"] for entry in found["layers"]] == [layer.digest]
    plain = save._rewritten(commit.documents({}, [ENTRY])[1], digests.of(raw), len(raw), [layer])
    assert "annotations" not in json.loads(plain)
