"""The image inside pod's own file: an OCI layout beside the package, installed by the same code as a pulled one.

    <package>/_images/<machine>/{oci-layout, index.json, blobs/sha256/<hex>}      machine = os.uname().machine
"""

from __future__ import annotations

import os
import threading

from pod.core import statefile
from pod.core.errors import StoreCorrupt
from pod.core.image import blobs, durable, install
from pod.core.oci import image_spec
from pod.core.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.image.install import Report
    from pod.core.image.store import Image

_CHUNK = 1 << 18
REF_NAME = "org.opencontainers.image.ref.name"


def folder() -> str:
    """Where the layout of this machine's architecture is, whether it exists or not."""
    import pod

    return os.path.join(os.path.dirname(os.path.abspath(pod.__file__)), "_images", os.uname().machine)


class Layout:
    """install.Source over an OCI image layout directory."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def _blob(self, digest: str) -> str:
        return f"{self.path}/blobs/sha256/{digest[7:]}"

    def find(self, reference: Reference) -> image_spec.Descriptor | None:
        """The entry of index.json whose ref.name annotation is the reference, or its last part; None: not here."""
        try:
            raw = statefile.read_bytes(self.path + "/index.json", image_spec.MAX_MANIFEST)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            index = image_spec.parse_manifest(raw, image_spec.OCI_INDEX)
        except image_spec.DocumentError as error:
            raise StoreCorrupt(f"read image layout: {self.path}: {error}") from None
        if not isinstance(index, image_spec.Index):
            raise StoreCorrupt(f"read image layout: {self.path}: index.json is no index")
        short = f"{reference.path}:{reference.tag}"
        for entry in index.manifests:
            if reference.digest and entry.digest == reference.digest:
                return entry
            if entry.annotations.get(REF_NAME) in (reference.canonical(), reference.name, short):
                return entry
        return None

    def manifest(self, digest: str) -> tuple[bytes, str]:
        try:
            return statefile.read_bytes(self._blob(digest), image_spec.MAX_MANIFEST), ""
        except FileNotFoundError:
            raise StoreCorrupt(f"read image layout: {self.path}: manifest {digest} is missing") from None

    def fetch(self, writer: blobs.Writer, report: Report, stop: threading.Event) -> None:
        try:
            fd = os.open(self._blob(writer.digest), os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            raise StoreCorrupt(f"read image layout: {self.path}: blob {writer.digest} is missing") from None
        try:
            while not stop.is_set():
                chunk = os.read(fd, _CHUNK)
                if not chunk:
                    return
                writer.write(chunk)
                report(writer.received)
        finally:
            os.close(fd)

    def interrupt(self) -> None:
        """Reads of a local file end by themselves."""


def load(engine: Engine, reference: Reference, path: str | None = None) -> Image | None:
    """Installs the embedded image of that name; None where the file carries none. ``path``: another layout."""
    from pod.core.oci import digest as digests

    source = Layout(path or folder())
    entry = source.find(reference)
    if entry is None:
        return None
    raw, _ = source.manifest(entry.digest)
    if digests.of(raw) != entry.digest:
        raise StoreCorrupt(f"read image layout: {source.path}: manifest {entry.digest} has changed")
    manifest, index = install.choose(source, raw, entry.media_type, None, reference.familiar())
    image = install.install(engine, source, manifest, index, reference=reference, wanted=None, silent=True)
    durable.settle_later(engine)
    return image
