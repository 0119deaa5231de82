"""Image documents: descriptor, manifest, index and configuration (image-spec v1.1, Docker's schema 2).

Documents come from strangers. The bytes received are kept (``raw``): digests are over them, never over JSON written
anew. Sizes, depth and counts are bounded here, media types must agree with the body (CVE-2021-41190).
"""

from __future__ import annotations

from pod.core.oci import digest as digests
from pod.core.oci.platform import Platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

OCI_MANIFEST = "application/vnd.oci.image.manifest.v1+json"
OCI_INDEX = "application/vnd.oci.image.index.v1+json"
OCI_CONFIG = "application/vnd.oci.image.config.v1+json"
DOCKER_MANIFEST = "application/vnd.docker.distribution.manifest.v2+json"
DOCKER_LIST = "application/vnd.docker.distribution.manifest.list.v2+json"
DOCKER_CONFIG = "application/vnd.docker.container.image.v1+json"
SCHEMA1 = (
    "application/vnd.docker.distribution.manifest.v1+json",
    "application/vnd.docker.distribution.manifest.v1+prettyjws",
)

MANIFEST_TYPES = (OCI_MANIFEST, DOCKER_MANIFEST)
INDEX_TYPES = (OCI_INDEX, DOCKER_LIST)
ACCEPT = (OCI_INDEX, OCI_MANIFEST, DOCKER_LIST, DOCKER_MANIFEST)
CONFIG_TYPES = (OCI_CONFIG, DOCKER_CONFIG)

_LAYER_PREFIXES = (
    "application/vnd.oci.image.layer.v1.tar",
    "application/vnd.oci.image.layer.nondistributable.v1.tar",
    "application/vnd.docker.image.rootfs.diff.tar",
    "application/vnd.docker.image.rootfs.foreign.diff.tar",
)
_LAYER_SUFFIXES = ("", ".gzip", "+gzip", ".zstd", "+zstd")

MAX_MANIFEST = 4 << 20
"""Bytes of a manifest or an index (the limit of Docker's registry)."""
MAX_CONFIG = 8 << 20
MAX_LAYERS = 500
"""overlayfs takes 500 lower layers (fs/overlayfs/params.h)."""
MAX_MANIFESTS = 1000
MAX_DEPTH = 64
MAX_CONTAINERS = 200000
"""Objects and lists of one document: each costs a hundred bytes of memory where it took three of the text."""
MAX_TEXT = 255
"""Characters of a media type, a platform, a time: what errors show."""
MAX_DIGITS = 40
MAX_BLOB = 1 << 46
"""Bytes of one blob; a descriptor that says more lies."""


_BOM = b"\xef\xbb\xbf"


class DocumentError(ValueError):
    """A document that is not what the specification or its media type says."""


def load(raw: bytes, limit: int, what: str) -> dict[str, Any]:
    """The JSON object in ``raw``, bounded in size (bytes) and depth. DocumentError otherwise; ``what`` names it."""
    value = load_any(raw, limit, what)
    if not isinstance(value, dict):
        raise DocumentError(f"{what} is not a JSON object")
    return value


def load_any(raw: bytes, limit: int, what: str) -> Any:
    """:func:`load` for a document that may be no object."""
    if len(raw) > limit:
        raise DocumentError(f"{what} is larger than {limit} bytes")
    _check_depth(raw, what)
    import json

    try:
        return json.loads(raw.removeprefix(_BOM).decode(), parse_int=_number)
    except (ValueError, RecursionError) as error:
        raise DocumentError(f"{what} is not JSON: {error}") from None


def _number(digits: str) -> int:
    """Turning a number of megabytes into an integer takes hours where Python does not refuse it by itself."""
    if len(digits) > MAX_DIGITS:
        raise ValueError(f"a number of {len(digits)} digits")
    return int(digits)


def _check_depth(raw: bytes, what: str) -> None:
    """Counts brackets outside of strings before anything is built from them."""
    depth = count = 0
    # Without strings and their escapes only brackets count; splitting keeps this at C speed.
    for index, part in enumerate(raw.replace(b"\\\\", b"").replace(b'\\"', b"").split(b'"')):
        if index % 2 or not (b"[" in part or b"{" in part or b"]" in part or b"}" in part):
            continue
        for byte in part:
            if byte in b"[{":
                depth += 1
                count += 1
                if depth > MAX_DEPTH:
                    raise DocumentError(f"{what} is nested deeper than {MAX_DEPTH}")
                if count > MAX_CONTAINERS:
                    raise DocumentError(f"{what} has more than {MAX_CONTAINERS} objects and lists")
            elif byte in b"]}":
                depth -= 1


