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


def _bindings(container: Container) -> dict[str, list[dict[str, str]]]:
    """Ports as netd bound them, {} of what does not run."""
    given = container.state.get("network") if container.is_running else None
    found = given.get("Ports") if isinstance(given, dict) else None
    return found if isinstance(found, dict) else {}


def exposed(config: Mapping[str, Any]) -> list[tuple[int, str]]:
    """Number and protocol of each port that a container's record exposes."""
    found = []
    for text in config["Config"].get("ExposedPorts") or {}:
        try:
            found.append(split(text))
        except ValueError:
            continue  # an image's, which strangers wrote
    return found


def document(container: Container) -> dict[str, list[dict[str, str]] | None]:
    """NetworkSettings.Ports: bindings, None of a port that is merely exposed; {} of what has no network of its own."""
    if not _has_own(container):
        return {}
    found: dict[str, list[dict[str, str]] | None] = {
        f"{number}/{protocol}": None for number, protocol in sorted(exposed(container.config))
    }
    found.update(_bindings(container))
    return found


def _has_own(container: Container) -> bool:
    mode = container.config["HostConfig"]["NetworkMode"]
    return container.is_running and mode not in ("host", "none") and not mode.startswith("container:")


def shown(container: Container) -> list[Port]:
    """The published ports of a running container, and those that it merely exposes, sorted as ``port`` shows them."""
    if not _has_own(container):
        return []
    found: list[Port] = []
    for text, bindings in _bindings(container).items():
        number, protocol = split(text)
        found += [(number, protocol, one["HostIp"], int(one["HostPort"])) for one in bindings]
    known = {port[:2] for port in found}
    found += [(*port, "", 0) for port in exposed(container.config) if port not in known]
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
