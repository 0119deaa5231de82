"""A limit for what the store takes on the disk: ``[store] max-size`` of pod.toml, kept by taking images away that no
container has, the least recently used first.

Counted is everything below the store; what may go is images without containers. When each was used is known to a day
(image/store, note_use). An image that was pulled or used within GRACE seconds stays: somebody may be about to run it.
"""

from __future__ import annotations

import os
import time

from pod.core import background, events, statefile, storedir
from pod.core.errors import PodError
from pod.core.image import layout, leftovers, listing, prune, remove, sizes, store
from pod.core.image.patterns import BadPattern, Pattern
from pod.core.image.remove import Removal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pod.core.engine import Engine
    from pod.core.image.store import Image
    from pod.core.oci.reference import Reference

GRACE = 600.0


class Collected:
    """What :func:`collect` did, or would do. ``size``: bytes that the store takes then; ``limit`` is what it may."""

    __slots__ = ("limit", "reclaimed", "removals", "size")

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.size = 0
        self.reclaimed = 0
        self.removals: list[Removal] = []


def after_publishing(engine: Engine) -> None:
    """Once an image has been published: :func:`collect` in the background where the configuration has a limit.

    Must be called where this process has one thread.
    """
    if engine.config.store.max_size:
        background.run(lambda: collect(engine, engine.config.store.max_size, patience=0.0))


def collect(engine: Engine, limit: int, *, dry: bool = False, patience: float = 600.0) -> Collected:
    """Brings the store down to ``limit`` bytes, as far as images that may go make that possible.

    Busy where another such process is at work for longer than ``patience`` seconds. ``dry``: changes nothing.
    """
    outcome = Collected(limit)
    with statefile.Lock(engine.run_dir + "/locks/gc", timeout=patience):
        if not dry:
            outcome.reclaimed += prune.sweep(engine)
            leftovers.collect(engine)
            remove.empty(engine, [f"{engine.paths.trash}/{name}" for name in storedir.names(engine.paths.trash)])
        disk = sizes.Disk(engine)
        outcome.size = disk.total + _others(engine)
        images = store.list_images(engine)
        names = listing.names_of_images(engine)
        doomed = _choose(engine, disk, images, names, outcome)
        if dry:
            outcome.removals = [Removal("Deleted", image.id) for image in doomed]
        elif doomed:
            _take(engine, disk, doomed, names, outcome)
    _forget_marks(engine)
    return outcome


def _others(engine: Engine) -> int:
    """Bytes of containers, volumes, caches and what waits to be removed."""
    paths = engine.paths
    return sum(sizes.walk(engine, [paths.containers, paths.volumes, paths.cache, paths.trash]).values())


def _choose(
    engine: Engine, disk: sizes.Disk, images: list[Image], names: dict[str, list[Reference]], outcome: Collected
) -> list[Image]:
    """The images that go, the least recently used first; ``outcome`` gets the sizes that follow."""
    used = remove.used_images(engine)
    patterns = _patterns(engine.config.store.keep)
    youngest = time.time() - GRACE
    candidates = [(store.last_use(engine, image.id), image) for image in images if image.id not in used]
    candidates.sort(key=lambda pair: (pair[0], pair[1].id))
    left = {image.id: image for image in images}
    doomed: list[Image] = []
    before = disk.of(left.values())
    for last, image in candidates:
        if outcome.size <= outcome.limit:
            break
        if last > youngest or any(_fits(patterns, name) for name in names.get(image.id, ())):
            continue
        del left[image.id]
        doomed.append(image)
        after = disk.of(left.values())
        outcome.size -= before - after
        outcome.reclaimed += before - after
        before = after
    return doomed


def _patterns(texts: Sequence[str]) -> list[Pattern]:
    found = []
    for text in texts:
        try:
            found.append(Pattern(text))
        except BadPattern as error:
            raise PodError(f"read configuration: [store] keep: {text}: {error}") from None
    return found


def _fits(patterns: list[Pattern], name: Reference) -> bool:
    return any(pattern.matches_name(name) for pattern in patterns)


def _take(
    engine: Engine, disk: sizes.Disk, doomed: list[Image], names: dict[str, list[Reference]], outcome: Collected
) -> None:
    """Removes the images. One that a container has got meanwhile gets its names back."""
    taken: list[tuple[Image, Reference, dict[str, object]]] = []
    for image in doomed:
        for name in names.get(image.id, ()):
            ref = store.read_ref(engine, name.canonical())
            if ref is not None and ref["image"] == image.id and store.untag(engine, name.canonical()):
                taken.append((image, name, ref))
    deleted = remove.delete(engine, doomed, disk)
    gone = {removal.what for removal in deleted.removals if removal.kind == "Deleted"}
    for image, name, ref in taken:
        if image.id in gone:
            outcome.removals.append(Removal("Untagged", name.familiar()))
            events.emit(engine, "image", "untag", image.id, {"name": image.id})
        else:
            _put_back(engine, name, ref)
    outcome.removals += deleted.removals
    events.emit(engine, "image", "prune", "", {"reclaimed": str(deleted.reclaimed)})
    layout.write_index(engine)


def _put_back(engine: Engine, name: Reference, ref: dict[str, object]) -> None:
    try:
        statefile.write(engine.paths.ref(name.canonical()), ref, exclusive=True)
    except FileExistsError:
        return  # it leads elsewhere by now


def _forget_marks(engine: Engine) -> None:
    """Marks of images that have gone."""
    folder = engine.paths.cache + "/used"
    for name in storedir.names(folder):
        if not os.path.exists(f"{engine.paths.images}/{name}"):
            try:
                os.unlink(f"{folder}/{name}")
            except OSError:
                continue

