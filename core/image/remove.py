"""`pod rmi`: takes names from images and removes what no name, container or other image needs (Docker's rules).

    given a name   the name goes; with the last tag of a repository its digests go; the image goes with its last name
    given an id    all names go if they are of one repository, or with ``force``; then the image
    containers     a running one forbids the removal of its image, a stopped one too unless ``force``, and then the
                   names go, but the image stays under its id: the container starts from its layers

Docker deletes the image of a stopped container under ``force`` and keeps the layers; here the record is what keeps
them. Source: moby daemon/images/image_delete.go (rules and messages).
"""

from __future__ import annotations

import os

from pod.core import events, statefile, storedir
from pod.core.errors import ImageInUse, InvalidReference, PodError
from pod.core.image import built_layers, layout, store, trash
from pod.core.oci import digest as digests
from pod.core.oci import reference as references
from pod.core.oci.reference import Reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.sizes import Disk
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


def remove(
    engine: Engine, name: str, *, force: bool, is_running: Callable[[str], bool], later: bool = False
) -> list[Removal]:
    """Removes ``name`` as the module says; ``is_running(container id)`` comes from who knows containers. ``later``: the
    bytes stay in the trash, which the caller has emptied in the background (trash.empty_later).

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
        if not force and users and _is_single(refs):
            raise ImageInUse(
                f'conflict: unable to remove repository reference "{name}" (must force) - container '
                f"{users[0].id[:12]} is using its referenced image {image.short_id}",
                hint=f"remove the container first: pod rm {users[0].id[:12]}",
            )
    removals = [Removal("Untagged", one.familiar()) for one in doomed if store.untag(engine, one.canonical())]
    for _ in removals:
        events.emit(engine, "image", "untag", image.id, {"name": image.id})
    if len(doomed) == len(refs) and not users:
        removals += delete(engine, [image], later=later).removals
    layout.write_index(engine)
    return removals


def _is_single(refs: list[Reference]) -> bool:
    """Whether there is one tag at most and all names are of one repository; no names are not."""
    return bool(refs) and len([ref for ref in refs if ref.tag]) <= 1 and len({ref.name for ref in refs}) == 1


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
    """Docker's conflicts in Docker's order; forced, the names go and stopped containers keep the image."""
    running = [user for user in users if user.running]
    if running:
        raise _in_use(image, "cannot be forced", "running", running[0])
    if not force and refs and not _is_single(refs):
        raise ImageInUse(
            f"conflict: unable to delete {image.short_id} (must be forced) - image is referenced in multiple "
            "repositories",
            hint="remove its names one by one, or use -f",
        )
    if users and not refs:
        raise _in_use(image, "cannot be forced", "stopped", users[0])
    if users and not force:
        raise _in_use(image, "must be forced", "stopped", users[0])


def _in_use(image: Image, force: str, state: str, user: User) -> ImageInUse:
    return ImageInUse(
        f"conflict: unable to delete {image.short_id} ({force}) - image is being used by {state} container "
        f"{user.id[:12]}",
        hint=f"remove the container first: pod rm {'-f ' if user.running else ''}{user.id[:12]}",
    )


def images_of_containers(engine: Engine) -> dict[str, list[str]]:
    """The ids of the images that each container needs, by the container's id: its own first ("Image" of its
    config.json), then those that it mounts.
    """
    found = {}
    for container_id in sorted(name for name in storedir.names(engine.paths.containers) if not name.startswith(".")):
        try:
            config = statefile.read(engine.paths.container(container_id) + "/config.json")
        except (FileNotFoundError, NotADirectoryError):
            continue  # Being made or removed at this moment.
        mounted = [str(mount["Image"]) for mount in config.get("Mounts") or [] if mount.get("Image")]
        found[container_id] = [str(config.get("Image")), *mounted]
    return found


def used_images(engine: Engine) -> set[str]:
    """The ids of the images that any container, or a build at work, needs."""
    used = {image_id for images in images_of_containers(engine).values() for image_id in images}
    return used | built_layers.held(engine)


def containers_of(engine: Engine, image_id: str, is_running: Callable[[str], bool]) -> list[User]:
    """The containers made from an image."""
    used = images_of_containers(engine)
    return [User(one, running=is_running(one)) for one in used if image_id in used[one]]


class Outcome:
    """What :func:`delete` did: the lines of the answer, and the bytes that blobs and unpacked layers had."""

    __slots__ = ("reclaimed", "removals")

    def __init__(self) -> None:
        self.removals: list[Removal] = []
        self.reclaimed = 0


def delete(
    engine: Engine, images: Sequence[Image], disk: Disk | None = None, *, later: bool = False
) -> Outcome:
    """Removes the records of images without names or containers, and the blobs and layers that no other image has.

    An image that was given a name or a container since it was looked at stays. Who publishes on another node of a
    shared home does not see our lock: so blobs are renamed, the records read again, and what one of them needs gets its
    name back; the other looks after it has published (install). A layer is made anew from its blob where it is missed.
    ``disk`` says what layers take, for the sum; without it that is what their archives had. ``later`` is as for
    :func:`remove`.
    """
    from pod.core.image.sizes import Sizes

    outcome = Outcome()
    trees: list[str] = []
    hidden: dict[str, str] = {}
    with store.collection_lock(engine, publish=False):
        gone = _unpublish(engine, images)
        if not gone:
            return outcome
        kept_blobs, kept_chains = kept(engine)
        sizes = Sizes(engine)
        manifests = {image.record["manifest"] for image in gone}
        for image in gone:
            outcome.removals.append(Removal("Deleted", image.id))
            events.emit(engine, "image", "delete", image.id, {"name": image.id})
            for digest in _blobs(image.record) - kept_blobs:
                _hide(engine, digest, hidden)
            chains = [chain for chain in reversed(image.chain_ids) if chain not in kept_chains]
            kept_chains.update(chains)  # Named once, by the first image that had it.
            outcome.removals += [Removal("Deleted", chain) for chain in chains]
            outcome.reclaimed += sum(disk.tree(chain) if disk else sizes.of(chain) or 0 for chain in chains)
            trees += _to_trash(engine, image, chains)
        for digest in _orphaned_indexes(engine, manifests, kept_blobs):
            _hide(engine, digest, hidden)
        kept_blobs, _ = kept(engine)
        for digest, path in hidden.items():
            if digest in kept_blobs:
                os.rename(path, engine.paths.blob(digest))
            elif later:  # the bytes of a large file are not free at once
                aside = storedir.into_trash(engine.paths, path)
                outcome.reclaimed += os.lstat(aside).st_blocks * 512 if aside else 0
            else:
                outcome.reclaimed += max(unlink(path), 0)
    if not later:
        empty(engine, trees)
    return outcome


def _hide(engine: Engine, digest: str, hidden: dict[str, str]) -> None:
    """Takes a blob out of sight and notes where it is: litter from now on (image/leftovers), if we are killed."""
    path = f"{engine.paths.blobs}/.gone-{digest[7:23]}.{os.urandom(4).hex()}"
    try:
        os.rename(engine.paths.blob(digest), path)
    except FileNotFoundError:
        return
    hidden[digest] = path
    os.utime(path)


def _unpublish(engine: Engine, images: Sequence[Image]) -> list[Image]:
    """Removes the records that nobody needs and returns their images. The caller holds the collection lock.

    Who makes a container shows it first and then looks whether the record is still there, without our lock. So the
    containers are looked at once more when the records are gone, and what one has found meanwhile is put back.
    """
    named = {ref["image"] for ref in store.list_refs(engine)}
    used = used_images(engine)
    gone = []
    for image in images:
        if image.id not in named and image.id not in used and unlink(engine.paths.image(image.id)) >= 0:
            gone.append(image)
    used = used_images(engine) if gone else set()
    for image in gone:
        if image.id in used:
            statefile.write(engine.paths.image(image.id), image.record, sync=True)
    return [image for image in gone if image.id not in used]


def _blobs(record: dict[str, Any]) -> set[str]:
    return {record["id"], record["manifest"], *(layer["digest"] for layer in record["layers"])}


def kept(engine: Engine) -> tuple[set[str], set[str]]:
    """(blobs, chain ids) that the remaining images and names need, and what builds need not do again."""
    blobs: set[str] = set()
    chains: set[str] = set()
    for layer in built_layers.layers(engine):
        blobs.add(layer["digest"])
        chains.add(layer["chainID"])
    for other in store.list_images(engine):
        blobs |= _blobs(other.record)
        chains.update(other.chain_ids)
    blobs.update(ref["digest"] for ref in store.list_refs(engine))
    return blobs, chains


def _orphaned_indexes(engine: Engine, manifests: set[str], kept: set[str]) -> list[str]:
    """Indexes that list one of the manifests and that no name leads to any more; they are small and few."""
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
        if any(entry.digest in manifests for entry in entries):
            found.append(digest)
    return found


def _looks_like_index(path: str) -> bool:
    """A cheap look before a blob is read whole: JSON begins with a brace."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:
        return os.read(fd, 64).lstrip()[:1] == b"{"
    finally:
        os.close(fd)


