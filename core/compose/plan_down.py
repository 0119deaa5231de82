"""The plans of ``down``, ``stop``, ``rm``, ``kill`` and ``restart``: in the reverse order of needs. Pure."""

from __future__ import annotations

from pod.core.compose import order
from pod.core.compose.plan import Action, Plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from typing import Any

    from pod.core.compose.existing import Existing, Instance

    Services = Mapping[str, Mapping[str, Any]]


class Removal:
    """The flags of ``down``; ``images`` are those that go with it, ``networks`` and ``volumes`` the project's, by name.

    ``timeout`` None: each container's own.
    """

    __slots__ = ("anonymous", "images", "networks", "timeout", "volumes")

    def __init__(self) -> None:
        self.timeout: int | None = None
        self.anonymous = False
        self.images: list[str] = []
        self.networks: list[str] = []
        self.volumes: list[str] = []


def plan_down(services: Services, instances: Iterable[Instance], removal: Removal) -> Plan:
    """Containers by the reverse order of needs, then what they stood on."""
    plan = Plan()
    last = _reverse(plan, services, list(instances), lambda one: _end(one, removal))
    for kind, names in (
        ("rmnetwork", removal.networks),
        ("rmvolume", removal.volumes),
        ("rmimage", removal.images),
    ):
        for name in names:
            plan.add(Action(kind, name), last)
    return plan


def _end(one: Instance, removal: Removal) -> Action:
    kind = "end" if one.runs else "remove"
    return Action(
        kind, one.name, one.service, one.number, id=one.id, timeout=removal.timeout, anonymous=removal.anonymous
    )


def plan_stop(services: Services, instances: Iterable[Instance], timeout: int | None) -> Plan:
    """Those that run, each after those that need it."""
    plan = Plan()
    running = [one for one in instances if one.runs]
    _reverse(plan, services, running, lambda one: Action("stop", one.name, one.service, one.number, id=one.id,
                                                         timeout=timeout))  # fmt: skip
    return plan


def plan_each(kind: str, instances: Iterable[Instance], **data: Any) -> Plan:
    """One action of that kind for each, all at once."""
    plan = Plan()
    for one in instances:
        plan.add(Action(kind, one.name, one.service, one.number, id=one.id, **data))
    return plan


def plan_start(services: Services, existing: Existing, wanted: Iterable[str]) -> Plan:
    """What is there and does not run is started, in the order of needs."""
    plan = Plan()
    ready: dict[str, list[int]] = {}
    names: dict[str, tuple[str, ...]] = {}
    chosen = set(wanted)
    kept = {name: service for name, service in services.items() if name in chosen}
    for name in order.sort(kept):
        instances = existing.of(name)
        names[name] = tuple(one.name for one in instances)
        before: list[int] = []
        idle = [one for one in instances if not one.runs]
        for other, how in order.needs(kept[name]).items() if idle else ():
            if other not in kept:
                continue
            condition = how["condition"]
            if condition == "service_started":
                before += ready[other]
            else:
                action = Action("wait", other, other, condition=condition, required=how["required"],
                                names=names[other])  # fmt: skip
                before.append(plan.add(action, ready[other]))
        ready[name] = [plan.add(Action("start", one.name, name, one.number, id=one.id), before) for one in idle]
    return plan


def plan_restart(services: Services, instances: Iterable[Instance], timeout: int | None) -> Plan:
    """In the order of needs."""
    plan = Plan()
    done: dict[str, list[int]] = {}
    found = list(instances)
    by_service: dict[str, list[Instance]] = {}
    for one in found:
        by_service.setdefault(one.service, []).append(one)
    kept = {name: services.get(name, {}) for name in by_service}
    for name in order.sort(kept):
        before = [position for other in order.needs(kept[name]) for position in done.get(other, [])]
        done[name] = [
            plan.add(Action("restart", one.name, name, one.number, id=one.id, timeout=timeout), before)
            for one in by_service[name]
        ]
    return plan


def _reverse(plan: Plan, services: Services, instances: list[Instance], make: Callable[[Instance], Action]) -> set[int]:
    """Adds an action for each, after those of what needs it; the positions of all."""
    dependents = order.reverse(services)
    by_service: dict[str, list[Instance]] = {}
    for one in instances:
        by_service.setdefault(one.service, []).append(one)
    positions: dict[str, list[int]] = {}
    found: set[int] = set()
    for name in [*reversed(order.sort(services)), *(one for one in by_service if one not in services)]:
        before = [position for other in dependents.get(name, ()) for position in positions.get(other, [])]
        if not by_service.get(name):
            positions[name] = before  # what stands behind it still comes first
            continue
        positions[name] = [plan.add(make(one), before) for one in by_service[name]]
        found.update(positions[name])
    return found
