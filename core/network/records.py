"""The document of a network."""

from __future__ import annotations

from pod.core import statefile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def blank(name: str, network_id: str, driver: str = "bridge") -> dict[str, Any]:
    """A record with Docker's members in its order, without addresses."""
    return {
        "version": 1,
        "Name": name,
        "Id": network_id,
        "Created": statefile.timestamp(),
        "Scope": "local",
        "Driver": driver,
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": []},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Options": {},
        "Labels": {},
        "Pod": {"Bridge": "br-" + network_id[:12], "UserSubnet": False},
    }
