"""The plan of ``up``, ``create``, ``start`` and ``scale``: from what is wanted and what is there. Pure.

A container is kept where its label says the digest of the service as it is now, its image is the one that the name
leads to, and it is on the networks that the service names. Else it is made anew beside the old one, which ends only
then: killed in between there are two of one number, and the next plan keeps the better one.
"""

from __future__ import annotations

from pod.core.compose import labels, order
from pod.core.compose.plan import Action, Plan
from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from pod.core.compose.existing import Existing, Instance
    from pod.core.compose.project import Project

    Service = Mapping[str, Any]

MOST_CONTAINERS = 1000
"""Of one service."""


class Target:
    """What a service is to be: how many containers, and by what one is known to be as wanted."""

    __slots__ = ("digest", "image", "name", "networks", "scale", "service", "staged")

    def __init__(self, name: str, service: Service, scale: int) -> None:
        self.name = name
        self.service = service
        self.scale = scale
        self.digest = self.image = self.staged = ""
        self.networks: tuple[str, ...] = ()


class Choices:
    """The flags of ``up``. ``recreate`` and ``recreate_deps``: diverged, force or never."""

    __slots__ = (
        "ignore_orphans",
        "recreate",
        "recreate_deps",
        "remove_orphans",
        "renew",
        "selected",
        "start",
        "timeout",
        "wait",
    )

    def __init__(self) -> None:
        self.recreate = self.recreate_deps = "diverged"
        self.remove_orphans = self.ignore_orphans = self.renew = self.wait = False
        self.start = True
        self.selected: set[str] = set()
        self.timeout: int | None = None


def scale_of(service: Service) -> int:
    """Replicas: ``scale``, else deploy.replicas; one a service of mode "global"."""
    deploy = service.get("deploy") or {}
    if deploy.get("mode") in ("global", "global-job"):
        return 1
    found = service.get("scale")
    if found is None:
        found = deploy.get("replicas")
    return 1 if found is None else int(found)


def plan_up(project: Project, targets: Iterable[Target], existing: Existing, choices: Choices) -> Plan:
    """Networks and volumes first, then service by service in the order of their needs."""
    return _Maker(project, {one.name: one for one in targets}, existing, choices).make()