def _text(document: dict[str, Any], key: str, what: str, *, printable: bool = True) -> str:
    value = document.get(key)
    if value is None:
        return ""
    if not isinstance(value, str) or len(value) > MAX_TEXT or (printable and not value.isprintable()):
        raise DocumentError(f"{what}: {key} is not a short string")
    return value


def _strings(value: Any, what: str) -> dict[str, str]:
    if value is None:
        return {}
    if not isinstance(value, dict) or not all(isinstance(item, str) for item in value.values()):
        raise DocumentError(f"{what}: not a map of strings")
    return dict(value)


def _items(document: dict[str, Any], key: str, limit: int, what: str) -> list[Any]:
    value = document.get(key)
    if value is None:
        return []
    if not isinstance(value, list):
        raise DocumentError(f"{what}: {key} is not a list")
    if len(value) > limit:
        raise DocumentError(f"{what}: {len(value)} {key} are more than the {limit} that are accepted")
    return value


class Descriptor:
    """image-spec descriptor.md: ``size`` in bytes; ``platform`` None where not given."""

    __slots__ = ("annotations", "digest", "media_type", "platform", "size")

    def __init__(
        self,
        media_type: str,
        digest: str,
        size: int,
        *,
        annotations: dict[str, str] | None = None,
        platform: Platform | None = None,
    ) -> None:
        self.media_type = media_type
        self.digest = digest
        self.size = size
        self.annotations = annotations or {}
        self.platform = platform

    @classmethod
    def from_json(cls, value: Any, what: str) -> Descriptor:
        if not isinstance(value, dict):
            raise DocumentError(f"{what}: not a descriptor")
        try:
            digest = digests.check(value.get("digest"))
        except digests.DigestError as error:
            raise DocumentError(f"{what}: {error}") from None
        size = value.get("size")
        if not isinstance(size, int) or isinstance(size, bool) or not 0 <= size <= MAX_BLOB:
            raise DocumentError(f"{what}: size is not a sensible number of bytes")
        return cls(
            _text(value, "mediaType", what),
            digest,
            size,
            annotations=_strings(value.get("annotations"), what),
            platform=_platform(value.get("platform"), what),
        )

    def to_json(self) -> dict[str, Any]:
        value: dict[str, Any] = {"mediaType": self.media_type, "digest": self.digest, "size": self.size}
        if self.annotations:
            value["annotations"] = self.annotations
        if self.platform is not None:
            value["platform"] = {"architecture": self.platform.architecture, "os": self.platform.os}
            if self.platform.variant:
                value["platform"]["variant"] = self.platform.variant
        return value


def _platform(value: Any, what: str) -> Platform | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise DocumentError(f"{what}: platform is not an object")
    return Platform(_text(value, "os", what), _text(value, "architecture", what), _text(value, "variant", what))


class Manifest:
    """One image for one platform: its configuration and its layers, base first."""

    __slots__ = ("annotations", "config", "layers", "media_type", "raw")

    def __init__(
        self, raw: bytes, media_type: str, config: Descriptor, layers: list[Descriptor], annotations: dict[str, str]
    ) -> None:
        self.raw = raw
        self.media_type = media_type
        self.config = config
        self.layers = layers
        self.annotations = annotations

    @property
    def digest(self) -> str:
        return digests.of(self.raw)

    @classmethod
    def from_document(cls, raw: bytes, media_type: str, document: dict[str, Any]) -> Manifest:
        config = Descriptor.from_json(document.get("config"), "manifest: config")
        if config.media_type not in CONFIG_TYPES:
            raise DocumentError(f"not a container image: configuration of type {config.media_type or '(none)'}")
        if config.size > MAX_CONFIG:
            raise DocumentError(f"manifest: config is larger than {MAX_CONFIG} bytes")
        layers = []
        for number, item in enumerate(_items(document, "layers", MAX_LAYERS, "manifest")):
            layer = Descriptor.from_json(item, f"manifest: layer {number}")
            _check_layer_type(layer.media_type)
            layers.append(layer)
        return cls(raw, media_type, config, layers, _strings(document.get("annotations"), "manifest: annotations"))


def _check_layer_type(media_type: str) -> None:
    if media_type.endswith("+encrypted"):
        raise DocumentError(f"encrypted layers are not supported: {media_type}")
    for prefix in _LAYER_PREFIXES:
        if media_type.startswith(prefix) and media_type[len(prefix) :] in _LAYER_SUFFIXES:
            return
    raise DocumentError(f"unsupported layer media type {media_type or '(none)'}")


