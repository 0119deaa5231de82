"""Names and records of images; the truth that everything else about images is derived from. Warm path: imports nothing.

    refs/<escaped name>   {"version":1, "name":"docker.io/library/busybox:latest", "image":<image id>,
                           "digest":<manifest or index, as pulled>}
                           also one for each pulled name@digest (Docker's RepoDigests)
    images/<hex of id>    {"version":1, "id", "manifest":<digest of the platform's manifest>, "mediaType", "created",
                           "architecture", "os", "variant", "size":<bytes, unpacked>,
                           "layers":[{"digest","mediaType","size","diffID","chainID"}, base first]}

An image's id is the digest of its configuration. An image without a ref is dangling. Each file is replaced atomically;
there is no lock over the store: who publishes and who collects meet at :func:`collection_lock`.
"""

from __future__ import annotations

import errno
import os

from pod.core import paths, statefile
from pod.core.errors import Conflict, InvalidReference, NoSuchImage, PodError, StoreCorrupt
from pod.core.oci import digest as digests
from pod.core.oci import reference as references
from pod.core.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine

EMBEDDED_DOMAIN = "pod.local"
MAX_CONFIG = 8 << 20
USE_NOTED = 43200.0
"""Seconds for which a use is not noted again; prepared starts last a day (ext/src/helper/prepared.c)."""


class Image:
    """One image of the store. ``record`` is the file of images/; nothing here is cached beyond it."""

    __slots__ = ("id", "record")

    def __init__(self, record: dict[str, Any]) -> None:
        self.id: str = record["id"]
        self.record = record

    @property
    def chain_ids(self) -> list[str]:
        """The chain id of each layer, base first."""
        return [layer["chainID"] for layer in self.record["layers"]]

    @property
    def short_id(self) -> str:
        """Twelve hex digits, as tables show it."""
        return self.id[7:19]

    def config(self, engine: Engine) -> dict[str, Any]:
        """The whole image configuration document (image-spec config.md); its "config" key may be missing or null."""
        try:
            data = self._configuration(engine)
            if digests.of_small(data) != self.id:
                raise StoreCorrupt(f"read image: {self.id}: its configuration has changed", hint=_AGAIN)
            value = statefile.loads(data)
        except FileNotFoundError:
            raise missing(engine, self.id, "its configuration") from None
        except ValueError as error:
            raise StoreCorrupt(f"read image: {self.id}: its configuration: {error}", hint=_AGAIN) from None
        if not isinstance(value, dict):
            raise StoreCorrupt(f"read image: {self.id}: its configuration is not a JSON object", hint=_AGAIN)
        return value

    def _configuration(self, engine: Engine) -> bytes:
        path = engine.paths.blob(self.id)
        try:
            return statefile.read_bytes(path, MAX_CONFIG)
        except FileNotFoundError:
            if not os.path.exists(engine.paths.image(self.id)):
                raise
            return statefile.read_bytes(path, MAX_CONFIG)  # removed, and pulled again: it came before the record

    def names(self, engine: Engine) -> list[str]:
        """Canonical name:tag of each ref to it, sorted. Scans refs/."""
        return sorted(ref["name"] for ref in list_refs(engine) if ref["image"] == self.id and "@" not in ref["name"])


_AGAIN = "remove the image and pull it again"
REMOVED = "it was removed a moment ago; pull it again"


def missing(engine: Engine, image_id: str, part: str) -> PodError:
    """What to raise where that part of an image is not there: NoSuchImage if the image has been removed meanwhile
    (its record goes before its parts), else StoreCorrupt.
    """
    if not os.path.exists(engine.paths.image(image_id)):
        return NoSuchImage(f"No such image: {image_id}", hint=REMOVED)
    return StoreCorrupt(f"read image: {image_id}: {part} is missing", hint=_AGAIN)


def resolve(engine: Engine, name: str) -> Image:
    """The image that ``name`` means: a reference, name@digest, sha256:<id> or an unambiguous prefix of an id.

    A name goes before an id of the same letters, as in Docker. The image inside pod's own file (pod.local/busybox) is
    unpacked when it is first asked for. NoSuchImage otherwise.
    """
    if name.startswith("sha256:") and len(name) == 71 and digests.is_hex(name[7:]):
        return by_id(engine, name, name)
    if len(name) == 64 and digests.is_hex(name):
        return by_id(engine, "sha256:" + name, name)
    try:
        reference = references.parse(name).with_default_tag()
    except InvalidReference:
        image = _by_prefix(engine, name)
        if image is None:
            raise
        return image
    image = _by_reference(engine, reference)
    if image is None:
        image = _by_prefix(engine, name) or _by_alias(engine, name) or _embedded(engine, reference)
    if image is None:
        raise NoSuchImage(f"No such image: {_shown(name)}")
    return image


