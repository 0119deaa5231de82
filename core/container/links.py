"""--link on the default network: what the environment of a container says of those that it is linked to.

    DB_PORT=tcp://172.17.0.2:5432  DB_PORT_5432_TCP=…  …_ADDR  …_PORT  …_PROTO  DB_NAME=/web/db  DB_ENV_NAME=VALUE

Source: moby daemon/links (behaviour). Their lines in /etc/hosts are netd's, who knows when they come and go.
"""

from __future__ import annotations

from pod.core.container import networks, ports, store
from pod.core.errors import Conflict, NoSuchContainer
from pod.core.network.wire import networks_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine

_NOT_TOLD = ("HOME", "PATH")


def later(engine: Engine, config: dict[str, Any]) -> list[str]:
    """:func:`environment` for one more process of a container that runs: of links to what runs just now."""
    return environment(engine, config, strict=False)


def environment(engine: Engine, config: dict[str, Any], *, strict: bool = True) -> list[str]:
    """NAME=VALUE for each link of the record. Conflict in Docker's words where one is to a container that does not run,
    NoSuchContainer; not ``strict``: such are left out.
    """
    found: list[str] = []
    for link in networks_of(config).get("bridge", {}).get("Links") or ():
        name, _, alias = link.partition(":")
        try:
            other = store.find(engine, name)
        except NoSuchContainer:
            if strict:
                raise
            continue
        if not strict and not other.is_running:
            continue
        if not other.is_running:
            raise Conflict(
                f"Cannot link to a non running container: /{other.name} AS {config['Name']}/{alias}",
                hint=f"start it first: pod start {other.name}",
            )
        address = networks.ends(other).get("bridge", {}).get("IPAddress", "")
        found += _variables(other, f"{config['Name']}/{alias}", alias.replace("-", "_").upper(), address)
    return found


def _variables(other: Container, place: str, prefix: str, address: str) -> list[str]:
    found = []
    exposed = sorted(ports.exposed(other.config), key=lambda port: (port[0], port[1] != "tcp"))
    if address and exposed:
        number, protocol = exposed[0]
        found.append(f"{prefix}_PORT={protocol}://{address}:{number}")
    for number, protocol in exposed if address else ():
        name = f"{prefix}_PORT_{number}_{protocol.upper()}"
        found += [f"{name}={protocol}://{address}:{number}", f"{name}_ADDR={address}"]
        found += [f"{name}_PORT={number}", f"{name}_PROTO={protocol}"]
    found.append(f"{prefix}_NAME={place}")
    for entry in other.config["Config"]["Env"] or ():
        name, equals, value = entry.partition("=")
        if equals and name not in _NOT_TOLD:
            found.append(f"{prefix}_ENV_{name}={value}")
    return found
