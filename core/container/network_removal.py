"""``network rm`` and ``network prune``.

Nobody holds a lock over both a start and a removal: who starts a container holds that container's lock from before it
reads the network's record until the container is said to run. So who removes a network takes its record away, and then
looks at each container that names it, with the container's lock: what runs by then gets its network back.
"""

from __future__ import annotations

import time

from pod.core import events, rundir
from pod.core.container import model, networks
from pod.core.errors import Busy, Conflict
from pod.core.network import listing, store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine

_PATIENCE = 5.0
"""Seconds that a container's starter may take before it counts as one that runs."""


def remove(engine: Engine, text: str) -> str:
    """Removes a network; its name. Conflict in Docker's words where containers run on it, NoSuchNetwork."""
    record = store.find(engine, text)
    name = str(record["Name"])
    if name in listing.BUILTIN:
        raise Conflict(f"{name} is a pre-defined network and cannot be removed")
    containers = [one for one in model.list_all(engine) if name in networks.names(one)]
    _check(record, [one for one in containers if one.is_running])
    with store.lock(engine):
        store.take_away(engine, record)
        busy = [one for one in containers if _runs_now(engine, one)]
        if busy:
            store.put_back(engine, record)
    _check(record, busy)
    events.emit(engine, "network", "destroy", record["Id"], {"name": name, "type": record["Driver"]})
    return name


def _check(record: dict[str, Any], running: list[Container]) -> None:
    if running:
        shown = ", ".join(f'name:"{one.name}" id:"{one.id[:12]}"' for one in running)
        name = record["Name"]
        raise Conflict(
            f"error while removing network: network {name} has active endpoints ({shown})",
            hint=f"stop them, or: pod network disconnect {name} {running[0].name}",
        )


def _runs_now(engine: Engine, container: Container) -> bool:
    try:
        with rundir.container_lock(engine, container.id, _PATIENCE):
            return model.read(engine, container.id).is_running
    except FileNotFoundError:
        return False
    except Busy:
        return True


def used(engine: Engine) -> set[str]:
    """Names of the networks that some container has, running or not."""
    return {name for one in model.list_all(engine) for name in networks.names(one)}


def prune(engine: Engine, filters: Sequence[str] = ()) -> list[str]:
    """Removes the networks that no container has, as far as the filters let them through; their names."""
    test = listing.prune_test(filters, time.time())
    taken = used(engine)
    gone = []
    for record in store.list_all(engine):
        if record["Name"] in taken or not test(record):
            continue
        try:
            gone.append(remove(engine, record["Id"]))
        except Conflict:
            continue  # taken meanwhile
    events.emit(engine, "network", "prune", "", {"reclaimed": "0"})
    return gone
