"""Layers that the store has as plain archives, compressed for their way to a registry; the manifest that names them so.

    cache/compressed/<hex>   {"version":1, "digest", "size"}: what a plain layer's blob was compressed to, by this build

The compressed bytes are not kept: with what the cache tells, a registry that has them is not sent them again.
"""

from __future__ import annotations

import contextlib
import os
import threading

from pod.core import statefile
from pod.core.errors import StoreCorrupt
from pod.core.image import blobs, compress
from pod.core.oci import digest as digests
from pod.core.oci import image_spec
from pod.core.oci.image_spec import Descriptor, Manifest
from pod.ext import _build

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

PLAIN = {
    "application/vnd.oci.image.layer.v1.tar": "application/vnd.oci.image.layer.v1.tar+gzip",
    "application/vnd.docker.image.rootfs.diff.tar": "application/vnd.docker.image.rootfs.diff.tar.gzip",
}
"""Media types of plain layers, and what they become."""
MOST = 1024
"""Entries of the cache: past it all go."""


class Squeezed:
    """Compressed layers of one push, by their digests; :meth:`close` gives their files up."""

    __slots__ = ("_engine", "_files", "_lock", "_plain")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._files: dict[str, int] = {}
        self._plain: dict[str, Descriptor] = {}
        self._lock = threading.Lock()

    def close(self) -> None:
        while self._files:
            os.close(self._files.popitem()[1])

    def manifest(self, manifest: Manifest) -> Manifest:
        """``manifest`` itself where no layer of it is plain, else one whose layers are compressed."""
        if not any(layer.media_type in PLAIN for layer in manifest.layers):
            return manifest
        import json

        document = json.loads(manifest.raw)
        for layer, entry in zip(manifest.layers, document["layers"]):
            if layer.media_type in PLAIN:
                made = self._compressed(layer)
                entry.update(mediaType=made.media_type, digest=made.digest, size=made.size)
        raw = statefile.dumps(document).encode()
        changed = image_spec.parse_manifest(raw, manifest.media_type)
        assert isinstance(changed, Manifest)
        return changed

    def open(self, digest: str) -> int | None:
        """A descriptor of a compressed layer's bytes, the caller's to close; None for what is not one."""
        with self._lock:
            if digest not in self._plain:
                return None
            if digest not in self._files:
                self._compress(self._plain[digest])  # The cache knew its digest, and the registry has lost it.
            return os.dup(self._files[digest])

    def _compressed(self, layer: Descriptor) -> Descriptor:
        path = self._note(layer.digest)
        try:
            known = statefile.read(path)
            found = Descriptor(PLAIN[layer.media_type], digests.check(known.get("digest")), int(known["size"]))
        except (OSError, StoreCorrupt, KeyError, TypeError, ValueError):
            found = self._compress(layer)
            self._remember(path, found)
        self._plain[found.digest] = layer
        return found

    def _compress(self, layer: Descriptor) -> Descriptor:
        name = f"{self._engine.paths.blobs}/{blobs.TEMPORARY}push-{os.getpid()}-{os.urandom(4).hex()}"
        source = blobs.open_read(self._engine, layer.digest)
        try:
            target = os.open(name, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                os.unlink(name)
                written = compress.write(source, target)
                if written.diff_id != layer.digest:
                    blobs.drop(self._engine, layer.digest)
                    hint = "pull or load the image again"
                    raise StoreCorrupt(f"read blob: {layer.digest}: its content has changed", hint=hint)
            except BaseException:
                os.close(target)
                raise
        finally:
            os.close(source)
        self._files[written.digest] = target
        return Descriptor(PLAIN[layer.media_type], written.digest, written.size)

    def _note(self, digest: str) -> str:
        key = digests.of(f"{_build.BUILD_ID} {digest}".encode())
        return f"{self._engine.paths.cache}/compressed/{key[7:]}"

    def _remember(self, path: str, made: Descriptor) -> None:
        folder = os.path.dirname(path)
        os.makedirs(folder, mode=0o700, exist_ok=True)
        names = os.listdir(folder)
        for name in names if len(names) >= MOST else ():
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{folder}/{name}")
        statefile.write(path, {"version": 1, "digest": made.digest, "size": made.size})
