"""The ports of a container: which are exposed, which are published where. Pure.

A port is ``(number, protocol, host address, host port)``; host address "" and host port 0 where it is only exposed.
"""

from __future__ import annotations

from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.container.model import Container

    Port = tuple[int, str, str, int]


_PROTOCOLS = ("tcp", "udp", "sctp")


def split(text: str) -> tuple[int, str]:
    """The number and the protocol of "80/tcp"; without a protocol it is tcp. ValueError where it is no port."""
    number, slash, protocol = text.partition("/")
    protocol = protocol.lower() if slash else "tcp"
    if not (number.isascii() and number.isdigit() and int(number[:6]) < 65536) or protocol not in _PROTOCOLS:
        raise ValueError(f"not a port: {text}")
    return int(number), protocol


def published(config: Mapping[str, Any]) -> list[Port]:
    """Of a container's record, sorted as ``port`` shows them."""
    found: list[Port] = []
    for text, bindings in (config["HostConfig"].get("PortBindings") or {}).items():
        number, protocol = split(text)
        for binding in bindings or ():
            if binding.get("HostPort"):
                found.append((number, protocol, binding.get("HostIp") or "0.0.0.0", int(binding["HostPort"])))
    return sorted(found)


def shown(container: Container) -> list[Port]:
    """The published ports of a running container, and those that it merely exposes; none with the host's network."""
    config = container.config
    if not container.is_running or config["HostConfig"]["NetworkMode"] in ("host", "none"):
        return []
    found = published(config)
    known = {port[:2] for port in found}
    for text in config["Config"].get("ExposedPorts") or {}:
        try:
            port = split(text)
        except ValueError:
            continue  # an image's, which strangers wrote
        if port not in known:
            found.append((*port, "", 0))
    return sorted(found)


def words(found: list[Port]) -> str:
    """ "80/tcp, 0.0.0.0:8080->443/tcp": neighbours that are alike in one, as Docker's formatter.DisplayablePorts."""
    groups: list[list[int]] = []
    kinds: list[tuple[str, str]] = []
    mapped: list[str] = []
    for number, protocol, host, public in found:
        address = f"[{host}]" if ":" in host else host
        if host and public != number:
            mapped.append(f"{address}:{public}->{number}/{protocol}")
            continue
        kind = (address, protocol)
        for group, other in zip(groups, kinds):
            if other == kind and group[1] == number - 1:
                group[1] = number
                break
        else:
            groups.append([number, number])
            kinds.append(kind)
    lines = []
    for (first, last), (address, protocol) in zip(groups, kinds):
        text = str(first) if first == last else f"{first}-{last}"
        lines.append(f"{address}:{text}->{text}/{protocol}" if address else f"{text}/{protocol}")
    return ", ".join(lines + mapped)


def read_range(text: str) -> set[tuple[int, str]]:
    """The ports of --filter publish= and expose=: "80", "80/udp", "8000-8080/tcp". PodError in Docker's words."""
    numbers, slash, protocol = text.partition("/")
    first, dash, last = numbers.partition("-")
    try:
        low, protocol = split(first + slash + protocol)
        high = split(last)[0] if dash else low
        if high < low:
            raise ValueError
    except ValueError:
        raise PodError(f"invalid port range: {text}", hint="PORT[-PORT][/PROTOCOL]: 80, 8000-8080/udp") from None
    return {(number, protocol) for number in range(low, high + 1)}
