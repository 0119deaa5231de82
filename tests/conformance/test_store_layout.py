"""The store as an OCI image layout (image-spec image-layout.md): other tools read what pod keeps."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from tests.support import tools
from tests.support.podcli import Pod


def skopeo(*arguments: str) -> str:
    """Runs skopeo and returns its output; the test fails with its words."""
    program = tools.find("skopeo")
    assert program is not None
    argv = [program, "--insecure-policy", *arguments]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture
def busybox(pod: Pod) -> str:
    return pod.image("busybox:latest")


@pytest.mark.skopeo
def test_store_inspected_by_skopeo_is_the_image(pod: Pod, busybox: str) -> None:
    document: dict[str, Any] = json.loads(skopeo("inspect", f"oci:{pod.root}:{busybox}"))
    ours = pod.inspect(busybox)
    assert document["Architecture"] == ours["Architecture"]
    assert document["Os"] == "linux"
    config = json.loads(skopeo("inspect", "--config", f"oci:{pod.root}:{busybox}"))
    assert config["rootfs"]["diff_ids"] == ours["RootFS"]["Layers"]


@pytest.mark.skopeo
def test_store_copied_by_skopeo_has_every_blob(pod: Pod, busybox: str, tmp_path: Path) -> None:
    skopeo("copy", "--quiet", f"oci:{pod.root}:{busybox}", f"dir:{tmp_path}/copy")
    manifest = json.loads((tmp_path / "copy" / "manifest.json").read_text())
    for descriptor in (manifest["config"], *manifest["layers"]):
        content = (tmp_path / "copy" / descriptor["digest"].partition(":")[2]).read_bytes()
        assert "sha256:" + hashlib.sha256(content).hexdigest() == descriptor["digest"]
        assert len(content) == descriptor["size"]


def test_store_has_the_layout_file_and_index(pod: Pod, busybox: str) -> None:
    assert json.loads((pod.root / "oci-layout").read_text()) == {"imageLayoutVersion": "1.0.0"}
    index = json.loads((pod.root / "index.json").read_text())
    assert index["schemaVersion"] == 2
    for entry in index["manifests"]:
        algorithm, _, hexadecimal = entry["digest"].partition(":")
        blob = pod.root / "blobs" / algorithm / hexadecimal
        assert blob.stat().st_size == entry["size"]
        assert entry["annotations"]["org.opencontainers.image.ref.name"]


def test_every_blob_is_what_its_name_says(pod: Pod, busybox: str) -> None:
    blobs = list((pod.root / "blobs" / "sha256").iterdir())
    assert blobs
    for blob in blobs:
        assert hashlib.sha256(blob.read_bytes()).hexdigest() == blob.name


def test_removed_image_leaves_the_index(fresh_pod: Pod) -> None:
    name = fresh_pod.image("busybox:latest")
    fresh_pod("rmi", name).ok()
    index = json.loads((fresh_pod.root / "index.json").read_text())
    assert index["manifests"] == []
    assert list((fresh_pod.root / "blobs" / "sha256").iterdir()) == []
