"""`pod rmi`: takes names from images and removes what no name, container or other image needs (Docker's rules).

    given a name   the name goes; with the last tag of a repository its digests go; the image goes with its last name
    given an id    all names go if they are of one repository, or with ``force``; then the image
    containers     a running one forbids the removal of its image, a stopped one too unless ``force``, and then its
                   layers stay until it is removed
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import ImageInUse, InvalidReference, PodError
from pod.core.image import layout, store, unpacking
from pod.core.oci import digest as digests
from pod.core.oci import reference as references
from pod.core.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.store import Image


class Removal:
    """One line of the answer: ``kind`` is "Untagged" or "Deleted", ``what`` a familiar name or a digest."""

    __slots__ = ("kind", "what")

    def __init__(self, kind: str, what: str) -> None:
        self.kind = kind
        self.what = what

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


class User:
    """A container that was made from an image."""

    __slots__ = ("id", "running")

    def __init__(self, id: str, *, running: bool) -> None:
        self.id = id
        self.running = running


def remove(engine: Engine, name: str, *, force: bool, is_running: Callable[[str], bool]) -> list[Removal]:
    """Removes ``name`` as the module says; ``is_running(container id)`` comes from who knows containers.

    NoSuchImage where there is none, ImageInUse where a container or another repository forbids it.
    """
    image = store.resolve(engine, name)
    by_id = _is_id(image, name)
    refs = [references.parse(ref["name"]) for ref in store.list_refs(engine) if ref["image"] == image.id]
    users = containers_of(engine, image.id, is_running)
    if by_id:
        doomed = refs
        _check_by_id(image, refs, users, force=force)
    else:
        doomed = _doomed(name, refs)
        if not force and users and len(doomed) == len(refs):
            raise ImageInUse(
                f'conflict: unable to remove repository reference "{name}" (must force) - container '
                f"{users[0].id[:12]} is using its referenced image {image.short_id}",
                hint=f"remove the container first: pod rm {users[0].id[:12]}",
            )
    removals = []
    for reference in doomed:
        if store.untag(engine, reference.canonical()):
            removals.append(Removal("Untagged", reference.familiar()))
    if len(doomed) == len(refs) and not users:
        removals += delete(engine, image)
    layout.write_index(engine)
    return removals


def _is_id(image: Image, name: str) -> bool:
    """Whether ``name`` found the image as (a prefix of) its id rather than as a name."""
    prefix = name[7:] if name.startswith("sha256:") else name
    return digests.is_hex(prefix) and image.id[7:].startswith(prefix)


def _doomed(name: str, refs: list[Reference]) -> list[Reference]:
    """The names that go when ``name`` goes: itself, and its repository's digests after the last tag."""
    wanted = references.parse(name).with_default_tag()
    if wanted.digest:
        wanted = wanted.with_digest(wanted.digest)
    if wanted not in refs:
        # Found through an alias or a search list of registries.conf: the same path under another domain.
        short = wanted.familiar_name.rpartition("/")[2]
        same = [ref for ref in refs if ref.tag == wanted.tag and ref.path.rpartition("/")[2] == short]
        if len(same) != 1:
            raise InvalidReference(f"remove image: {name}: write the whole name of the image")
        wanted = same[0]
    if wanted.digest or any(ref.name == wanted.name and ref.tag and ref != wanted for ref in refs):
        return [wanted]
    return [wanted, *(ref for ref in refs if ref.name == wanted.name and ref.digest)]


def _check_by_id(image: Image, refs: list[Reference], users: list[User], *, force: bool) -> None:
    for user in users:
        if user.running:
            raise ImageInUse(
                f"conflict: unable to delete {image.short_id} (cannot be forced) - image is being used by running "
                f"container {user.id[:12]}",
                hint=f"stop and remove it first: pod rm -f {user.id[:12]}",
            )
    if not force and (len([ref for ref in refs if ref.tag]) > 1 or len({ref.name for ref in refs}) > 1):
        raise ImageInUse(
            f"conflict: unable to delete {image.short_id} (must be forced) - image is referenced in multiple "
            "repositories",
            hint="remove its names one by one, or use -f",
        )
    if users and not (force and refs):
        raise ImageInUse(
            f"conflict: unable to delete {image.short_id} (must be forced) - image is being used by stopped "
            f"container {users[0].id[:12]}",
            hint=f"remove the container first: pod rm {users[0].id[:12]}",
        )


