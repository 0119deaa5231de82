"""Docker's document of a network, from its record and the containers on it. Pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

_MEMBERS = (
    *("Name", "Id", "Created", "Scope", "Driver", "EnableIPv4", "EnableIPv6", "IPAM", "Internal", "Attachable"),
    *("Ingress", "ConfigFrom", "ConfigOnly", "Containers", "Options", "Labels"),
)
"""In Docker's order (moby api/types/network.Inspect)."""


def document(
    record: Mapping[str, Any], members: Iterable[tuple[str, str, Mapping[str, Any]]] = ()
) -> dict[str, Any]:
    """``members`` are the running containers on it: id, name, and the endpoint as state.json has it ({}: of a network
    without addresses).
    """
    ends = {}
    for container_id, name, end in members:
        v6 = f"{end['GlobalIPv6Address']}/{end['GlobalIPv6PrefixLen']}" if end.get("GlobalIPv6Address") else ""
        ends[container_id] = {
            "Name": name,
            "EndpointID": end.get("EndpointID", ""),
            "MacAddress": end.get("MacAddress", ""),
            "IPv4Address": f"{end['IPAddress']}/{end['IPPrefixLen']}" if end.get("IPAddress") else "",
            "IPv6Address": v6,
        }
    return {name: ends if name == "Containers" else record[name] for name in _MEMBERS}
