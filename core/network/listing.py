"""--filter of ``network ls`` and ``network prune``: Docker's names and rules (moby daemon/network/filter.go). Pure."""

from __future__ import annotations

from pod.core.errors import PodError
from pod.core.image.filters import moment, read, truth

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Test = Callable[[dict[str, Any]], bool]

LIST_FILTERS = ("dangling", "driver", "id", "label", "name", "scope", "type")
PRUNE_FILTERS = ("label", "label!", "until")
BUILTIN = ("bridge", "host", "none")


def list_test(filters: Sequence[str], used: Callable[[], set[str]]) -> Test:
    """Which networks ``ls`` shows; ``used`` are the names of those that a container has, asked for where it matters.

    PodError for a filter that means nothing.
    """
    wanted = read(filters, LIST_FILTERS)
    tests: list[Test] = [_labels(wanted), _kinds(wanted)]
    for name in ("driver", "scope"):
        if name in wanted:
            tests.append(_exact(name.capitalize(), wanted[name]))
    if "id" in wanted:
        tests.append(_ids(wanted["id"]))
    if "name" in wanted:
        tests.append(_names(wanted["name"]))
    dangling = truth(wanted, "dangling")
    if dangling is not None:
        taken = used() | set(BUILTIN)
        tests.append(lambda record: (record["Name"] in taken) != dangling)
    return lambda record: all(test(record) for test in tests)


def _exact(member: str, values: list[str]) -> Test:
    return lambda record: record[member] in values


def _ids(values: list[str]) -> Test:
    return lambda record: any(value in record["Id"] for value in values)


def _names(values: list[str]) -> Test:
    import re

    try:
        patterns = [re.compile(value) for value in values]
    except (re.error, OverflowError, RecursionError) as error:
        raise PodError(f"invalid filter 'name={values[0]}': {error}", hint="it is a regular expression") from None
    return lambda record: any(pattern.search(record["Name"]) for pattern in patterns)


def _kinds(wanted: dict[str, list[str]]) -> Test:
    for value in wanted.get("type", ()):
        if value not in ("builtin", "custom"):
            raise PodError(f"invalid filter: 'type'='{value}'", hint="builtin or custom")
    kinds = wanted.get("type") or ["builtin", "custom"]
    return lambda record: ("builtin" if record["Name"] in BUILTIN else "custom") in kinds


def _labels(wanted: dict[str, list[str]]) -> Test:
    def has(record: dict[str, Any], text: str) -> bool:
        key, equals, value = text.partition("=")
        labels = record["Labels"] or {}
        return key in labels and (not equals or labels[key] == value)

    given, forbidden = wanted.get("label", ()), wanted.get("label!", ())
    return lambda one: all(has(one, text) for text in given) and not any(has(one, text) for text in forbidden)


def prune_test(filters: Sequence[str], now: float) -> Test:
    """Which networks ``prune`` may take; ``now`` in seconds since 1970. PodError for a filter that means nothing."""
    from pod.core import moments

    wanted = read(filters, PRUNE_FILTERS)
    until = wanted.get("until", [])
    if len(until) > 1:
        raise PodError("more than one until filter specified", hint="give the earlier of them")
    limit = moment(until[0], now) if until else None
    labelled = _labels(wanted)

    def test(record: dict[str, Any]) -> bool:
        young = limit is not None and (moments.instant(record["Created"]) or 0) >= limit
        return record["Name"] not in BUILTIN and not young and labelled(record)

    return test
