"""pod.core.image.embedded: the image inside pod's own file."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.errors import DigestMismatch, StoreCorrupt
from pod.core.image import embedded, layers, store
from pod.core.oci import platform, reference
from tests.unit.core.image.conftest import MANIFEST, Built, archive, digest

NAME = reference.parse("pod.local/busybox:latest")


@pytest.fixture
def layout(tmp_path: Path) -> Path:
    built = Built(archive(hello="x"), architecture=platform.host().architecture)
    folder = tmp_path / "layout"
    (folder / "blobs/sha256").mkdir(parents=True)
    for name, data in {**built.blobs, digest(built.manifest): built.manifest}.items():
        (folder / "blobs/sha256" / name[7:]).write_bytes(data)
    entry = {
        "mediaType": MANIFEST,
        "digest": digest(built.manifest),
        "size": len(built.manifest),
        "annotations": {embedded.REF_NAME: "pod.local/busybox:latest"},
    }
    (folder / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return folder


def test_load_when_named_then_installed_like_a_pulled_one(engine: Engine, layout: Path) -> None:
    image = embedded.load(engine, NAME, str(layout))
    assert image is not None
    assert store.resolve(engine, "pod.local/busybox").id == image.id
    (folder,) = layers.ensure(engine, image)
    assert os.listdir(folder + "/diff") == ["hello"]


def test_load_when_other_name_or_no_layout_then_none(engine: Engine, layout: Path, tmp_path: Path) -> None:
    assert embedded.load(engine, reference.parse("pod.local/other:latest"), str(layout)) is None
    assert embedded.load(engine, NAME, str(tmp_path / "none")) is None


def test_load_when_layout_is_damaged_then_refused(engine: Engine, layout: Path) -> None:
    for path in (layout / "blobs/sha256").iterdir():
        if not path.read_bytes().startswith(b"{"):
            path.write_bytes(path.read_bytes()[:-1] + b"!")
    with pytest.raises(DigestMismatch):
        embedded.load(engine, NAME, str(layout))
    assert store.list_images(engine) == []


def test_load_when_manifest_is_missing_then_store_corrupt(engine: Engine, layout: Path) -> None:
    for path in (layout / "blobs/sha256").iterdir():
        path.unlink()
    with pytest.raises(StoreCorrupt, match="missing"):
        embedded.load(engine, NAME, str(layout))
