"""Archives of images made by hand (not by the code that reads them), and other tools that write and read them."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.support import tools
from tests.support.podcli import Pod

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
OCI_LAYER = "application/vnd.oci.image.layer.v1.tar"


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def layer(files: Mapping[str, bytes]) -> bytes:
    """A plain layer of root's files."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size = len(content)
            archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def config(diff_ids: Sequence[str], **more: Any) -> bytes:
    """An image configuration for amd64 Linux."""
    document = {
        "architecture": "amd64",
        "os": "linux",
        "config": {"Cmd": ["/bin/sh"]},
        "rootfs": {"type": "layers", "diff_ids": list(diff_ids)},
        **more,
    }
    return json.dumps(document).encode()


def tar(members: Sequence[tuple[str, bytes | str]]) -> bytes:
    """A tar of (name, content), in order, names twice if given twice; a content of str is a symlink to that."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for name, content in members:
            entry = tarfile.TarInfo(name)
            if isinstance(content, str):
                entry.type, entry.linkname = tarfile.SYMTYPE, content
                archive.addfile(entry)
            else:
                entry.size = len(content)
                archive.addfile(entry, io.BytesIO(content))
    return out.getvalue()


def docker(name: str | None = "made:1", files: Mapping[str, bytes] | None = None) -> list[tuple[str, bytes | str]]:
    """Members of an archive as Docker 1.10 to 24 wrote it: one image of one layer."""
    content = layer(files or {"hello": b"hello\n"})
    made = config(["sha256:" + sha(content)])
    item = {"Config": f"{sha(made)}.json", "RepoTags": [name] if name else None, "Layers": ["aa/layer.tar"]}
    return [("aa/layer.tar", content), (f"{sha(made)}.json", made), ("manifest.json", json.dumps([item]).encode())]


def oci(name: str = "docker.io/library/made:1", files: Mapping[str, bytes] | None = None) -> dict[str, bytes]:
    """Files of an OCI layout: one image of one plain layer."""
    content = layer(files or {"hello": b"hello\n"})
    made = config(["sha256:" + sha(content)])
    manifest = {
        "schemaVersion": 2,
        "mediaType": OCI_MANIFEST,
        "config": {"mediaType": OCI_CONFIG, "digest": "sha256:" + sha(made), "size": len(made)},
        "layers": [{"mediaType": OCI_LAYER, "digest": "sha256:" + sha(content), "size": len(content)}],
    }
    raw = json.dumps(manifest).encode()
    entry = {
        "mediaType": OCI_MANIFEST,
        "digest": "sha256:" + sha(raw),
        "size": len(raw),
        "annotations": {"org.opencontainers.image.ref.name": name},
    }
    return {
        "oci-layout": b'{"imageLayoutVersion":"1.0.0"}',
        "index.json": json.dumps({"schemaVersion": 2, "manifests": [entry]}).encode(),
        **{f"blobs/sha256/{sha(data)}": data for data in (content, made, raw)},
    }


def run(program: str, *arguments: str, cwd: Path | None = None, environ: dict[str, str] | None = None) -> str:
    """Runs another tool; the test fails with its words."""
    found = tools.find(program)
    assert found is not None
    done = subprocess.run(
        [found, *arguments], capture_output=True, text=True, timeout=200, check=False, cwd=cwd, env=environ
    )
    assert done.returncode == 0, f"{program} {' '.join(arguments)}\n{done.stdout}\n{done.stderr}"
    return done.stdout


def nothing_left(pod: Pod) -> None:
    """No image, no blob, no layer, no spool."""
    assert pod("images", "-aq").ok() == ""
    for folder in ("blobs/sha256", "images", "refs", "layers/*", "trash"):
        assert not [str(one) for place in pod.root.glob(folder) for one in place.iterdir()], folder
