"""The networks that are always there: ``host`` and ``none``, as Docker's document shows them. Pure."""

from __future__ import annotations

from pod.core.errors import NoSuchNetwork

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pod.core.engine import Engine

_DRIVERS = {"host": "host", "none": "null"}


def names() -> tuple[str, ...]:
    return tuple(_DRIVERS)


def is_id(text: str) -> bool:
    """Whether it is the id of a network, or the beginning of one."""
    return len(text) > 3 and any(_id(name).startswith(text) for name in _DRIVERS)


def find(text: str) -> str:
    """The name of the network that a name, an id or its beginning means. NoSuchNetwork else."""
    for name in _DRIVERS:
        if text == name or (is_id(text) and _id(name).startswith(text)):
            return name
    raise NoSuchNetwork(f"network {text} not found", hint="in this version there are 'host' and 'none'")


def document(engine: Engine, name: str, members: Iterable[tuple[str, str]]) -> dict[str, Any]:
    """Docker's document. ``members`` are ids and names of the running containers on it."""
    end = {"EndpointID": "", "MacAddress": "", "IPv4Address": "", "IPv6Address": ""}
    return {
        "Name": name,
        "Id": _id(name),
        "Created": _born(engine),
        "Scope": "local",
        "Driver": _DRIVERS[name],
        "EnableIPv4": True,
        "EnableIPv6": False,
        "IPAM": {"Driver": "default", "Options": None, "Config": None},
        "Internal": False,
        "Attachable": False,
        "Ingress": False,
        "ConfigFrom": {"Network": ""},
        "ConfigOnly": False,
        "Containers": {member: {"Name": called, **end} for member, called in members},
        "Options": {},
        "Labels": {},
    }


def _id(name: str) -> str:
    """64 digits, the same in every store: nothing has to be recorded for a network that is always there."""
    return (name.encode().hex() * 16)[:64]


def _born(engine: Engine) -> str:
    """When the store was made."""
    import os

    from pod.core import moments

    try:
        return moments.rfc3339(os.stat(engine.paths.version).st_mtime_ns)
    except FileNotFoundError:
        return "0001-01-01T00:00:00Z"
