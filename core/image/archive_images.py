"""Which images an archive has: an OCI layout's, those of Docker's manifest.json, or of its older ``repositories``.

An archive of Docker's has both documents nowadays; the OCI layout goes first, for it keeps the manifests. Where there
is none a manifest is made: of the configuration, and of the layers as they are in the archive.
"""

from __future__ import annotations

from pod.core import statefile
from pod.core.errors import DigestMismatch, InvalidReference, NoSuchImage
from pod.core.image.archive_tar import ArchiveError
from pod.core.oci import digest as digests
from pod.core.oci import image_spec
from pod.core.oci import reference as references
from pod.core.oci.image_spec import Descriptor, ImageConfig

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Sequence
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image import blobs
    from pod.core.image.archive_members import Members, Part
    from pod.core.image.install import Report
    from pod.core.oci.platform import Platform
    from pod.core.oci.reference import Reference

REF_NAME = "org.opencontainers.image.ref.name"
FULL_NAME = "io.containerd.image.name"
LAYER = "application/vnd.oci.image.layer.v1.tar"
_SUFFIXES = {"": "", "gzip": "+gzip", "zstd": "+zstd"}
_MAX_IMAGES = 1000
FORGED = "the archive is damaged or forged; nothing of this image was kept"


class ArchiveSource:
    """install.Source over an archive's members. ``documents``: blobs made here or read already; ``parts``: those that
    do not lie under their digest.
    """

    __slots__ = ("_documents", "_members", "_parts")

    def __init__(
        self, members: Members, documents: dict[str, bytes] | None = None, parts: dict[str, Part] | None = None
    ) -> None:
        self._members = members
        self._documents = documents or {}
        self._parts = parts or {}

    def part(self, digest: str) -> Part:
        """The file that a blob is in."""
        return self._parts.get(digest) or self._members.need("blobs/sha256/" + digest[7:])

    def adopt(self, engine: Engine, digest: str) -> None:
        """Members.adopt, for a blob that is a file of the archive."""
        if digest not in self._documents:
            self._members.adopt(engine, self.part(digest), digest)

    def manifest(self, digest: str) -> tuple[bytes, str]:
        raw = self._documents.get(digest)
        if raw is None:
            raw = self._members.read("blobs/sha256/" + digest[7:], image_spec.MAX_MANIFEST)
        if digests.of(raw) != digest:
            raise DigestMismatch(f"read archive: manifest {digest}: wrong digest", hint=FORGED)
        return raw, ""

    def fetch(self, writer: blobs.Writer, report: Report, stop: threading.Event) -> None:
        document = self._documents.get(writer.digest)
        if document is not None:
            writer.write(document[writer.received :])
            return
        for chunk in self._members.chunks(self.part(writer.digest), writer.received):
            if stop.is_set():
                return
            writer.write(chunk)
            report(writer.received)

    def interrupt(self) -> None:
        """Reads of a local file end by themselves."""


class Found:
    """One image of an archive: a manifest or an index, by what names, and where its blobs are."""

    __slots__ = ("media_type", "names", "raw", "source")

    def __init__(self, names: list[Reference], raw: bytes, media_type: str, source: ArchiveSource) -> None:
        self.names = names
        self.raw = raw
        self.media_type = media_type
        self.source = source

    @property
    def shown(self) -> str:
        return self.names[0].familiar() if self.names else digests.of(self.raw)


def images(members: Members, wanted: Sequence[Platform]) -> list[Found]:
    """All images of the archive, in its order. ArchiveError where it has none, or documents that are not sound."""
    if members.find("oci-layout") is not None and members.find("index.json") is not None:
        return _of_layout(members, wanted)
    if members.find("manifest.json") is not None:
        return _of_manifest(members)
    if members.find("repositories") is not None:
        from pod.core.image import archive_legacy

        return archive_legacy.images(members)
    raise ArchiveError(
        f"read archive: {members.shown}: no archive of images: neither manifest.json nor index.json is in it",
        hint="the file system of a container ('export') becomes an image by 'import'",
    )


