"""What a start tells the network process of a container: the items of REGISTER (ext/src/net/wire.h), for the plan.

    u16 tag, u16 length, value, zeros up to a multiple of 4; numbers are little-endian, addresses 16 bytes (IPv4 mapped)

On the warm path: reads one record for each network, computes IPv4 by itself, and imports nothing for a plain start.
"""

from __future__ import annotations

from pod.core import statefile
from pod.core.errors import NoSuchNetwork, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

    from pod.core.engine import Engine

MAX_ITEMS = 150000
"""Bytes; a message has 196608 (POD_WIRE_MAX), and the supervisor adds the leases of a start before."""

MAX_PORTS = 2048
"""Addresses and ports of the host that a container may have (POD_PORTS_MAX)."""

TAGS: dict[str, int] = {
    "CONTAINER": 1,
    "NAME": 2,
    "HOSTNAME": 3,
    "SERVER": 4,
    "HOST_GATEWAY": 5,
    "PORT": 6,
    "FDS": 7,
    "END": 16,
    "NET_ID": 17,
    "NET_NAME": 18,
    "BRIDGE": 19,
    "NET_FLAGS": 20,
    "MTU": 21,
    "SUBNET": 22,
    "TAKEN": 23,
    "ADDRESS": 24,
    "MAC": 25,
    "ALIAS": 26,
    "LINK": 27,
    "PRIORITY": 28,
    "LEASE": 29,
    "KIND": 30,
    "PORTS": 31,
    "STATE": 40,
    "HOSTS": 41,
    "STEP": 42,
    "ERRNO": 43,
    "PATH": 44,
    "JSON": 45,
}
"""enum pod_wire_tag, compared by a unit test."""

INTERNAL, ISOLATED, NAMES, IPV6 = 1, 2, 4, 8
"""enum pod_net_flags (ext/src/net/world.h)."""

PROTOCOLS = {"tcp": 6, "udp": 17}

_MAPPED = b"\0" * 10 + b"\xff\xff"
ANY_V4, ANY_V6 = _MAPPED + b"\0" * 4, b"\0" * 16

BINDING = "com.docker.network.bridge.host_binding_ipv4"
"""Option of a network: the address of the host on which ports are published that name none."""

BRIDGE = "bridge"
PRIVATE = "private"
PREDEFINED_IDS = {name: (name.encode().hex() * 64)[:64] for name in (BRIDGE, PRIVATE)}
"""The same in every store."""


def item(tag: str, value: bytes) -> bytes:
    """One item."""
    length = len(value)
    return TAGS[tag].to_bytes(2, "little") + length.to_bytes(2, "little") + value + b"\0" * (-length % 4)


def place_of(items: bytes, tag: str) -> int:
    """Where the value of the first item of that tag begins. ValueError where there is none."""
    at = 0
    while at + 4 <= len(items):
        if int.from_bytes(items[at : at + 2], "little") == TAGS[tag]:
            return at + 4
        length = int.from_bytes(items[at + 2 : at + 4], "little")
        at += 4 + length + -length % 4
    raise ValueError(tag)


def _text(tag: str, value: str) -> bytes:
    return item(tag, value.encode())


def _number(tag: str, value: int) -> bytes:
    return item(tag, (value & 0xFFFFFFFF).to_bytes(4, "little"))


def address(text: str) -> bytes:
    """The 16 bytes of an address. ValueError where it is none."""
    if ":" not in text:
        return _MAPPED + bytes(map(int, text.split(".")))
    import ipaddress

    return ipaddress.IPv6Address(text).packed


def networks_of(config: Mapping[str, Any]) -> dict[str, dict[str, Any]]:
    """The networks of a container by name, the first one first, with what was asked for each; none for the modes
    none, host and container.
    """
    mode = config["HostConfig"]["NetworkMode"]
    if mode in ("none", "host") or mode.startswith("container:"):
        return {}
    found: dict[str, dict[str, Any]] | None = config.get("Networks")
    return {mode: {}} if found is None else found


