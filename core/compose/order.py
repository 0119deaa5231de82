"""Which service comes before which: depends_on and what else makes one need another. Pure."""

from __future__ import annotations

from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    Services = Mapping[str, Mapping[str, Any]]


def shared(service: Mapping[str, Any]) -> list[str]:
    """The services whose namespaces or volumes it takes: their containers have to be there first."""
    found = []
    for key in ("network_mode", "ipc", "pid"):
        kind, _, name = str(service.get(key) or "").partition(":")
        if kind == "service" and name:
            found.append(name)
    for text in service.get("volumes_from") or []:
        name = text.partition(":")[0]
        if name != "container":
            found.append(name)
    return found


def linked(service: Mapping[str, Any]) -> list[str]:
    """The services of its links."""
    return [text.partition(":")[0] for text in service.get("links") or []]


def needs(service: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """Every service that comes before it, and how: condition, restart, required."""
    found = {}
    for name in (*shared(service), *linked(service)):
        found[name] = {"condition": "service_started", "restart": name in shared(service), "required": True}
    for name, asked in (service.get("depends_on") or {}).items():
        found[name] = {
            "condition": asked.get("condition", "service_started"),
            "restart": bool(asked.get("restart")),
            "required": asked.get("required", True),
        }
    return found


def closure(services: Services, wanted: Iterable[str]) -> set[str]:
    """``wanted`` and all that they need, as far as the project has it."""
    found: set[str] = set()
    todo = list(wanted)
    while todo:
        name = todo.pop()
        if name in found or name not in services:
            continue
        found.add(name)
        todo += needs(services[name])
    return found


def sort(services: Services) -> list[str]:
    """All names, each after those that it needs; else in the order of names. PodError names a cycle."""
    before = {name: [one for one in needs(service) if one in services] for name, service in services.items()}
    done: dict[str, None] = {}
    for start in sorted(services):
        way: list[tuple[str, list[str]]] = [(start, sorted(before[start], reverse=True))]
        on_way = {start: None}
        while way:
            name, left = way[-1]
            if name in done or not left:
                done[name] = None
                on_way.pop(name, None)
                way.pop()
                continue
            after = left.pop()
            if after in on_way:
                cycle = [*on_way, after]
                raise PodError(f"dependency cycle detected: {' -> '.join(cycle[cycle.index(after) :])}")
            if after not in done:
                on_way[after] = None
                way.append((after, sorted(before[after], reverse=True)))
    return list(done)


def reverse(services: Services) -> dict[str, set[str]]:
    """For each name the services that need it."""
    found: dict[str, set[str]] = {name: set() for name in services}
    for name, service in services.items():
        for other in needs(service):
            found.setdefault(other, set()).add(name)
    return found