class Index:
    """The same image for several platforms."""

    __slots__ = ("manifests", "media_type", "raw")

    def __init__(self, raw: bytes, media_type: str, manifests: list[Descriptor]) -> None:
        self.raw = raw
        self.media_type = media_type
        self.manifests = manifests

    @property
    def digest(self) -> str:
        return digests.of(self.raw)

    @classmethod
    def from_document(cls, raw: bytes, media_type: str, document: dict[str, Any]) -> Index:
        items = _items(document, "manifests", MAX_MANIFESTS, "index")
        manifests = [Descriptor.from_json(item, f"index: manifest {number}") for number, item in enumerate(items)]
        return cls(raw, media_type, manifests)

    def choose(self, wanted: Platform) -> Descriptor | None:
        """The entry that serves ``wanted`` best; among equals the first (image-spec image-index.md). None: no match.

        Entries without a platform count only where the index holds nothing else; attestations are "unknown/unknown".
        """
        best: Descriptor | None = None
        best_rank = 1 << 30
        for entry in self.manifests:
            if entry.platform is None or entry.media_type not in MANIFEST_TYPES:
                continue
            rank = wanted.rank(entry.platform)
            if rank is not None and rank < best_rank:
                best, best_rank = entry, rank
        if best is None and len(self.manifests) == 1:
            only = self.manifests[0]
            if only.platform is None and only.media_type in MANIFEST_TYPES:
                return only
        return best

    def platforms(self) -> list[str]:
        """What the index offers, in words, for an error message."""
        return [str(entry.platform) for entry in self.manifests if entry.platform and entry.platform.os != "unknown"]


def parse_manifest(raw: bytes, media_type: str = "") -> Manifest | Index:
    """A manifest or an index by its bytes and the media type under which they came ("" = what the body says).

    DocumentError for schema 1, for a body unlike its media type, and for a document that could be read as both.
    """
    document = load(raw, MAX_MANIFEST, "manifest")
    media_type = media_type.partition(";")[0].strip()
    if not media_type.isprintable():
        raise DocumentError("manifest: its media type is not a short string")
    inside = _text(document, "mediaType", "manifest")
    if document.get("schemaVersion") == 1 or media_type in SCHEMA1 or "fsLayers" in document:
        raise DocumentError("schema 1 images are not supported: push it again with a tool of this decade")
    if document.get("schemaVersion") != 2:
        raise DocumentError("manifest: schemaVersion is not 2")
    if media_type in ("", "application/json", "text/plain", "application/octet-stream"):
        media_type = inside or (OCI_INDEX if "manifests" in document else OCI_MANIFEST)
    if inside and inside != media_type:
        raise DocumentError(f"manifest: came as {media_type} but calls itself {inside}")
    is_index = "manifests" in document
    is_manifest = "layers" in document or "config" in document
    if is_index and is_manifest:
        raise DocumentError("manifest: is both a manifest and an index (CVE-2021-41190)")
    if media_type in INDEX_TYPES and not is_manifest:
        return Index.from_document(raw, media_type, document)
    if media_type in MANIFEST_TYPES and not is_index:
        return Manifest.from_document(raw, media_type, document)
    if media_type in INDEX_TYPES or media_type in MANIFEST_TYPES:
        raise DocumentError(f"manifest: the body does not fit its media type {media_type}")
    raise DocumentError(f"unsupported manifest media type {media_type[:100]}")


class ImageConfig:
    """image-spec config.md. ``document`` is the whole object; its digest is the image's id."""

    __slots__ = ("architecture", "created", "diff_ids", "document", "os", "raw", "variant")

    def __init__(self, raw: bytes) -> None:
        self.raw = raw
        self.document = document = load(raw, MAX_CONFIG, "image configuration")
        self.architecture = _text(document, "architecture", "image configuration")
        self.os = _text(document, "os", "image configuration")
        self.variant = _text(document, "variant", "image configuration")
        # Only shown, with escapes: an image that is no worse than its date is of use.
        self.created = _text(document, "created", "image configuration", printable=False)
        inner = document.get("config")
        if inner is not None and not isinstance(inner, dict):
            raise DocumentError("image configuration: config is not an object")
        rootfs = document.get("rootfs")
        if rootfs is None:
            rootfs = {}
        if not isinstance(rootfs, dict) or rootfs.get("type", "layers") != "layers":
            raise DocumentError("image configuration: rootfs is not of type layers")
        self.diff_ids: list[str] = []
        for item in _items(rootfs, "diff_ids", MAX_LAYERS, "image configuration: rootfs"):
            try:
                self.diff_ids.append(digests.check(item))
            except digests.DigestError as error:
                raise DocumentError(f"image configuration: diff_ids: {error}") from None

    @property
    def id(self) -> str:
        return digests.of(self.raw)

    @property
    def platform(self) -> Platform:
        return Platform(self.os or "linux", self.architecture, self.variant)


def chain_ids(diff_ids: list[str]) -> list[str]:
    """The chain id of each layer: what it and all below it yield (image-spec config.md#layer-chainid)."""
    chain: list[str] = []
    for diff_id in diff_ids:
        chain.append(digests.of(f"{chain[-1]} {diff_id}".encode()) if chain else diff_id)
    return chain