def document(members: Members, name: str, limit: int) -> Any:
    """A JSON document of the archive, bounded."""
    try:
        return image_spec.load_any(members.read(name, limit), limit, name)
    except image_spec.DocumentError as error:
        raise ArchiveError(f"read archive: {members.shown}: {error}") from None


# ---- OCI layouts


def of_layout(members: Members, tag: str, digest: str) -> Found:
    """The image of an OCI layout that has the tag or, where that is said, the digest. Without either "latest", or the
    only one. NoSuchImage where there is none.
    """
    index, source = _index_of(members)
    if digest:
        found = [entry for entry in index.manifests if entry.digest == digest]
    else:
        found = [entry for entry in index.manifests if _tag(entry) == (tag or references.DEFAULT_TAG)]
        found = found or (index.manifests if not tag and len(index.manifests) == 1 else [])
    if not found:
        known = ", ".join(sorted({_tag(entry) or entry.digest for entry in index.manifests})[:20])
        asked = digest or tag or references.DEFAULT_TAG
        raise NoSuchImage(f"OCI layout {members.shown}: no image {asked!r}", hint=f"it has {known}")
    raw, _ = source.manifest(found[0].digest)
    return Found([], raw, found[0].media_type, source)


def _tag(entry: Descriptor) -> str:
    """What an entry of index.json is called, without a repository."""
    text = entry.annotations.get(REF_NAME, "")
    return text.rpartition(":")[2] if "/" not in text.rpartition(":")[2] else ""


def _of_layout(members: Members, wanted: Sequence[Platform]) -> list[Found]:
    index, source = _index_of(members)
    found: dict[str, Found] = {}
    for entry in _chosen(index.manifests, wanted):
        image = found.get(entry.digest)
        if image is None:
            raw, _ = source.manifest(entry.digest)
            image = found[entry.digest] = Found([], raw, entry.media_type, source)
        name = _name(entry)
        if name is not None and name not in image.names:
            image.names.append(name)
    return list(found.values())


def _index_of(members: Members) -> tuple[image_spec.Index, ArchiveSource]:
    raw = members.read("index.json", image_spec.MAX_MANIFEST)
    layout = document(members, "oci-layout", 4096)
    if not isinstance(layout, dict) or layout.get("imageLayoutVersion") != "1.0.0":
        raise ArchiveError(f"read archive: {members.shown}: its oci-layout is of another version")
    try:
        index = image_spec.parse_manifest(raw, image_spec.OCI_INDEX)
    except image_spec.DocumentError as error:
        raise ArchiveError(f"read archive: {members.shown}: index.json: {error}") from None
    assert isinstance(index, image_spec.Index)
    if not index.manifests:
        raise ArchiveError(f"read archive: {members.shown}: its index.json names no image")
    return index, ArchiveSource(members)


def _name(entry: Descriptor) -> Reference | None:
    """What an entry of index.json calls its image; a lone tag (or word) says no repository, so it is no name."""
    for key in (FULL_NAME, REF_NAME):
        text = entry.annotations.get(key, "")
        if ":" in text or "/" in text:
            try:
                name = references.parse(text).with_default_tag()
            except InvalidReference:
                continue
            return name.with_tag(name.tag or references.DEFAULT_TAG)
    return None


def _chosen(entries: list[Descriptor], wanted: Sequence[Platform]) -> list[Descriptor]:
    """Of entries for several platforms under one name the one that fits best; without attestations."""
    from pod.core.oci import platform as platforms

    groups: dict[str, list[Descriptor]] = {}
    for entry in entries:
        if entry.platform is not None and entry.platform.os == "unknown":
            continue
        name = _name(entry)
        groups.setdefault(name.canonical() if name else "", []).append(entry)
    chosen: list[Descriptor] = []
    for called, group in groups.items():
        told = len(group) > 1 and all(entry.platform is not None for entry in group)
        best = None
        for platform in (wanted or [platforms.host()]) if told else []:
            best = best or image_spec.Index(b"", "", group).choose(platform)
        if best is not None:
            chosen.append(best)
        else:
            chosen += [group[0]] if called else group
    return chosen


# ---- Docker's manifest.json


