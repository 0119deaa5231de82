"""``builder du`` and ``builder prune``: what the cache of builds holds, and which of it goes.

A record whose layer an image has too is shared: it takes no room of its own. ``prune`` takes those that are not, with
``everything`` all of them, the least recently used first.
"""

from __future__ import annotations

import time

from pod.core import moments
from pod.core.builder import cache
from pod.core.errors import PodError
from pod.core.image import built_layers, filters, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    from pod.core.builder.cache import Record
    from pod.core.engine import Engine

FILTERS = ("description", "id", "inuse", "private", "shared", "unused-for", "until")


class Use:
    """One record; ``layer`` as in an image's record or None, ``shared``: an image has it, too."""

    __slots__ = ("layer", "record", "shared")

    def __init__(self, record: Record, layer: dict[str, Any] | None, *, shared: bool) -> None:
        self.record = record
        self.layer = layer
        self.shared = shared


def uses(engine: Engine, given: Sequence[str] = ()) -> list[Use]:
    """The records that the filters let through, the one used last first. PodError for a filter that is none."""
    tests = _tests(given)
    have = {layer["digest"] for image in store.list_images(engine) for layer in image.record["layers"]}
    found = []
    for record in cache.records(engine):
        known = built_layers.read(engine, record.key)
        layer = known["layer"] if known is not None else None
        use = Use(record, layer, shared=layer is not None and layer["digest"] in have)
        if all(test(use) for test in tests):
            found.append(use)
    return found


def check(given: Sequence[str]) -> None:
    """PodError for filters that :func:`prune` would not take; before anybody is asked anything."""
    _tests(given)


def prune(
    engine: Engine, given: Sequence[str] = (), *, everything: bool = False, keep: int = 0
) -> tuple[list[Record], int]:
    """Removes records; those that went, and the bytes that are free again. ``keep``: bytes of private layers that may
    stay; then no more goes than has to.
    """
    chosen = [use for use in uses(engine, given) if everything or not use.shared]
    left = sum(use.record.size for use in uses(engine) if not use.shared)
    doomed = []
    for use in reversed(chosen):  # the least recently used first
        if keep and left <= keep:
            break
        doomed.append(use.record)
        left -= 0 if use.shared else use.record.size
    return doomed, cache.remove(engine, [record.key for record in doomed]) if doomed else 0


def _tests(given: Sequence[str]) -> list[Callable[[Use], bool]]:
    """What each filter asks. Values of one name: one must hold, but for times, of which the earliest counts."""
    wanted = filters.read(given, FILTERS)
    now = time.time()
    tests: list[Callable[[Use], bool]] = []
    limits = [_moment(text, now) for name in ("until", "unused-for") for text in wanted.get(name, [])]
    if limits:
        limit = min(limits)
        tests.append(lambda use: use.record.used < limit)
    for name in ("inuse", "shared", "private"):
        truth = filters.truth(wanted, name)
        if truth is not None:
            tests.append(_truth(name, truth))
    if "id" in wanted:
        tests.append(lambda use: any(text and use.record.key.startswith(text) for text in wanted["id"]))
    if "description" in wanted:
        tests.append(lambda use: any(text in use.record.description for text in wanted["description"]))
    return tests


def _truth(name: str, truth: bool) -> Callable[[Use], bool]:
    if name == "inuse":
        return lambda use: not truth  # no record is held: a build that uses one keeps its layer by itself
    return lambda use: use.shared == (truth == (name == "shared"))


def _moment(text: str, now: float) -> float:
    try:
        return moments.parse(text, now) / moments.SECOND
    except (PodError, ValueError):
        raise PodError(f"invalid filter 'until={text}'", hint="a time, or a duration before now such as 24h") from None
