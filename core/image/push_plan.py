"""What a push of one name sends: the documents that the store has of it, and their blobs. Asks no registry.

A name leads to a manifest or to an index. Of an index the store usually has one platform; what else it names must be
there, or at the registry already, for the index itself to be pushed.
"""

from __future__ import annotations

from pod.core.errors import NoSuchImage, StoreCorrupt
from pod.core.image import blobs, store
from pod.core.oci import image_spec
from pod.core.oci import platform as platforms
from pod.core.oci.image_spec import Descriptor, Index, Manifest
from pod.core.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.store import Image
    from pod.core.oci.platform import Platform


class Plan:
    """``tag`` is to lead to ``index``, or to ``manifests[0]`` where that is None; ``absent`` are manifests of the index
    that the store does not have whole. ``only``: the manifest to take where they are not at the registry either.
    """

    __slots__ = ("absent", "image", "index", "manifests", "only", "tag")

    def __init__(self, tag: str, image: Image, only: Manifest) -> None:
        self.tag = tag
        self.image = image
        self.only = only
        self.index: Index | None = None
        self.manifests = [only]
        self.absent: list[Descriptor] = []

    def without_index(self) -> None:
        """The platform that the store has, alone."""
        self.index, self.manifests, self.absent = None, [self.only], []

    def change(self, manifest: Manifest) -> None:
        """Another manifest for :attr:`only`; an index names the old one, so there is none then."""
        if manifest is not self.only:
            self.only = manifest
            self.without_index()

    def layers(self) -> list[Descriptor]:
        """Layers of all manifests, each blob once, base first."""
        found = {layer.digest: layer for manifest in self.manifests for layer in manifest.layers}
        return list(found.values())

    def configs(self) -> list[Descriptor]:
        """The configurations, each once."""
        return list({manifest.config.digest: manifest.config for manifest in self.manifests}.values())


def plan(engine: Engine, reference: Reference, ref: dict[str, Any], wanted: Platform | None) -> Plan:
    """What the name ``reference``, whose file in refs/ is ``ref``, stands for. NoSuchImage for another platform."""
    image = store.by_id(engine, ref["image"], reference.familiar())
    only = _manifest(engine, image.record["manifest"], image.record["mediaType"])
    made = Plan(reference.tag, image, only)
    document = _document(engine, ref["digest"]) if ref["digest"] != only.digest else None
    if wanted is not None:
        made.only = _for_platform(engine, image, document, wanted, reference.familiar())
        made.manifests = [made.only]
        return made
    if not isinstance(document, Index):
        return made
    made.index, made.manifests = document, []
    for entry in document.manifests:
        manifest = _whole(engine, entry)
        if manifest is None:
            made.absent.append(entry)
        else:
            made.manifests.append(manifest)
    return made


def _for_platform(
    engine: Engine, image: Image, document: Manifest | Index | None, wanted: Platform, shown: str
) -> Manifest:
    if isinstance(document, Index):
        entry = document.choose(wanted)
        manifest = _whole(engine, entry) if entry is not None else None
        if manifest is not None:
            return manifest
        hint = f"pod pull --platform {wanted} brings it"
        raise NoSuchImage(f"image with reference {shown} was found but not for the platform {wanted}", hint=hint)
    has = platforms.Platform(image.record["os"], image.record["architecture"], image.record.get("variant") or "")
    if wanted.rank(has) is None:
        text = f"image with reference {shown} was found but its platform ({has}) does not match the specified platform"
        raise NoSuchImage(f"{text} ({wanted})", hint="leave --platform out to push what there is")
    return _manifest(engine, image.record["manifest"], image.record["mediaType"])


def _whole(engine: Engine, entry: Descriptor) -> Manifest | None:
    """The manifest of an index' entry, where the store has it and all of its blobs."""
    if entry.media_type not in image_spec.MANIFEST_TYPES or not blobs.has(engine, entry.digest):
        return None
    manifest = _manifest(engine, entry.digest, entry.media_type)
    whole = all(blobs.has(engine, part.digest, part.size) for part in (manifest.config, *manifest.layers))
    return manifest if whole else None


def _manifest(engine: Engine, digest: str, media_type: str) -> Manifest:
    document = _document(engine, digest, media_type)
    if not isinstance(document, Manifest):
        raise StoreCorrupt(f"read image: {digest}: not a manifest", hint="pull the image again")
    return document


def _document(engine: Engine, digest: str, media_type: str = "") -> Manifest | Index:
    raw = blobs.read(engine, digest, image_spec.MAX_MANIFEST)
    try:
        return image_spec.parse_manifest(raw, media_type)
    except image_spec.DocumentError as error:
        raise StoreCorrupt(f"read image: {digest}: {error}", hint="pull the image again") from None


def sources(engine: Engine, reference: Reference) -> dict[str, str]:
    """Blob digest to another repository of the same registry that has it, as far as names of the store tell.

    A name@digest was pulled from there or pushed to there; the layers of its image are at that place.
    """
    found: dict[str, str] = {}
    seen: dict[str, Image | None] = {}
    from pod.core.oci import reference as references

    for ref in store.list_refs(engine):
        if "@" not in ref["name"]:
            continue
        other = references.parse(ref["name"])
        if other.domain != reference.domain or other.path == reference.path:
            continue
        if ref["image"] not in seen:
            try:
                seen[ref["image"]] = store.by_id(engine, ref["image"])
            except NoSuchImage:
                seen[ref["image"]] = None
        image = seen[ref["image"]]
        for layer in image.record["layers"] if image is not None else ():
            found.setdefault(layer["digest"], other.path)
    return found