class _Maker:
    def __init__(self, project: Project, targets: dict[str, Target], existing: Existing, choices: Choices) -> None:
        self.project = project
        self.targets = targets
        self.existing = existing
        self.choices = choices
        self.plan = Plan()
        self.base: list[int] = []  # networks and volumes
        self.ready: dict[str, list[int]] = {}  # by service: after these its containers run
        self.there: dict[str, list[int]] = {}  # by service: after these its containers exist
        self.replaced: dict[str, list[int]] = {}  # by service: its actions that make containers anew
        self.names: dict[str, list[str]] = {}
        self.waits: dict[tuple[str, str, bool], int] = {}

    def make(self) -> Plan:
        services = {name: target.service for name, target in self.targets.items()}
        self._resources()
        self._orphans()
        for name in order.sort(services):
            self._service(self.targets[name])
        if self.choices.wait:
            for name in self.targets:
                self._wait(name, "running_or_healthy", required=True)
        return self.plan

    # ---- what containers stand on

    def _resources(self) -> None:
        networks = {key for one in self.targets.values() for key in one.networks}
        for kind, wanted, declared, there in (
            ("network", networks, self.project.networks, self.existing.networks),
            ("volume", self._volumes(), self.project.volumes, self.existing.volumes),
        ):
            for key in sorted(wanted):
                document = declared.get(key) or {}
                name = str(document.get("name") or f"{self.project.name}_{key}")
                if document.get("external"):
                    self.base.append(self.plan.add(Action("external", name, key=key, what=kind)))
                elif there.get(key) != name:
                    self.base.append(self.plan.add(Action(kind, name, key=key)))
                else:
                    self._compare(kind, name, document)

    def _compare(self, kind: str, name: str, document: Mapping[str, Any]) -> None:
        """One that is there stays as it was made, as with Docker; here that is told."""
        options = document.get("driver_opts") or {}
        wanted = {
            "driver": document.get("driver") or "bridge",
            "driver_opts": {str(key): str(value) for key, value in options.items()},
            "enable_ipv6": bool(document.get("enable_ipv6")),
            "internal": bool(document.get("internal")),
        }
        made = self.existing.made.get(name, {})
        other = [key for key in wanted if key in made and made[key] != wanted[key]]
        if other:
            again = "'pod compose down', then 'up', makes it anew" if kind == "network" else "it is not made anew"
            keys = ", ".join(other)
            self.plan.warnings.append(f"{kind} {name} is there, with another {keys} than the file's: {again}")

    def _volumes(self) -> set[str]:
        found = set()
        for target in self.targets.values():
            for entry in target.service.get("volumes") or []:
                if entry.get("type") == "volume" and entry.get("source") in self.project.volumes:
                    found.add(entry["source"])
        return found

    def _orphans(self) -> None:
        known = {*self.project.services, *self.project.disabled}
        orphans = [one for one in self.existing.instances if one.service not in known and not one.oneoff]
        if not orphans:
            return
        if self.choices.remove_orphans:
            for one in orphans:
                self.plan.add(Action("end", one.name, one.service, id=one.id, timeout=self.choices.timeout))
        elif not self.choices.ignore_orphans:
            self.plan.warnings.append(
                f"Found orphan containers ([{' '.join(one.name for one in orphans)}]) for this project. If you removed "
                "or renamed this service in your compose file, you can run this command with the --remove-orphans "
                "flag to clean it up."
            )

    # ---- one service

    def _service(self, target: Target) -> None:
        name = target.name
        given = target.service.get("container_name")
        if target.scale > MOST_CONTAINERS:
            raise UsageError(f"service {name}: scale {target.scale}: at most {MOST_CONTAINERS} containers of a service")
        if given and target.scale > 1:
            raise PodError(
                f'The "{name}" service is using the custom container name "{given}". Docker requires each container '
                "to have a unique name. Remove the custom name to scale the service",
                hint=f"leave out container_name, or scale and deploy.replicas of {name}",
            )
        kept, surplus = self._survivors(target)
        self.ready[name], self.there[name], self.names[name] = [], [], []
        gone = [
            self.plan.add(Action("end", one.name, name, one.number, id=one.id, timeout=self.choices.timeout))
            for one in surplus
        ]
        doubles = gone if any(one.number == other.number for one in surplus for other in kept) else []
        must = any(other in self.replaced for other in order.shared(target.service))
        bounce = [other for other in self._needs(target) if other in self.replaced and self._restarts(target, other)]
        rolling: list[int] = []
        for one in kept:
            self._present(target, one, doubles, rolling, must=must, bounce=bounce)
        last = max([one.number for one in [*kept, *surplus]], default=0)
        for number in range(last + 1, last + 1 + target.scale - len(kept)):
            self._absent(target, number)

    def _survivors(self, target: Target) -> tuple[list[Instance], list[Instance]]:
        """(those that stay or are made anew, those that go). Of several of one number the one that is as wanted."""
        by_number: dict[int, list[Instance]] = {}
        for one in self.existing.of(target.name):
            by_number.setdefault(one.number, []).append(one)
        kept: list[Instance] = []
        surplus: list[Instance] = []
        for number in sorted(by_number):
            same = sorted(by_number[number], key=lambda one: (not self._differs(target, one), one.created))
            surplus += same[:-1]
            (kept if len(kept) < target.scale else surplus).append(same[-1])
        return kept, surplus

    def _differs(self, target: Target, one: Instance) -> bool:
        if one.digest != target.digest or one.staged != target.staged:
            return True
        if target.image and one.image != target.image:
            return True
        wanted = {self._network(key) for key in target.networks}
        return bool(wanted) and not wanted.issubset(one.networks)

    def _network(self, key: str) -> str:
        declared = self.project.networks.get(key) or {}
        return str(declared.get("name") or f"{self.project.name}_{key}")

    def _needs(self, target: Target) -> dict[str, dict[str, Any]]:
        return {name: how for name, how in order.needs(target.service).items() if name in self.targets}

    def _restarts(self, target: Target, other: str) -> bool:
        return bool((target.service.get("depends_on") or {}).get(other, {}).get("restart"))

    def _strategy(self, target: Target) -> str:
        chosen = target.name in self.choices.selected
        return self.choices.recreate if chosen else self.choices.recreate_deps

    def _present(
        self,
        target: Target,
        one: Instance,
        doubles: list[int],
        rolling: list[int],
        *,
        must: bool,
        bounce: list[str],
    ) -> None:
        """``doubles``: ends of others of its number, who have its name."""
        name = labels.container_name(self.project.name, target.name, one.number, target.service.get("container_name"))
        self.names[target.name].append(name)
        strategy = self._strategy(target)
        anew = must or strategy == "force" or (strategy == "diverged" and self._differs(target, one))
        if anew and strategy != "never":
            self._replace(target, one, name, doubles, rolling)
            return
        before: list[int] = []
        if one.name != name:
            action = Action("rename", one.name, target.name, one.number, id=one.id, to=name)
            before.append(self.plan.add(action, doubles))
        self.there[target.name] += before
        if bounce and one.runs:
            stop = self.plan.add(Action("stop", name, target.name, one.number, timeout=self.choices.timeout), before)
            for other in bounce:
                for position in self.replaced[other]:
                    self.plan.actions[position].needs.add(stop)
            self._start(target, one.number, name, [*before, stop])
        elif one.runs or one.status == "elsewhere":
            self.ready[target.name].append(self.plan.add(Action("keep", name, target.name, one.number), before))
        else:
            self._start(target, one.number, name, before)

    def _replace(self, target: Target, one: Instance, name: str, doubles: list[int], rolling: list[int]) -> None:
        update = (target.service.get("deploy") or {}).get("update_config")
        needs = [*self.base, *self._shared(target), *doubles]
        data: dict[str, Any] = {"old": one.id, "renew": self.choices.renew, "timeout": self.choices.timeout}
        if update:
            parallel = int(update.get("parallelism", 1) or 0)
            if parallel and len(rolling) >= parallel:
                needs.append(self._serves(target, rolling[-parallel]))
                data["delay"] = str(update.get("delay") or "")
        made = self.plan.add(Action("recreate", name, target.name, one.number, **data), needs)
        self.replaced.setdefault(target.name, []).append(made)
        self.there[target.name].append(made)
        if one.runs or self.choices.start:
            self._start(target, one.number, name, [made], forced=True)
            rolling.append(self.ready[target.name][-1])

    def _serves(self, target: Target, started: int) -> int:
        """After this the container of that start does what it is for: the next one may go."""
        names = (self.plan.actions[started].name,)
        action = Action("wait", target.name, target.name, condition="updated", required=True, names=names)
        return self.plan.add(action, [started])

    def _absent(self, target: Target, number: int) -> None:
        name = labels.container_name(self.project.name, target.name, number, target.service.get("container_name"))
        self.names[target.name].append(name)
        made = self.plan.add(Action("create", name, target.name, number), [*self.base, *self._shared(target)])
        self.there[target.name].append(made)
        self._start(target, number, name, [made])

    def _shared(self, target: Target) -> list[int]:
        """Containers whose namespaces or volumes it takes are there before it is made."""
        return [one for other in order.shared(target.service) for one in self.there.get(other, [])]

    def _start(self, target: Target, number: int, name: str, before: list[int], *, forced: bool = False) -> None:
        if not self.choices.start and not forced:
            return
        needs = list(before)
        for other, how in self._needs(target).items():
            condition = how["condition"]
            if condition == "service_started":
                needs += self.ready[other]
            else:
                needs.append(self._wait(other, condition, required=how["required"]))
        self.ready[target.name].append(self.plan.add(Action("start", name, target.name, number), needs))

    def _wait(self, service: str, condition: str, *, required: bool) -> int:
        key = (service, condition, required)
        if key not in self.waits:
            action = Action(
                "wait", service, service, condition=condition, required=required, names=tuple(self.names[service])
            )
            self.waits[key] = self.plan.add(action, self.ready[service])
        return self.waits[key]
