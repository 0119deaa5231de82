"""``container prune``: removes containers that do not run; moby daemon/prune.go (behaviour)."""

from __future__ import annotations

import time

from pod.core import events, moments
from pod.core.container import inspect, lifecycle, listing, settling
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pod.core.container.model import Container
    from pod.core.engine import Engine

FILTERS = ("label", "label!", "until")
STOPPED = ("created", "exited")


def check(filters: Sequence[str], now: float) -> Callable[[Container], bool]:
    """The test of one container. PodError for filters that mean nothing; before anybody is asked anything."""
    wanted = listing.read(filters, FILTERS)
    given, forbidden, until = wanted.get("label", []), wanted.get("label!", []), wanted.get("until", [])
    if len(until) > 1:
        raise PodError("more than one until filter specified", hint="give the earlier of them")
    limit = _moment(until[0], now) if until else None

    def test(one: Container) -> bool:
        if limit is not None and (moments.instant(one.config["Created"]) or 0) >= limit:
            return False
        has = listing.has_label
        return all(has(one, text) for text in given) and not any(has(one, text) for text in forbidden)

    return test


def _moment(text: str, now: float) -> int:
    from pod.core.image import filters

    return filters.moment(text, now)


def prune(engine: Engine, filters: Sequence[str] = ()) -> tuple[list[str], int]:
    """Removes what the filters let through; the ids, and the bytes that these containers had written.

    One that somebody starts or removes meanwhile is left to them.
    """
    test = check(filters, time.time())
    gone: list[str] = []
    freed = 0
    for container in settling.settle_all(engine):
        if container.status not in STOPPED or not test(container):
            continue
        written = inspect.sizes(engine, container)[0]
        try:
            lifecycle.remove(engine, container, force=False, volumes=False)
        except PodError as error:
            engine.progress("warning", {"text": error.message})
            continue
        gone.append(container.id)
        freed += written
    events.emit(engine, "container", "prune", "", {"reclaimed": str(freed)})
    return gone, freed
