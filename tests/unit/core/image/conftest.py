"""An engine on a store in tmp_path, and a writer of images that shares no code with pod's reader."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import tarfile
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from pod.core.engine import Engine
from tests.support.registry import Registry

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
INDEX = "application/vnd.oci.image.index.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"
CONFIG = "application/vnd.oci.image.config.v1+json"


class Told:
    """A progress callback that remembers."""

    def __init__(self) -> None:
        self.events: list[tuple[str, dict[str, Any]]] = []

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        self.events.append((event, dict(fields)))

    def texts(self, event: str, key: str) -> list[str]:
        return [fields[key] for name, fields in self.events if name == event]


@pytest.fixture
def told() -> Told:
    return Told()


@pytest.fixture
def engine(tmp_path: Path, told: Told) -> Engine:
    home = tmp_path / "home"
    home.mkdir()
    environ = {"HOME": str(home), "POD_RUN_DIR": str(tmp_path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    return Engine(environ, root=str(tmp_path / "store"), progress=told)


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def archive(**files: str) -> bytes:
    """An uncompressed tar of regular files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content.encode()))
    return out.getvalue()


class Built:
    """An image in memory: blobs by digest, the manifest's bytes, the id."""

    def __init__(self, *layers: bytes, architecture: str = "amd64", os: str = "linux", **config: Any) -> None:
        self.blobs: dict[str, bytes] = {}
        descriptors = []
        for layer in layers:
            packed = gzip.compress(layer, 1, mtime=0)
            self.blobs[digest(packed)] = packed
            descriptors.append({"mediaType": LAYER, "digest": digest(packed), "size": len(packed)})
        self.document: dict[str, Any] = {
            "created": "2024-01-31T12:00:00Z",
            "architecture": architecture,
            "os": os,
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
            **config,
        }
        raw = json.dumps(self.document).encode()
        self.blobs[digest(raw)] = raw
        self.id = digest(raw)
        self.manifest_document: dict[str, Any] = {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": {"mediaType": CONFIG, "digest": self.id, "size": len(raw)},
            "layers": descriptors,
        }

    @property
    def manifest(self) -> bytes:
        return json.dumps(self.manifest_document, indent=1).encode()

    @property
    def platform(self) -> dict[str, str]:
        return {"os": self.document["os"], "architecture": self.document["architecture"]}


def index_of(*images: Built) -> bytes:
    entries = [
        {
            "mediaType": MANIFEST,
            "digest": digest(image.manifest),
            "size": len(image.manifest),
            "platform": image.platform,
        }
        for image in images
    ]
    return json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": entries}).encode()


def _send(method: str, url: str, data: bytes, content_type: str) -> Mapping[str, str]:
    request = urllib.request.Request(url, data=data, method=method, headers={"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=20) as answer:
        return dict(answer.headers)


class Pusher:
    """Pushes to a real registry by plain HTTP (distribution-spec: push)."""

    def __init__(self, registry: Registry) -> None:
        self.host = registry.host
        self._base = f"http://{registry.host}/v2"

    def blobs(self, repository: str, image: Built) -> None:
        for name, data in image.blobs.items():
            location = _send("POST", f"{self._base}/{repository}/blobs/uploads/", b"", "text/plain")["Location"]
            joint = "&" if "?" in location else "?"
            _send("PUT", f"{location}{joint}digest={name}", data, "application/octet-stream")

    def image(self, repository: str, tag: str, image: Built) -> str:
        """Pushes; returns a reference for pull."""
        self.blobs(repository, image)
        _send("PUT", f"{self._base}/{repository}/manifests/{tag}", image.manifest, MANIFEST)
        return f"{self.host}/{repository}:{tag}"

    def index(self, repository: str, tag: str, *images: Built) -> str:
        for image in images:
            self.image(repository, digest(image.manifest), image)
        _send("PUT", f"{self._base}/{repository}/manifests/{tag}", index_of(*images), INDEX)
        return f"{self.host}/{repository}:{tag}"


@pytest.fixture
def pusher(writable_registry: Registry) -> Pusher:
    return Pusher(writable_registry)
