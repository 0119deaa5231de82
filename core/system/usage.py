"""``system df``: what images, containers, volumes and steps of builds take on the disk, and what of it nobody uses."""

from __future__ import annotations

from pod.core.builder import prune as build_cache
from pod.core.container import inspect, settling
from pod.core.errors import PodError
from pod.core.image import listing as image_listing
from pod.core.image import remove, sizes
from pod.core.image import store as image_store
from pod.core.volume import listing as volume_listing
from pod.core.volume import remove as volume_remove
from pod.core.volume import store as volume_store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.builder.prune import Use
    from pod.core.container.model import Container
    from pod.core.engine import Engine
    from pod.core.image.store import Image
    from pod.core.oci.reference import Reference
    from pod.core.volume.store import Volume


class Kind:
    """One row of the summary; sizes in bytes. ``active``: how many of ``count`` somebody uses."""

    __slots__ = ("active", "count", "name", "reclaimable", "size")

    def __init__(self, name: str, count: int, active: int, size: int, reclaimable: int) -> None:
        self.name = name
        self.count = count
        self.active = active
        self.size = size
        self.reclaimable = reclaimable


class ImageUse:
    """An image: its names, bytes that other images have too, bytes of its own, and how many containers need it."""

    __slots__ = ("containers", "image", "names", "shared", "unique")

    def __init__(self, image: Image, names: list[Reference], shared: int, unique: int, containers: int) -> None:
        self.image = image
        self.names = names
        self.shared = shared
        self.unique = unique
        self.containers = containers


class Usage:
    """All that ``system df`` tells; looked up by :func:`look`."""

    __slots__ = ("cache", "containers", "images", "kinds", "volumes")

    def __init__(
        self,
        images: list[ImageUse],
        containers: list[tuple[Container, int]],
        volumes: list[tuple[Volume, int, int]],
        cache: list[Use],
        kinds: list[Kind],
    ) -> None:
        self.images = images
        self.cache = cache
        self.containers = containers
        """(container, bytes that it has written), the newest first."""
        self.volumes = volumes
        """(volume, containers that have it, bytes)."""
        self.kinds = kinds


def look(engine: Engine) -> Usage:
    """Counts everything. What lies on the disk for several images counts once, in the summary and as SHARED SIZE."""
    disk = sizes.Disk(engine)
    cache, cache_kind = _cache(engine, disk)
    images, image_kind = _images(engine, disk, cache_kind.size)
    containers = [(one, _written(engine, one)) for one in settling.settle_all(engine)]
    idle = sum(size for one, size in containers if not one.is_running)
    running = sum(one.is_running for one, _ in containers)
    users = volume_remove.users(engine)
    found = volume_store.list_all(engine)
    of_volume = volume_listing.sizes(engine, found)
    volumes = [(one, len(users.get(one.name, ())), of_volume[one.name]) for one in found]
    kinds = [
        image_kind,
        Kind("Containers", len(containers), running, sum(size for _, size in containers), idle),
        Kind(
            "Local Volumes",
            len(volumes),
            sum(links > 0 for _, links, _ in volumes),
            sum(size for *_, size in volumes),
            sum(size for _, links, size in volumes if not links),
        ),
        cache_kind,
    ]
    return Usage(images, containers, volumes, cache, kinds)


def _cache(engine: Engine, disk: sizes.Disk) -> tuple[list[Use], Kind]:
    """Steps of builds. Layers that images have, too, are counted with those; all others can go."""
    found = build_cache.uses(engine)
    chains = {chain for image in image_store.list_images(engine) for chain in image.chain_ids}
    parts: dict[str, int] = {}
    for use in found:
        if use.layer is None or use.shared:
            continue
        parts[use.layer["digest"]] = disk.blob(use.layer["digest"])
        if use.layer["chainID"] not in chains:
            parts["tree " + use.layer["chainID"]] = disk.tree(use.layer["chainID"])
    size = sum(parts.values())
    return found, Kind("Build Cache", len(found), sum(use.shared for use in found), size, size)


def _images(engine: Engine, disk: sizes.Disk, cached: int) -> tuple[list[ImageUse], Kind]:
    """``cached``: bytes of ``disk`` that belong to the cache of builds."""
    images = image_store.list_images(engine)
    names = image_listing.names_of_images(engine)
    split = disk.shared(images)
    counts: dict[str, int] = {}
    for needed in remove.images_of_containers(engine).values():
        for image_id in dict.fromkeys(needed):
            counts[image_id] = counts.get(image_id, 0) + 1
    used = [image for image in images if counts.get(image.id)]
    rows = [
        ImageUse(image, names.get(image.id, []), *split[image.id], counts.get(image.id, 0)) for image in images
    ]
    total = disk.total - cached
    return rows, Kind("Images", len(images), len(used), total, total - disk.of(used))


def _written(engine: Engine, container: Container) -> int:
    """0 for a container of another node, or one that goes at this moment."""
    try:
        return inspect.sizes(engine, container)[0]
    except PodError as error:
        engine.progress("warning", {"text": error.message})
        return 0
