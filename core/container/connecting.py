"""``network connect`` and ``disconnect``: of what runs at once, of what does not from its next start on.

A running container is changed first, then its record (changes.json), both under its lock: killed in between, the same
command does the rest.
"""

from __future__ import annotations

from pod.core import events, rundir
from pod.core.container import changes, lifecycle, networks
from pod.core.errors import Conflict, NoSuchNetwork
from pod.core.network import endpoints, records, store, wire

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine

_HOST = "container cannot be disconnected from host network or connected to host network"
_NONE = "container cannot be connected to multiple networks with one of the networks in private (none) mode"
_SHARED = "container sharing network namespace with another container or host cannot be connected to any other network"


def connect(engine: Engine, text: str, container: Container, asked: dict[str, Any]) -> None:
    """Puts the container on the network ``text``, with what endpoints.settings read. Conflict, PodError in Docker's
    words where that cannot be; then nothing has changed.
    """
    record = store.find(engine, text)
    name = record["Name"]
    _check_modes(container, name)
    endpoints.check(record, asked)
    with rundir.container_lock(engine, container.id):
        container = lifecycle.read_again(engine, container)
        own = dict(wire.networks_of(container.config))
        live = name in networks.ends(container)
        if container.is_running and live and name in own:
            raise Conflict(
                f"endpoint with name {container.name} already exists in network {name}",
                hint=f"to change what it has there: pod network disconnect {name} {container.name}",
            )
        if len(own) >= endpoints.MOST_NETWORKS and name not in own:
            raise Conflict(f"too many networks: at most {endpoints.MOST_NETWORKS}")
        own[name] = asked
        _apply(engine, container, own, lambda: _join(engine, container, record, asked, live=live))
    tell(engine, "connect", record, container)


def _join(engine: Engine, container: Container, record: dict[str, Any], asked: dict[str, Any], *, live: bool) -> None:
    from pod.core.container import networking

    if not live and record["Driver"] != "null":
        networking.connect(engine, container, wire.interface(engine, record, asked))


def disconnect(engine: Engine, text: str, container: Container, *, force: bool = False) -> None:
    """Takes the container off the network; with ``force`` also off one that is gone."""
    try:
        record = store.find(engine, text)
    except NoSuchNetwork:
        if not force or text not in networks.names(container):
            raise
        record = records.blank(text, networks.ends(container).get(text, {}).get("NetworkID", ""))
    name = record["Name"]
    _check_modes(container, name, leaving=True)
    with rundir.container_lock(engine, container.id):
        container = lifecycle.read_again(engine, container)
        own = dict(wire.networks_of(container.config))
        live = name in networks.ends(container)
        if name not in own and not live:
            raise Conflict(f"container {container.id} is not connected to network {name}")
        own.pop(name, None)
        _apply(engine, container, own, lambda: _leave(engine, container, record, live=live))
    tell(engine, "disconnect", record, container)


def _leave(engine: Engine, container: Container, record: dict[str, Any], *, live: bool) -> None:
    from pod.core.container import networking

    if live:
        networking.disconnect(engine, container, record["Id"])


def _check_modes(container: Container, name: str, *, leaving: bool = False) -> None:
    mode = container.config["HostConfig"]["NetworkMode"]
    if mode.startswith("container:"):
        raise Conflict(_SHARED)
    if "host" in (mode, name):
        raise Conflict(_HOST)
    if "none" in (mode, name) and not leaving:
        raise Conflict(_NONE)


def _apply(engine: Engine, container: Container, own: dict[str, Any], live: Callable[[], None]) -> None:
    """Carries a change out in the container, where it runs, and writes down which networks it has from now on."""
    before = dict(container.config)
    if container.is_running:
        live()
    changes.write(container, "Networks", own)
    container.config["Networks"] = own
    if container.is_running:
        from pod.core.container import networking

        networking.renew_resolv_conf(engine, container, before)


def tell(engine: Engine, action: str, record: dict[str, Any], container: Container) -> None:
    """The event of a network."""
    attributes = {"container": container.id, "name": record["Name"], "type": record["Driver"]}
    events.emit(engine, "network", action, record["Id"], attributes)
