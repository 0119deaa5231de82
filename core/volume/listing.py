"""``volume ls``: Docker's filters over the volumes, and what they hold in bytes."""

from __future__ import annotations

import stat

from pod.core import disk
from pod.core.errors import PodError
from pod.core.image.filters import read, truth
from pod.core.volume import remove, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pod.core.engine import Engine
    from pod.core.volume.store import Volume

LIST_FILTERS = ("dangling", "driver", "label", "name")
PRUNE_FILTERS = ("all", "label", "label!")


def find(engine: Engine, filters: Sequence[str]) -> list[Volume]:
    """The volumes that ``filters`` ("name=value") let through. PodError for a filter that is none."""
    wanted = read(filters, LIST_FILTERS)
    dangling = truth(wanted, "dangling")
    labelled, named = labels_test(wanted), _names_test(wanted)
    drivers = wanted.get("driver")
    used = remove.users(engine) if dangling is not None else {}
    found = []
    for volume in store.list_all(engine):
        if drivers and "local" not in drivers:
            continue
        if dangling is not None and (volume.name in used) == dangling:
            continue
        if labelled(volume) and named(volume):
            found.append(volume)
    return found


def _names_test(wanted: dict[str, list[str]]) -> Callable[[Volume], bool]:
    """``name``: any of the patterns, found anywhere in it."""
    texts = wanted.get("name", [])
    if not texts:
        return lambda volume: True
    import re

    try:
        patterns = [re.compile(text) for text in texts]
    except (re.error, OverflowError, RecursionError) as error:
        raise PodError(f"invalid filter 'name={texts[0]}': {error}") from None
    return lambda volume: any(pattern.search(volume.name) for pattern in patterns)


def labels_test(wanted: dict[str, list[str]]) -> Callable[[Volume], bool]:
    """``label`` and ``label!``: all of the former, none of the latter."""

    def has(volume: Volume, text: str) -> bool:
        key, equals, value = text.partition("=")
        return key in volume.labels and (not equals or volume.labels[key] == value)

    def test(volume: Volume) -> bool:
        given, forbidden = wanted.get("label", []), wanted.get("label!", [])
        return all(has(volume, text) for text in given) and not any(has(volume, text) for text in forbidden)

    return test


def prune_test(filters: Sequence[str], *, everything: bool) -> Callable[[Volume], bool]:
    """Which volumes ``prune`` means. PodError for filters that it does not have."""
    wanted = read(filters, PRUNE_FILTERS)
    if everything and "all" in wanted:
        raise PodError("conflicting options: cannot specify both --all and --filter all=1")
    named = everything or truth(wanted, "all")
    labelled = labels_test(wanted)
    return lambda volume: (bool(named) or volume.anonymous) and labelled(volume)


def size(engine: Engine, volume: Volume) -> int:
    """Bytes of the volume's files, counted where all of them can be read; of other folders of the host none are its."""
    return 0 if volume.options else sizes(engine, [volume])[volume.name]


def sizes(engine: Engine, volumes: Sequence[Volume]) -> dict[str, int]:
    """:func:`size` of several, by name: all of them by one process in the mapped namespace."""
    from pod.core import statefile
    from pod.core.runtime import userns

    def work() -> bytes:
        return statefile.dumps([0 if one.options else _tree(one.mountpoint) for one in volumes]).encode()

    found = statefile.loads(userns.call_mapped(engine, engine.idmap, work)) if volumes else []
    return {one.name: int(size) for one, size in zip(volumes, found)}


def _tree(path: str) -> int:
    """Bytes of the files below, each hard link once."""
    return sum(one.st_size for one in disk.below(path) if not stat.S_ISDIR(one.st_mode))
