"""`pod images`: which images and names there are, filtered as Docker's --filter does.

Reads refs/ and images/ alone; a label filter reads configurations too, :func:`shared` what extractions noted.
"""

from __future__ import annotations

import time

from pod.core.image import filters as image_filters
from pod.core.image import store
from pod.core.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pod.core.engine import Engine
    from pod.core.image.patterns import Pattern
    from pod.core.image.store import Image
    from pod.core.oci.reference import Reference

FILTERS = ("before", "dangling", "label", "label!", "reference", "since", "until")
NONE = "<none>"


class Entry:
    """One row: an image under one name. ``repository``, ``tag`` and ``digest`` are "<none>" where it has none."""

    __slots__ = ("digest", "image", "repository", "tag")

    def __init__(self, image: Image, repository: str, tag: str, digest: str) -> None:
        self.image = image
        self.repository = repository
        self.tag = tag
        self.digest = digest


class Listed:
    """An image that the filters let through, with those of its names that a reference filter lets through."""

    __slots__ = ("image", "names")

    def __init__(self, image: Image, names: list[Reference]) -> None:
        self.image = image
        self.names = names

    def entries(self, *, digests: bool) -> list[Entry]:
        """Docker's rows: one for each tag, with ``digests`` one for each tag and digest of its repository.

        A repository that has digests alone has a row for each of them, without ``digests`` a single one.
        """
        found: dict[str, list[str]] = {}
        for name in self.names:
            if name.digest:
                found.setdefault(name.familiar_name, []).append(name.digest)
        tagged = [name for name in self.names if name.tag]
        rows = []
        for name in tagged:
            shown = found.get(name.familiar_name) if digests else None
            rows += [Entry(self.image, name.familiar_name, name.tag, digest) for digest in shown or [NONE]]
        for repository in sorted(set(found) - {name.familiar_name for name in tagged}):
            rows += [Entry(self.image, repository, NONE, one) for one in (found[repository] if digests else [NONE])]
        return rows or [Entry(self.image, NONE, NONE, NONE)]


def find(engine: Engine, filters: Sequence[str] = ()) -> list[Listed]:
    """All images that the filters ("name=value") let through, newest first. PodError: bad filter."""
    wanted = image_filters.read(filters, FILTERS)
    dangling = image_filters.truth(wanted, "dangling")
    patterns = image_filters.patterns(wanted)
    tests = image_filters.tests(engine, wanted, time.time())
    names = names_of_images(engine)
    found = []
    for image in store.list_images(engine):
        all_names = names.get(image.id, [])
        if not _wanted_dangling(all_names, dangling):
            continue
        shown = [name for name in all_names if _matches(name, patterns)]
        if (shown or not patterns) and all(test(image) for test in tests):
            found.append(Listed(image, shown))
    found.sort(key=lambda listed: (image_filters.created(listed.image), listed.image.id), reverse=True)
    return found


def entries(engine: Engine, filters: Sequence[str] = (), *, digests: bool = False) -> list[Entry]:
    """Rows for what :func:`find` finds."""
    return [entry for listed in find(engine, filters) for entry in listed.entries(digests=digests)]


def names_of_images(engine: Engine) -> dict[str, list[Reference]]:
    """The names and digests of every image that has any, sorted, by its id."""
    names: dict[str, list[Reference]] = {}
    for ref in store.list_refs(engine):
        names.setdefault(ref["image"], []).append(references.parse(ref["name"]))
    return names


def _wanted_dangling(names: list[Reference], dangling: bool | None) -> bool:
    """An image without a tag dangles; one that has a digest is kept out by neither (moby daemon/images)."""
    if dangling is None:
        return True
    return not any(name.tag for name in names) if dangling else bool(names)


def _matches(name: Reference, patterns: list[Pattern]) -> bool:
    return not patterns or any(pattern.matches_name(name) for pattern in patterns)


def shared(engine: Engine) -> dict[str, int]:
    """For each image the bytes of those layers that another image has, too."""
    from pod.core.image import sizes

    images = store.list_images(engine)
    counts: dict[str, int] = {}
    for image in images:
        for chain in image.chain_ids:
            counts[chain] = counts.get(chain, 0) + 1
    of_layer = sizes.Sizes(engine)
    return {
        image.id: sum(of_layer.of(chain) or 0 for chain in image.chain_ids if counts[chain] > 1) for image in images
    }


def containers(engine: Engine) -> dict[str, int]:
    """How many containers each image has."""
    from pod.core.image import remove

    counts: dict[str, int] = {}
    for image_id, *_ in remove.images_of_containers(engine).values():
        counts[image_id] = counts.get(image_id, 0) + 1
    return counts