def containers_of(engine: Engine, image_id: str, is_running: Callable[[str], bool]) -> list[User]:
    """The containers made from an image, by the "Image" of their config.json."""
    try:
        names = sorted(os.listdir(engine.paths.containers))
    except FileNotFoundError:
        return []
    found = []
    for container_id in names:
        try:
            config = statefile.read(engine.paths.container(container_id) + "/config.json")
        except (FileNotFoundError, NotADirectoryError):
            continue  # Being made or removed at this moment.
        if config.get("Image") == image_id:
            found.append(User(container_id, running=is_running(container_id)))
    return found


def delete(engine: Engine, image: Image) -> list[Removal]:
    """Removes the record of an image without names, and the blobs and layers that no other image has."""
    removals: list[Removal] = []
    trash: list[str] = []
    with store.collection_lock(engine, publish=False):
        if any(ref["image"] == image.id for ref in store.list_refs(engine)):
            return []  # Someone tagged it meanwhile.
        try:
            os.unlink(engine.paths.image(image.id))
        except FileNotFoundError:
            return []
        removals.append(Removal("Deleted", image.id))
        kept_blobs, kept_chains = _kept(engine)
        for digest in _blobs(image.record) - kept_blobs:
            _unlink(engine.paths.blob(digest))
        for digest in _orphaned_indexes(engine, image, kept_blobs):
            _unlink(engine.paths.blob(digest))
        gone = [chain for chain in reversed(image.chain_ids) if chain not in kept_chains]
        removals += [Removal("Deleted", chain) for chain in gone]
        trash = _to_trash(engine, image, gone)
    for path in trash:
        _empty(engine, path)
    return removals


def _blobs(record: dict[str, Any]) -> set[str]:
    return {record["id"], record["manifest"], *(layer["digest"] for layer in record["layers"])}


def _kept(engine: Engine) -> tuple[set[str], set[str]]:
    """(blobs, chain ids) that the remaining images and names need."""
    blobs: set[str] = set()
    chains: set[str] = set()
    for other in store.list_images(engine):
        blobs |= _blobs(other.record)
        chains.update(other.chain_ids)
    blobs.update(ref["digest"] for ref in store.list_refs(engine))
    return blobs, chains


def _orphaned_indexes(engine: Engine, image: Image, kept: set[str]) -> list[str]:
    """Indexes that list the image's manifest and that no name leads to any more; they are small and few."""
    from pod.core.image import blobs
    from pod.core.oci import image_spec

    found = []
    for name in os.listdir(engine.paths.blobs):
        digest = "sha256:" + name
        if len(name) != 64 or not digests.is_hex(name) or digest in kept:
            continue
        path = engine.paths.blob(digest)
        try:
            if os.stat(path).st_size > image_spec.MAX_MANIFEST or not _looks_like_index(path):
                continue
            document = image_spec.parse_manifest(blobs.read(engine, digest, image_spec.MAX_MANIFEST))
        except (FileNotFoundError, image_spec.DocumentError, PodError):
            continue  # Gone, or no document: not ours to judge here.
        entries = document.manifests if isinstance(document, image_spec.Index) else []
        if any(entry.digest == image.record["manifest"] for entry in entries):
            found.append(digest)
    return found


def _looks_like_index(path: str) -> bool:
    """A cheap look before a blob is read whole: JSON begins with a brace."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return os.read(fd, 64).lstrip()[:1] == b"{"
    finally:
        os.close(fd)


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _to_trash(engine: Engine, image: Image, gone: list[str]) -> list[str]:
    """Renames the extracted layers, of every map, out of sight; their paths in the trash."""
    moved: list[str] = []
    root = engine.paths.layers("").rstrip("/")
    try:
        keys = os.listdir(root)
    except FileNotFoundError:
        return []
    names = [chain[7:] for chain in gone]
    if image.chain_ids and image.chain_ids[-1] in gone:
        names.append("flat-" + image.chain_ids[-1][7:])
    for key in keys:
        for name in names:
            target = f"{engine.paths.trash}/{os.urandom(8).hex()}"
            try:
                os.rename(f"{root}/{key}/{name}", target)
            except (FileNotFoundError, NotADirectoryError):
                continue
            moved.append(target)
    return moved


def _empty(engine: Engine, path: str) -> None:
    try:
        unpacking.remove_tree(engine, path, engine.idmap)
    except (OSError, PodError) as error:
        text = f"remove image: {path}: {error}; it stays in the trash"
        engine.progress("warning", {"text": text})
