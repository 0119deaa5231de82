"""Networks, volumes and images of a project: made as declared, looked for, taken away."""

from __future__ import annotations

from pod.core.compose import labels
from pod.core.errors import Conflict, HostUnsupported, NoSuchImage, NoSuchNetwork, NoSuchVolume, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.compose.project import Project
    from pod.core.engine import Engine


def _own(project: Project, kind: str, key: str, declared: Mapping[str, Any]) -> dict[str, str]:
    given = declared.get("labels") or {}
    found = {str(name): "" if value is None else str(value) for name, value in given.items()}
    found.update({kind: key, labels.PROJECT: project.name, labels.VERSION: labels.COMPOSE_VERSION})
    return found


def make_network(engine: Engine, project: Project, key: str, name: str) -> None:
    """PodError where there is one of that name that is not this project's."""
    from pod.core.network import create, store
    from pod.core.network.options import Asked

    declared = project.networks.get(key) or {}
    asked = Asked(name)
    asked.driver = declared.get("driver") or "bridge"
    asked.options = {str(one): str(value) for one, value in (declared.get("driver_opts") or {}).items()}
    asked.labels = _own(project, labels.NETWORK, key, declared)
    asked.internal, asked.attachable = bool(declared.get("internal")), bool(declared.get("attachable"))
    asked.ipv6 = bool(declared.get("enable_ipv6"))
    asked.ipv4 = declared.get("enable_ipv4", True) is not False
    _addresses(asked, declared.get("ipam") or {}, name)
    if store.named(engine, name):
        try:
            _check_owner(store.find(engine, name), project, name)
            return
        except NoSuchNetwork:
            pass  # its maker or its remover was killed between two steps: who creates it takes the name over
    try:
        create.create(engine, asked)
    except PodError as error:
        raise type(error)(f"network {name}: {error.message}", hint=error.hint) from None


def _check_owner(record: dict[str, Any], project: Project, name: str) -> None:
    owner = (record.get("Labels") or {}).get(labels.PROJECT, "")
    if owner != project.name:
        raise Conflict(
            f'a network with name {name} exists but was not created for project "{project.name}".',
            hint=f"set 'external: true' to use it, or remove it: pod network rm {name}",
        )


def _addresses(asked: Any, ipam: Mapping[str, Any], name: str) -> None:
    if (ipam.get("driver") or "default") != "default":
        raise HostUnsupported(f"network {name}: ipam driver {ipam['driver']}: pod has no plugins", hint="leave it out")
    asked.ipam_options = dict(ipam.get("options") or {})
    for pool in ipam.get("config") or []:
        asked.subnets += [pool["subnet"]] if pool.get("subnet") else []
        asked.ranges += [pool["ip_range"]] if pool.get("ip_range") else []
        asked.gateways += [pool["gateway"]] if pool.get("gateway") else []
        asked.aux.update(pool.get("aux_addresses") or {})


def make_volume(engine: Engine, project: Project, key: str, name: str) -> None:
    """One of that name that is there is used, as Docker does; somebody else's with a warning."""
    from pod.core.volume import store

    declared = project.volumes.get(key) or {}
    store.check_driver(declared.get("driver") or "local")
    options = {str(one): str(value) for one, value in (declared.get("driver_opts") or {}).items()}
    volume = store.create(engine, name, options=options, labels=_own(project, labels.VOLUME, key, declared))
    if volume.labels.get(labels.PROJECT) != project.name:
        text = (
            f'volume "{name}" already exists but was not created by Docker Compose. Use `external: true` to use an '
            "existing volume"
        )
        engine.progress("warning", {"text": text})


def check_external(engine: Engine, what: str, key: str, name: str) -> None:
    """PodError in Docker's words where there is none."""
    from pod.core.network import store as networks
    from pod.core.volume import store as volumes

    try:
        if what == "network":
            networks.find(engine, name)
        else:
            volumes.find(engine, name)
    except NoSuchNetwork:
        raise NoSuchNetwork(
            f"network {name} declared as external, but could not be found", hint=f"make it: pod network create {name}"
        ) from None
    except NoSuchVolume:
        raise NoSuchVolume(f'external volume "{name}" not found', hint=f"make it: pod volume create {name}") from None


def sweep_volumes(engine: Engine, project: str) -> None:
    """Takes away the project's anonymous volumes that no container has: those of commands that were killed."""
    from pod.core.volume import remove, store

    for volume in store.list_all(engine):
        if volume.labels.get(labels.OWNER) == project:
            try:
                remove.remove(engine, volume.name, force=False)
            except (Conflict, NoSuchVolume):
                continue


def remove_image(engine: Engine, name: str) -> None:
    """One that is in use stays."""
    from pod.core.container import model
    from pod.core.image import remove

    def runs(container_id: str) -> bool:
        try:
            return model.read(engine, container_id).is_running
        except FileNotFoundError:
            return False

    try:
        remove.remove(engine, name, force=False, is_running=runs, later=True)
    except (NoSuchImage, Conflict):
        return