def unlink(path: str) -> int:
    """Removes a file; the bytes it had on the disk, -1 where it was gone already."""
    try:
        size = os.stat(path, follow_symlinks=False).st_blocks * 512
        os.unlink(path)
    except FileNotFoundError:
        return -1
    return size


def _to_trash(engine: Engine, image: Image, gone: list[str]) -> list[str]:
    """Renames the extracted layers, of every map, out of sight; their paths in the trash."""
    moved: list[str] = []
    root = engine.paths.layers("").rstrip("/")
    names = [chain[7:] for chain in gone]
    if image.chain_ids and image.chain_ids[-1] in gone:
        names.append("flat-" + image.chain_ids[-1][7:])
    for key in storedir.own_names(root):
        for name in [] if os.path.islink(f"{root}/{key}") else names:
            moved.append(storedir.into_trash(engine.paths, f"{root}/{key}/{name}"))
    return moved


def empty(engine: Engine, paths: Sequence[str]) -> None:
    """Removes trees from the trash ("" is none); what cannot be removed stays there, with a warning."""
    for path in filter(None, paths):
        try:
            trash.remove_tree(engine, path, engine.idmap)
        except (OSError, PodError) as error:
            text = f"remove image: {path}: {error}; it stays in the trash"
            engine.progress("warning", {"text": text})
