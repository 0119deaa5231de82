"""`pod image prune`: removes images that dangle, or all that no container uses, and what killed removals left.

Unlike Docker's, ``all`` takes no name from an image that a container uses.
"""

from __future__ import annotations

import os
import time

from pod.core import events, storedir
from pod.core.errors import PodError
from pod.core.image import filters as image_filters
from pod.core.image import layout, leftovers, listing, remove, sizes, store
from pod.core.image.remove import Removal
from pod.core.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pod.core.engine import Engine
    from pod.core.image.remove import Outcome

FILTERS = ("dangling", "label", "label!", "until")
GRACE = 3600.0
"""Seconds for which a blob or a layer without an image is left alone: a pull may be about to publish its image."""


def check(filters: Sequence[str], *, everything: bool) -> None:
    """PodError for filters that :func:`prune` would not take; before anybody is asked anything."""
    wanted = _read(filters, everything=everything)
    for text in wanted.get("until", []):
        image_filters.moment(text, time.time())


def _read(filters: Sequence[str], *, everything: bool) -> dict[str, list[str]]:
    wanted = image_filters.read(filters, FILTERS)
    wanted.setdefault("dangling", []).append("false" if everything else "true")
    image_filters.truth(wanted, "dangling")
    if len(wanted.get("until", [])) > 1:
        raise PodError("more than one until filter specified", hint="give the earlier of them")
    return wanted


def prune(engine: Engine, filters: Sequence[str] = (), *, everything: bool = False) -> Outcome:
    """Removes the images that the filters ("name=value") let through; a digest alone does not keep an image."""
    wanted = _read(filters, everything=everything)
    tests = image_filters.tests(engine, wanted, time.time())
    names = listing.names_of_images(engine)
    used = remove.used_images(engine)
    doomed, untagged = [], []
    for image in store.list_images(engine):
        refs = names.get(image.id, [])
        if image.id in used or (not everything and any(ref.tag for ref in refs)):
            continue
        if all(test(image) for test in tests):
            gone = [ref for ref in refs if store.untag(engine, ref.canonical())]
            untagged += [Removal("Untagged", ref.familiar()) for ref in gone]
            for _ in gone:
                events.emit(engine, "image", "untag", image.id, {"name": image.id})
            doomed.append(image)
    outcome = remove.delete(engine, doomed, sizes.Disk(engine) if doomed else None)
    outcome.removals[:0] = untagged
    outcome.reclaimed += sweep(engine)
    leftovers.collect(engine)
    events.emit(engine, "image", "prune", "", {"reclaimed": str(outcome.reclaimed)})
    if doomed:
        layout.write_index(engine)
    return outcome


def sweep(engine: Engine) -> int:
    """Removes blobs and layers of no image, which removals that were killed have left; the bytes they had."""
    limit = time.time() - GRACE
    reclaimed = 0
    trash: list[str] = []
    with store.collection_lock(engine, publish=False):
        blobs, chains = remove.kept(engine)
        for path in _old(engine.paths.blobs, limit):
            name = path.rpartition("/")[2]
            if len(name) == 64 and digests.is_hex(name) and "sha256:" + name not in blobs:
                reclaimed += max(remove.unlink(path), 0)
        root = engine.paths.layers("").rstrip("/")
        for key in storedir.own_names(root):
            for path in _old(f"{root}/{key}", limit):
                chain = path.rpartition("/")[2].removeprefix("flat-")
                if len(chain) == 64 and digests.is_hex(chain) and "sha256:" + chain not in chains:
                    reclaimed += sizes.trees(engine, [path])[path]
                    trash.append(storedir.into_trash(engine.paths, path))
    remove.empty(engine, trash)
    return reclaimed


def _old(folder: str, limit: float) -> list[str]:
    """What lies in a folder for longer than since ``limit``, seconds since 1970."""
    found = []
    for name in storedir.own_names(folder):
        path = f"{folder}/{name}"
        try:
            if os.lstat(path).st_ctime < limit:
                found.append(path)
        except FileNotFoundError:
            continue
    return found
