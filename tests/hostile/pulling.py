"""What the tests of hostile registries share: images to serve, and how a refused pull must look from all sides."""

from __future__ import annotations

import base64
import json
import os
import time
import tracemalloc
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.errors import RegistryError
from pod.core.image import blobs, pull, store
from pod.core.oci import platform
from tests.support.scripted import Scripted
from tests.unit.core.image.conftest import MANIFEST, Built, archive

HOST = platform.host().architecture
NAME = "team/app:v1"


def image(**files: str) -> Built:
    """An image of one small layer."""
    return Built(archive(**(files or {"a": "1"})), architecture=HOST)


def serve(server: Scripted, built: Built | None = None) -> str:
    """The reference of an image that is all right."""
    built = built or image()
    return server.image(NAME, built.manifest, built.blobs, MANIFEST)


def serve_document(server: Scripted, raw: bytes, media_type: str = MANIFEST) -> str:
    """The reference of a manifest that is whatever it is; blobs of a good image are there."""
    return server.image(NAME, raw, image().blobs, media_type)


def layer_of(built: Built) -> str:
    digest: str = built.manifest_document["layers"][0]["digest"]
    return digest


def new_engine(tmp_path: Path, **environ: str) -> Engine:
    """An engine on an empty store, a home that has nothing, and no proxy."""
    base = {"HOME": str(tmp_path / "home"), "POD_RUN_DIR": str(tmp_path / "run"), "PATH": os.environ["PATH"]}
    (tmp_path / "home/.docker").mkdir(parents=True, exist_ok=True)
    return Engine({**base, **environ}, root=str(tmp_path / "store"))


def log_in(engine: Engine, host: str) -> str:
    """Credentials for ``host`` in the user's file; returns the header that carries them."""
    encoded = base64.b64encode(b"user:secret").decode()
    path = Path(engine.environ["HOME"], ".docker/config.json")
    known = json.loads(path.read_text())["auths"] if path.exists() else {}
    path.write_text(json.dumps({"auths": {**known, host: {"auth": encoded}}}))
    return "Basic " + encoded


def left(engine: Engine) -> list[str]:
    """What a refused pull left in the store besides folders, locks and the identity of the store."""
    found = []
    for folder, _, names in os.walk(engine.paths.root):
        found += [os.path.join(folder, name) for name in names if not name.endswith(".lock")]
    usual = ("/VERSION", "/index.json", "/oci-layout", "/cache/", "/events")
    return [path for path in found if not any(part in path[len(engine.paths.root) :] for part in usual)]


@contextmanager
def bounded(seconds: float, mib: int) -> Iterator[None]:
    """What is done within takes no longer, and no more memory of Python's own (0: not measured), than that."""
    began, most = time.monotonic(), 0
    if mib:
        tracemalloc.start()
    try:
        yield
        took = time.monotonic() - began
        most = tracemalloc.get_traced_memory()[1] if mib else 0
    finally:
        tracemalloc.stop()
    assert took < seconds, f"{took:.1f} s"
    assert most <= mib << 20, f"{most >> 20} MiB"


def refused(
    engine: Engine, name: str, words: str, *, seconds: float = 20, mib: int = 0, keeps: bool = False
) -> RegistryError:
    """The error of a pull: one line with WORDS in it, in bounded time and memory, and nothing is visible or left.

    ``keeps``: parts of blobs, to go on from, and blobs that were whole, may stay.
    """
    with bounded(seconds, mib), pytest.raises(RegistryError) as caught:
        pull.pull(engine, name)
    message = caught.value.message
    assert words in message, message
    assert "\n" not in message + (caught.value.hint or "")
    assert len(message) < 1200
    assert store.list_images(engine) == []
    assert store.list_refs(engine) == []
    assert all("/blobs/" in path for path in left(engine)), left(engine)
    if not keeps:
        known = [path for path in left(engine) if ".part-" in path and os.stat(path).st_size < blobs.Writer.KEEP]
        assert known == []
    return caught.value