def registration(engine: Engine, config: Mapping[str, Any], apart: list[str] | None = None) -> bytes:
    """The items of REGISTER for a start of the container; b"" where it has no network of pod's. ``apart`` gets id,
    name and driver of each network that means no interface.

    NoSuchNetwork for one that was removed, PodError where more is asked for than a message holds.
    """
    parts: list[bytes] = []
    binding = ""
    for name, asked in networks_of(config).items():
        record = read(engine, name)
        binding = binding or (record["Options"] or {}).get(BINDING, "")
        if record["Driver"] != "null":
            parts.append(interface(engine, record, asked))
        elif apart is not None:
            apart += [record["Id"], record["Name"], record["Driver"]]
    if not parts:
        return b""
    host = config["HostConfig"]
    first = [_text("CONTAINER", config["Id"]), _text("NAME", config["Name"][1:])]
    first.append(_text("HOSTNAME", config["Config"]["Hostname"]))
    first += [_text("SERVER", server) for server in host["Dns"] or ()]
    if any(entry.endswith(":host-gateway") for entry in host["ExtraHosts"] or ()):
        first.append(_number("HOST_GATEWAY", 1))
    if host["PortBindings"] or host["PublishAllPorts"]:
        ports = list(_ports(config, "" if binding == "0.0.0.0" else binding))
        if len(ports) > MAX_PORTS:
            raise PodError(
                f"start container: it publishes {len(ports)} addresses and ports, and {MAX_PORTS} are possible",
                hint="a port without an address counts twice, for 0.0.0.0 and ::; publish fewer, or name an address",
            )
        first += ports
    whole = b"".join(first + parts)
    if len(whole) > MAX_ITEMS:
        raise PodError(
            f"start container: its names, aliases and addresses have {len(whole)} bytes, and {MAX_ITEMS} are possible",
            hint="use fewer aliases, links, DNS servers and reserved addresses (--aux-address)",
        )
    return whole


def read(engine: Engine, name: str) -> dict[str, Any]:
    """The record of the network of that name; the default ones are made when they are missing. NoSuchNetwork."""
    folder = engine.paths.networks
    try:
        known = PREDEFINED_IDS.get(name)
        if known is None:
            known = statefile.read_bytes(engine.paths.network_name(name), 200).decode("ascii", "replace").strip()
        return statefile.read(f"{folder}/{known}.json")
    except (FileNotFoundError, NotADirectoryError):
        if name in PREDEFINED_IDS:
            from pod.core.network import store

            return store.make_predefined(engine, name)
    raise NoSuchNetwork(
        f"network {name} not found", hint=f"'pod network ls' lists them; 'pod network create {name}' makes it"
    )


def interface(engine: Engine, record: Mapping[str, Any], asked: Mapping[str, Any]) -> bytes:
    """END and what follows it: one interface on the network of ``record``, with what ``asked`` says (an endpoint's
    settings in Docker's words); for CONNECT too.
    """
    options = record["Options"] or {}
    parts = [item("END", b""), _text("NET_ID", record["Id"]), _text("NET_NAME", record["Name"])]
    parts += [_text("BRIDGE", record["Pod"]["Bridge"]), _number("NET_FLAGS", flags(record))]
    mtu = options.get("com.docker.network.driver.mtu")
    if mtu:
        parts.append(_number("MTU", int(mtu)))
    if record["Driver"] != "bridge":
        parts.append(_text("KIND", record["Driver"]))
    for pool in record["IPAM"]["Config"] or ():
        parts.append(item("SUBNET", subnet(pool)))
        parts += [item("TAKEN", address(one)) for one in (pool.get("AuxiliaryAddresses") or {}).values()]
    return b"".join(parts) + (_asked(engine, asked) if asked else b"")