def _of_manifest(members: Members) -> list[Found]:
    value = document(members, "manifest.json", image_spec.MAX_MANIFEST)
    if not isinstance(value, list) or not value or len(value) > _MAX_IMAGES:
        raise ArchiveError(f"read archive: {members.shown}: manifest.json is not a list of 1 to {_MAX_IMAGES} images")
    return [_docker_image(members, item) for item in value]


def _strings(members: Members, item: Any, key: str, limit: int) -> list[str]:
    value = item.get(key) if isinstance(item, dict) else None
    value = [] if value is None else value
    if not isinstance(value, list) or len(value) > limit or not all(isinstance(one, str) for one in value):
        raise ArchiveError(f"read archive: {members.shown}: manifest.json: {key} is not a list of texts")
    return value


def _docker_image(members: Members, item: Any) -> Found:
    path = item.get("Config") if isinstance(item, dict) else None
    if not isinstance(path, str):
        raise ArchiveError(f"read archive: {members.shown}: manifest.json: an image without Config")
    raw = members.read(path, image_spec.MAX_CONFIG)
    told = _digest_in(path.removesuffix(".json"))
    if told and digests.of(raw) != told:
        raise DigestMismatch(f"read archive: {members.shown}: {path}: wrong digest: {digests.of(raw)}", hint=FORGED)
    layers = [(name, members.need(name)) for name in _strings(members, item, "Layers", image_spec.MAX_LAYERS)]
    names = [parse_tag(members, text) for text in _strings(members, item, "RepoTags", _MAX_IMAGES)]
    return make(members, names, raw, layers)


def _digest_in(name: str) -> str:
    """The digest that a file's name promises, "" for none."""
    last = name.rpartition("/")[2]
    return "sha256:" + last if len(last) == 64 and digests.is_hex(last) else ""


def parse_tag(members: Members, text: str) -> Reference:
    try:
        name = references.parse(text).with_default_tag()
    except InvalidReference as error:
        raise ArchiveError(f"read archive: {members.shown}: {error.message}") from None
    if name.digest:
        raise ArchiveError(f"read archive: {members.shown}: {text[:200]} is no name with a tag")
    return name


def make(members: Members, names: list[Reference], config: bytes, layers: list[tuple[str, Part]]) -> Found:
    """An image of a configuration and layers that are files of the archive: the manifest is made here."""
    try:
        diff_ids = ImageConfig(config).diff_ids
    except image_spec.DocumentError as error:
        raise ArchiveError(f"read archive: {members.shown}: {error}") from None
    if len(diff_ids) != len(layers):
        counts = f"{len(layers)} layers but {len(diff_ids)} diff_ids in its configuration"
        raise ArchiveError(f"read archive: {members.shown}: {counts}")
    parts: dict[str, Part] = {}
    described = []
    for (name, part), diff_id in zip(layers, diff_ids):
        kind = members.kind(part)
        if kind not in _SUFFIXES:
            raise ArchiveError(f"read archive: {members.shown}: {name[:200]}: layers compressed by {kind} are unknown")
        if kind:
            digest = part.digest or (_digest_in(name) if "blobs/sha256/" in name else "") or members.digest(part)
        else:
            digest = diff_id
            if part.digest and part.digest != diff_id:
                said = f"wrong digest: content is {part.digest}, not {diff_id}"
                raise DigestMismatch(f"read archive: {members.shown}: {name[:200]}: {said}", hint=FORGED)
        parts[digest] = part
        described.append(Descriptor(LAYER + _SUFFIXES[kind], digest, part.size).to_json())
    digest = digests.of(config)
    raw = manifest_of(digest, len(config), described)
    return Found(names, raw, image_spec.OCI_MANIFEST, ArchiveSource(members, {digest: config}, parts))


def manifest_of(config: str, size: int, layers: list[dict[str, Any]]) -> bytes:
    """The bytes of an OCI manifest."""
    return statefile.dumps(
        {
            "schemaVersion": 2,
            "mediaType": image_spec.OCI_MANIFEST,
            "config": Descriptor(image_spec.OCI_CONFIG, config, size).to_json(),
            "layers": layers,
        }
    ).encode()