def _shown(name: str) -> str:
    """The name as Docker's error shows it: with the default tag."""
    return references.parse(name).with_default_tag().familiar()


def by_id(engine: Engine, image_id: str, shown: str | None = None) -> Image:
    """The image of a whole id, "sha256:<64 hex>". NoSuchImage where there is none."""
    image = _record(engine, image_id)
    if image is None:
        raise NoSuchImage(f"No such image: {shown or image_id}")
    return image


def _record(engine: Engine, image_id: str) -> Image | None:
    path = engine.paths.image(image_id)
    try:
        record = statefile.read(path)
    except FileNotFoundError:
        return None
    if record.get("id") != image_id or not isinstance(record.get("layers"), list):
        raise StoreCorrupt(f"read image: {path}: not the record of that image", hint=_AGAIN)
    return Image(record)


def _by_reference(engine: Engine, reference: Reference) -> Image | None:
    key = reference.with_digest(reference.digest) if reference.digest else reference
    ref = read_ref(engine, key.canonical())
    return None if ref is None else _record(engine, ref["image"])


def read_ref(engine: Engine, name: str) -> dict[str, Any] | None:
    """The ref file of a canonical name, None where there is none."""
    path = engine.paths.ref(name)
    try:
        ref = statefile.read(path)
    except FileNotFoundError:
        return None
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            return None
        raise
    image = ref.get("image")
    if not isinstance(image, str) or not image.startswith("sha256:") or ref.get("name") != name:
        raise StoreCorrupt(f"read ref: {path}: not a ref to an image", hint="remove the file")
    return ref


def _by_prefix(engine: Engine, text: str) -> Image | None:
    prefix = text[7:] if text.startswith("sha256:") else text
    if len(prefix) >= 64 or not digests.is_hex(prefix):
        return None
    found = [name for name in _listdir(engine.paths.images) if name.startswith(prefix)]
    if len(found) > 1:
        raise Conflict(
            f"image id prefix {prefix} is ambiguous: it fits {len(found)} images", hint="give more digits of the id"
        )
    return _record(engine, "sha256:" + found[0]) if found else None


def _by_alias(engine: Engine, name: str) -> Image | None:
    """A short name under a registry that registries.conf gives it; read only on a miss."""
    if not references.is_short(name):
        return None
    from pod.core.registry import registries

    for candidate in registries.of(engine.config).candidates(name):
        image = _by_reference(engine, candidate.with_default_tag())
        if image is not None:
            return image
    return None


def _embedded(engine: Engine, reference: Reference) -> Image | None:
    if reference.domain != EMBEDDED_DOMAIN:
        return None
    from pod.core.image import embedded

    return embedded.load(engine, reference)


def _listdir(path: str) -> list[str]:
    try:
        return [name for name in os.listdir(path) if not name.startswith(".")]
    except FileNotFoundError:
        return []


def list_refs(engine: Engine) -> list[dict[str, Any]]:
    """Every ref, sorted by name; those with "@" in the name are digests as pulled."""
    refs = []
    for name in sorted(_listdir(engine.paths.refs)):
        ref = read_ref(engine, paths.unescape(name))
        if ref is not None:
            refs.append(ref)
    return refs


def list_images(engine: Engine) -> list[Image]:
    """Every image, dangling ones too, newest first."""
    images = []
    for name in _listdir(engine.paths.images):
        if len(name) == 64 and digests.is_hex(name):
            image = _record(engine, "sha256:" + name)
            if image is not None:
                images.append(image)
    images.sort(key=lambda image: (image.record.get("created") or "", image.id), reverse=True)
    return images


def put(
    engine: Engine, record: dict[str, Any], reference: Reference | None, digest: str, *, made_here: bool = False
) -> Image:
    """Publishes an image whose blobs are in the store, and its name. The caller holds :func:`collection_lock`.

    ``digest`` is what the name led to (index or manifest). A name that led elsewhere moves; the old image may dangle.
    ``made_here``: no registry knows it, so there is no name@digest.
    """
    from pod.core.image import layout

    statefile.write(engine.paths.image(record["id"]), record, sync=True)
    if reference is not None:
        if not made_here:
            _write_ref(engine, reference.with_digest(digest), digest, record["id"])
        if reference.tag and not reference.digest:
            _write_ref(engine, reference, digest, record["id"])
    layout.write_index(engine)
    return Image(record)


