"""Which containers are on which network: from their records, and for those that run from what netd gave them."""

from __future__ import annotations

from pod.core.container import model
from pod.core.network import document as documents
from pod.core.network import store
from pod.core.network.wire import networks_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine


def names(container: Container) -> list[str]:
    """The networks of a container as its record says, the first one first; of ``host`` and ``none`` that name; none
    where another container's is shared.
    """
    mode: str = container.config["HostConfig"]["NetworkMode"]
    return [mode] if mode in ("host", "none") else list(networks_of(container.config))


def ends(container: Container) -> dict[str, dict[str, Any]]:
    """What a running container has on each network, as netd said it (Docker's EndpointSettings); {} of others."""
    given = container.state.get("network") if container.is_running else None
    found = given.get("Networks") if isinstance(given, dict) else None
    return found if isinstance(found, dict) else {}


def members(containers: Iterable[Container], name: str) -> list[tuple[str, str, dict[str, Any]]]:
    """The running containers on the network ``name``: id, name, endpoint."""
    running = [one for one in containers if one.is_running and name in names(one)]
    return [(one.id, one.name, ends(one).get(name) or {}) for one in running]


def document(engine: Engine, text: str, *, verbose: bool = False) -> dict[str, Any]:
    """``network inspect``; ``verbose`` adds what the network process has of it. NoSuchNetwork."""
    record = store.find(engine, text)
    found = documents.document(record, members(model.list_all(engine), record["Name"]))
    if verbose:
        found["Holder"] = _in_the_holder(engine, record["Id"])
    return found


def _in_the_holder(engine: Engine, network_id: str) -> dict[str, Any]:
    """What the network process has of it: the interface in the holder (process ``Pid``); ``Guarded``: containers
    cannot take each other's addresses. {} where nobody is on it.
    """
    from pod.core.network import query

    known = query.ask(engine)
    for network in known.get("Networks") or ():
        if network.get("Id") == network_id:
            own = {name: value for name, value in network.items() if name not in ("Id", "Name")}
            return {"Pid": known.get("Holder", 0), "Guarded": known.get("Guarded", False), **own}
    return {}


def filter_test(engine: Engine, values: list[str]) -> Callable[[Container], bool]:
    """``ps --filter network=``: names that contain a value, or ids that begin with it."""
    wanted = set()
    for record in store.list_all(engine):
        if any(record["Id"].startswith(value) for value in values if len(value) > 3):
            wanted.add(record["Name"])

    def test(one: Container) -> bool:
        own = names(one)
        return any(name in wanted or any(value in name for value in values) for name in own)

    return test
