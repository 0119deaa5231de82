"""``system prune``: the prunes of everything, in Docker's order: containers, networks, volumes, images, build cache."""

from __future__ import annotations

import time

from pod.core.builder import prune as build_cache
from pod.core.container import network_removal
from pod.core.container import prune as container_prune
from pod.core.errors import PodError
from pod.core.image import prune as image_prune
from pod.core.image import trash
from pod.core.network import listing as network_listing
from pod.core.volume import listing as volume_listing
from pod.core.volume import remove as volume_remove

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pod.core.engine import Engine

FILTERS = ("label", "label!", "until")


def check(filters: Sequence[str], *, everything: bool, volumes: bool) -> None:
    """PodError for filters that one of the prunes would not take, before anybody is asked anything."""
    now = time.time()
    container_prune.check(filters, now)
    network_listing.prune_test(filters, now)
    if volumes:
        if any(text.partition("=")[0] == "until" for text in filters):
            raise PodError(
                'The "until" filter is not supported with "--volumes"', hint="volumes go by labels: label, label!"
            )
        volume_listing.prune_test(filters, everything=False)
    image_prune.check(filters, everything=everything)


def prune(
    engine: Engine,
    filters: Sequence[str],
    *,
    everything: bool,
    volumes: bool,
    tell: Callable[[str, Sequence[str]], None],
) -> int:
    """Removes what nobody uses; the bytes that are free again. ``tell(kind, names)`` hears of each part.

    Anonymous volumes alone go: they went with containers that are gone.
    """
    check(filters, everything=everything, volumes=volumes)
    gone, reclaimed = container_prune.prune(engine, filters)
    tell("Containers", gone)
    tell("Networks", network_removal.prune(engine, filters))
    if volumes:
        pruned = volume_remove.prune(engine, volume_listing.prune_test(filters, everything=False))
        reclaimed += pruned.reclaimed
        tell("Volumes", pruned.names)
    outcome = image_prune.prune(engine, filters, everything=everything)
    tell("Images", [f"{removal.kind.lower()}: {removal.what}" for removal in outcome.removals])
    if all(text.partition("=")[0] == "until" for text in filters):  # steps of builds have no labels
        records, freed = build_cache.prune(engine, filters, everything=everything)
        reclaimed += freed
        tell("build cache objects", [record.key[:25] for record in records])
    trash.empty(engine)
    return reclaimed + outcome.reclaimed