def tag(engine: Engine, source: str, target: str) -> Reference:
    """Gives the image ``source`` one more name. InvalidReference for a target with a digest."""
    from pod.core import events
    from pod.core.image import layout

    image = resolve(engine, source)
    reference = references.parse(target).with_default_tag()
    if reference.digest:
        raise InvalidReference("refusing to create a tag with a digest reference")
    digest = image.record["manifest"]
    source_reference = _reference_or_none(source)
    if source_reference is not None:
        ref = read_ref(engine, source_reference.canonical())
        if ref is not None and ref["image"] == image.id:
            digest = ref["digest"]
    with collection_lock(engine, publish=True):
        by_id(engine, image.id)  # An rmi may have been faster.
        _write_ref(engine, reference, digest, image.id)
    events.emit(engine, "image", "tag", image.id, {"name": reference.familiar()})
    layout.write_index(engine)
    return reference


def remember(engine: Engine, reference: Reference, digest: str, image_id: str) -> None:
    """One more name@digest of an image that is there still: a registry has it under that digest."""
    with collection_lock(engine, publish=True):
        if _record(engine, image_id) is not None:
            _write_ref(engine, reference.with_digest(digest), digest, image_id)


def give_name(engine: Engine, image_id: str, reference: Reference) -> None:
    """Has a name with a tag lead to an image of the store, whatever it led to. NoSuchImage where that has gone."""
    from pod.core.image import layout

    with collection_lock(engine, publish=True):
        image = by_id(engine, image_id)
        _write_ref(engine, reference, image.record["manifest"], image_id)
    layout.write_index(engine)


def _reference_or_none(text: str) -> Reference | None:
    try:
        return references.parse(text).with_default_tag()
    except InvalidReference:
        return None


def untag(engine: Engine, name: str) -> bool:
    """Removes a canonical name; False where it was gone already."""
    try:
        os.unlink(engine.paths.ref(name))
    except FileNotFoundError:
        return False
    return True


def _write_ref(engine: Engine, reference: Reference, digest: str, image_id: str) -> None:
    name = reference.canonical()
    value = {"version": 1, "name": name, "digest": digest, "image": image_id}
    try:
        statefile.write(engine.paths.ref(name), value)
    except OSError as error:
        if error.errno != errno.ENAMETOOLONG:
            raise
        raise InvalidReference(f"store name: {name[:60]}…: too long for a file name") from None


def note_use(engine: Engine, image_id: str) -> None:
    """Notes that a container of the image is started: cache/used/<hex>, whose time is right to a day (image/gc).

    By ``posix``, which a start that is recorded does not watch: the mark is nothing that the start depends on.
    """
    import posix
    import time

    path = f"{engine.paths.cache}/used/{image_id[7:]}"
    try:
        if abs(time.time() - posix.stat(path).st_mtime) > USE_NOTED:
            posix.utime(path)
        return
    except FileNotFoundError:
        pass
    except OSError:
        return
    try:
        if not os.path.isdir(engine.paths.cache + "/used"):
            posix.mkdir(engine.paths.cache + "/used", 0o700)
        posix.mknod(path, 0o100600)
    except OSError:
        return  # a full disk, a store that is only read: the pull's time stands for it


def last_use(engine: Engine, image_id: str) -> float:
    """Seconds since 1970: when its last container was started, to a day, or it was pulled, loaded, made."""
    found = 0.0
    for path in (engine.paths.image(image_id), f"{engine.paths.cache}/used/{image_id[7:]}"):
        try:
            found = max(found, os.lstat(path).st_mtime)
        except OSError:
            continue
    return found


def collection_lock(engine: Engine, *, publish: bool) -> statefile.Lock:
    """Held for milliseconds: shared to check and publish an image, alone to sort out unused blobs.

    Of one host, and not waited for where its holder is stopped: so publishers look once more when they have published
    (install), collectors when they have taken away (remove).
    """
    return statefile.Lock(engine.run_dir + "/locks/images", shared=publish, timeout=10.0, optional=True)
