"""What a project has in the store, found by labels alone: its containers, networks and volumes."""

from __future__ import annotations

from pod.core.compose import labels

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine


class Instance:
    """One container of a project, as the planner sees it."""

    __slots__ = (
        "created", "depends_on", "digest", "exit_code", "health", "id", "image", "name", "networks", "number",
        "oneoff", "replaces", "service", "staged", "status",
    )  # fmt: skip

    def __init__(self, name: str, service: str, number: int) -> None:
        self.name = name
        self.id = name
        self.service = service
        self.number = number
        self.oneoff = False
        self.digest = self.image = self.staged = self.replaces = self.created = self.health = ""
        self.depends_on = ""
        self.status = "running"
        self.exit_code = 0
        self.networks: tuple[str, ...] = ()

    @property
    def runs(self) -> bool:
        """Whether it has a supervisor: also while it is paused, or waits to be started again."""
        return self.status in ("running", "paused", "restarting")


class Existing:
    """All that is the project's: containers, names of networks and volumes by their keys; ``made`` by their names: what
    they are, in the words of the file.
    """

    __slots__ = ("instances", "made", "networks", "volumes")

    def __init__(self) -> None:
        self.instances: list[Instance] = []
        self.networks: dict[str, str] = {}
        self.volumes: dict[str, str] = {}
        self.made: dict[str, dict[str, Any]] = {}

    def of(self, service: str) -> list[Instance]:
        """The service's own ones, by their numbers; those of ``run`` aside."""
        found = [one for one in self.instances if one.service == service and not one.oneoff]
        return sorted(found, key=lambda one: (one.number, one.created))


def containers(engine: Engine, project: str) -> list[Container]:
    """The project's containers as they truly are, the newest first."""
    from pod.core.container import settling

    return [one for one in settling.settle_all(engine) if labels_of(one).get(labels.PROJECT) == project]


def labels_of(container: Container) -> dict[str, str]:
    return container.config["Config"].get("Labels") or {}


def find(engine: Engine, project: str) -> Existing:
    """What there is of the project of that name."""
    from pod.core.network import store as networks
    from pod.core.volume import store as volumes

    found = Existing()
    found.instances = [instance(one) for one in containers(engine, project)]
    for record in networks.list_records(engine):
        own = record.get("Labels") or {}
        if own.get(labels.PROJECT) == project:
            found.networks[own.get(labels.NETWORK, record["Name"])] = record["Name"]
            found.made[record["Name"]] = {
                "driver": record["Driver"],
                "driver_opts": dict(record.get("Options") or {}),
                "enable_ipv6": bool(record.get("EnableIPv6")),
                "internal": bool(record.get("Internal")),
            }
    for volume in volumes.list_all(engine):
        own = volume.labels
        if own.get(labels.PROJECT) == project:
            found.volumes[own.get(labels.VOLUME, volume.name)] = volume.name
            found.made[volume.name] = {"driver_opts": dict(volume.options)}
    return found


def instance(container: Container) -> Instance:
    """A container's record in the planner's words."""
    from pod.core.container import networks

    own = labels_of(container)
    number = own.get(labels.NUMBER, "")
    digits = number.isascii() and number.isdigit() and len(number) < 10
    one = Instance(container.name, own.get(labels.SERVICE, ""), int(number) if digits else 0)
    one.id = container.id
    one.oneoff = own.get(labels.ONEOFF, "").lower() == "true"
    one.digest, one.staged = own.get(labels.HASH, ""), own.get(labels.STAGED, "")
    one.replaces, one.depends_on = own.get(labels.REPLACES, ""), own.get(labels.DEPENDS_ON, "")
    one.created = str(container.config["Created"])
    one.image = container.config["Image"]
    one.status, one.exit_code = container.status, container.exit_code
    one.health = health_of(container)
    one.networks = tuple(networks.names(container))
    return one


def health_of(container: Container) -> str:
    """starting, healthy, unhealthy; "" where it has no check."""
    from pod.core.container import phase

    found: dict[str, Any] | None = phase.health(container)
    return str(found["Status"]) if found else ""


def services_of(found: Iterable[Instance]) -> dict[str, dict[str, Any]]:
    """A project known by its containers alone: each service with the dependencies that their labels tell."""
    services: dict[str, dict[str, Any]] = {}
    for one in found:
        if one.service:
            service = services.setdefault(one.service, {"depends_on": {}})
            service["depends_on"].update(labels.read_dependencies(one.depends_on))
    return services