def flags(record: Mapping[str, Any]) -> int:
    """enum pod_net_flags of a network."""
    name, options = record["Name"], record["Options"] or {}
    isolated = name == PRIVATE or options.get("com.docker.network.bridge.enable_icc", "true") in ("false", "0")
    # macvlan and ipvlan without an interface of the host have no way out, in Docker neither.
    bits = INTERNAL if record["Internal"] or record["Driver"] != "bridge" else 0
    bits |= ISOLATED if isolated else 0
    bits |= 0 if name in PREDEFINED_IDS else NAMES
    return bits | (IPV6 if record["EnableIPv6"] else 0)


def _asked(engine: Engine, asked: Mapping[str, Any]) -> bytes:
    parts = []
    ipam = asked.get("IPAMConfig") or {}
    parts += [item("ADDRESS", address(ipam[name])) for name in ("IPv4Address", "IPv6Address") if ipam.get(name)]
    if asked.get("MacAddress"):
        parts.append(item("MAC", bytes.fromhex(asked["MacAddress"].replace(":", "").replace("-", ""))))
    parts += [_text("ALIAS", alias) for alias in asked.get("Aliases") or ()]
    for link in asked.get("Links") or ():
        target, _, alias = link.partition(":")
        parts.append(_text("LINK", f"{alias}={_container_id(engine, target)}"))
    if asked.get("GwPriority"):
        parts.append(_number("PRIORITY", asked["GwPriority"]))
    return b"".join(parts)


def _container_id(engine: Engine, name: str) -> str:
    """The id of the container of that name; the name itself where there is none yet."""
    try:
        return statefile.read_bytes(engine.paths.name(name.lstrip("/")), 200).decode("ascii", "replace").strip()
    except OSError:
        return name


def subnet(pool: Mapping[str, Any]) -> bytes:
    """struct pod_wire_subnet of one of IPAM's configurations, whose texts were checked when it was made."""
    base, _, bits = pool["Subnet"].partition("/")
    prefix = int(bits)
    if ":" in base:
        low, high = _span(base, prefix)
        low += 1
    else:
        low, high = _span(base, prefix)
        low, high = (low + 1, high - 1) if prefix < 31 else (low, high)
    given = pool.get("IPRange")
    if given:
        base_of_range, _, bits_of_range = given.partition("/")
        first, last = _span(base_of_range, int(bits_of_range))
        low, high = max(low, first), min(high, last)
    gateway = address(pool["Gateway"]) if pool.get("Gateway") else ANY_V6
    ends = low.to_bytes(16, "big") + high.to_bytes(16, "big")
    return address(base) + gateway + ends + bytes((prefix, 6 if ":" in base else 4, 0, 0))


def _span(base: str, prefix: int) -> tuple[int, int]:
    """The first and the last address of a block, as numbers of 128 bits."""
    low = int.from_bytes(address(base), "big")
    return low, low + (1 << ((128 if ":" in base else 32) - prefix)) - 1


def _ports(config: Mapping[str, Any], binding: str) -> Iterable[bytes]:
    """Of each published port one item for each address; those without an address have that of their network's
    option, ``binding``, else they are two, IPv4 first (wire.h).
    """
    host, bindings = config["HostConfig"], dict(config["HostConfig"]["PortBindings"] or {})
    if host["PublishAllPorts"]:
        for port in config["Config"].get("ExposedPorts") or ():
            bindings.setdefault(port, [{}])
    fallback = 1 if config["Pod"].get("PortFallback") else 0
    for port, places in bindings.items():
        number, _, protocol = port.partition("/")
        kind = PROTOCOLS.get(protocol or "tcp")
        if kind is None or not (number.isascii() and number.isdigit() and len(number) < 6):
            continue  # an image's, which strangers wrote; run refuses to publish such
        for place in places or ():
            low, _, high = (place.get("HostPort") or "0").partition("-")
            numbers = b"".join(int(one).to_bytes(2, "little") for one in (low, high or low, number))
            given = place.get("HostIp") or binding
            for bound in [address(given)] if given else [ANY_V4, ANY_V6]:
                yield item("PORT", bound + numbers + bytes((kind, fallback)))
