"""The networks ``host`` and ``none``, which are always there and of which nothing is recorded. Pure."""

from __future__ import annotations

from pod.core.errors import NoSuchNetwork
from pod.core.network import records

TYPE_CHECKING = False
if TYPE_CHECKING:
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
    raise NoSuchNetwork(f"network {text} not found", hint="'pod network ls' lists them")


def record(engine: Engine, name: str) -> dict[str, Any]:
    """What the store would have of it, if it had to be kept."""
    made = records.blank(name, _id(name), _DRIVERS[name])
    made["Created"] = _born(engine)
    made["IPAM"]["Config"] = None
    made["Pod"]["Bridge"] = ""
    return made


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
