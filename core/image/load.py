"""``load``: the images of an archive into the store, by the code that installs pulled ones (image/install).

The archive is told by its content: Docker's (also podman's, skopeo's, buildah's), an OCI layout in a tar, or a folder
that is one; compressed or not. A file is read where it lies, a stream once. Nothing is visible before its digest was
checked; images before a damaged one stay.
"""

from __future__ import annotations

from pod.core import events, storedir
from pod.core.errors import DigestMismatch, NoSuchImage, RegistryError, StoreCorrupt
from pod.core.image import (
    archive_images,
    archive_members,
    blobs,
    durable,
    gc,
    install,
    layout,
    leftovers,
    remove,
    store,
)
from pod.core.image.variant import platform_of
from pod.core.oci import image_spec
from pod.core.oci import platform as platforms
from pod.core.oci.image_spec import ImageConfig, Manifest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pod.core.engine import Engine
    from pod.core.image.archive_images import Found
    from pod.core.image.store import Image
    from pod.core.oci.platform import Platform
    from pod.core.oci.reference import Reference


class Loaded:
    """An image that is there now: ``name`` familiar, "" where the archive has none; ``replaced``: the id of the image
    that had the name before, "" for none or the same.
    """

    __slots__ = ("image", "name", "replaced")

    def __init__(self, image: Image, name: str = "", replaced: str = "") -> None:
        self.image = image
        self.name = name
        self.replaced = replaced


def load(engine: Engine, fd: int, shown: str, wanted: Sequence[str] = ()) -> Iterator[Loaded]:
    """Loads the archive that the descriptor ``fd`` (a file, a stream, a folder) gives; each name as it is given.

    ``wanted``: platforms to take, as --platform has them. ArchiveError, DigestMismatch, RegistryError for what is
    wrong with the archive.
    """
    asked = [platforms.parse(text) for text in wanted]
    layout.prepare(engine)
    leftovers.collect(engine)
    try:
        with archive_members.open_members(engine, fd, shown) as members:
            for found in archive_images.images(members, asked):
                image = install_found(engine, found, asked)
                events.emit(engine, "image", "load", image.id, {"name": image.id})
                if not found.names:
                    yield Loaded(image)
                for name in found.names:
                    yield Loaded(image, name.familiar(), give_name(engine, image, found, name))
    finally:
        durable.settle_later(engine)
    gc.after_publishing(engine)


def install_found(engine: Engine, found: Found, asked: Sequence[Platform]) -> Image:
    """The image, for the first of the platforms asked for that it can be had for."""
    try:
        for platform in asked[:-1]:
            try:
                return _install_for(engine, found, platform)
            except DigestMismatch:
                raise
            except RegistryError:
                continue
        return _install_for(engine, found, asked[-1] if asked else None)
    except DigestMismatch as error:
        said = error.message
        for front in ("verify blob: ", "download blob: ", "extract layer: ", "read archive: "):
            said = said.removeprefix(front)
        raise DigestMismatch(f"load image: {found.shown}: {said}", hint=archive_images.FORGED) from None


def _install_for(engine: Engine, found: Found, wanted: Platform | None) -> Image:
    manifest, index = install.choose(found.source, found.raw, found.media_type, wanted, found.shown)
    there = install.present(engine, manifest.config.digest)
    if there is not None and (wanted is None or wanted.rank(platform_of(there)) is not None):
        return there  # What it has keeps its bytes, and what names lead to.
    with _Undone(engine, manifest):
        for layer in manifest.layers:
            found.source.adopt(engine, layer.digest)
        return install.install(
            engine, found.source, manifest, index, reference=None, wanted=wanted, silent=True, shown=found.shown
        )


class _Undone:
    """Leaving it by a failure takes away what the image brought to the store and no other image needs meanwhile."""

    __slots__ = ("_blobs", "_config", "_engine", "_trees")

    def __init__(self, engine: Engine, manifest: Manifest) -> None:
        self._engine = engine
        self._config = manifest.config.digest
        parts = [self._config, *(layer.digest for layer in manifest.layers)]
        self._blobs = {digest for digest in parts if not blobs.has(engine, digest)}
        self._trees = set(storedir.names(engine.paths.layers(engine.idmap.key)))

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, *_: object) -> None:
        if kind is None:
            return
        made = self._made()
        trash: list[str] = []
        with store.collection_lock(self._engine, publish=False):
            kept, chains = remove.kept(self._engine)
            for chain in made - chains:
                layer = self._engine.paths.layer(self._engine.idmap.key, chain)
                trash.append(storedir.into_trash(self._engine.paths, layer))
            for digest in self._blobs - kept:
                remove.unlink(self._engine.paths.blob(digest))
        remove.empty(self._engine, trash)

    def _made(self) -> set[str]:
        """Chain ids of the layers that were not extracted before."""
        try:
            config = ImageConfig(blobs.read(self._engine, self._config, image_spec.MAX_CONFIG))
        except (StoreCorrupt, image_spec.DocumentError):
            return set()  # None was: the configuration comes first.
        return {chain for chain in image_spec.chain_ids(config.diff_ids) if chain[7:] not in self._trees}


def give_name(engine: Engine, image: Image, found: Found, name: Reference) -> str:
    """Names the image; the id of the image that had the name, "" for none or the same."""
    for turn in range(install.ROUNDS):
        before = store.read_ref(engine, name.canonical())
        try:
            store.give_name(engine, image.id, name)
        except NoSuchImage:
            # It has no name yet, and someone's prune was quick: once more.
            if turn == install.ROUNDS - 1:
                raise
            image = install_found(engine, found, [])
            continue
        return before["image"] if before is not None and before["image"] != image.id else ""
    raise AssertionError("the loop returns or raises")
