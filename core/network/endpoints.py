"""What is asked for one interface of a container: Docker's EndpointSettings with the members that were given. Pure.

    {"IPAMConfig": {"IPv4Address", "IPv6Address"}, "Aliases": [], "Links": ["container:alias"], "MacAddress": "",
     "DriverOpts": {}, "GwPriority": 0}
"""

from __future__ import annotations

import ipaddress

from pod.core.errors import HostUnsupported, PodError, UsageError
from pod.core.network.wire import BRIDGE, PRIVATE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

MOST_ALIASES = 60
"""Of one interface; netd has room for 64 (ext/src/net/world.h), with those that it makes itself."""
MOST_NETWORKS = 32
LONGEST_ALIAS = 253
_IFNAME = "com.docker.network.endpoint.ifname"
_SYSCTLS = "com.docker.network.endpoint.sysctls"


def is_user_defined(mode: str) -> bool:
    """Whether a network mode names a network that somebody made, as Docker means it."""
    return mode not in ("default", BRIDGE, "host", "none", PRIVATE) and not mode.startswith("container:")


def settings(
    *,
    ip: str = "",
    ip6: str = "",
    aliases: Iterable[str] = (),
    links: Iterable[str] = (),
    mac: str = "",
    driver_opts: Mapping[str, str] | None = None,
    priority: int = 0,
) -> dict[str, Any]:
    """The members that are given, each read. UsageError in Docker's words for what is none."""
    ipam = {}
    for name, text, version in (("IPv4Address", ip, 4), ("IPv6Address", ip6, 6)):
        if text:
            ipam[name] = _address(text, version)
    found: dict[str, Any] = {
        "IPAMConfig": ipam,
        "Aliases": list(dict.fromkeys(_alias(text) for text in aliases)),
        "Links": [":".join(link(text)) for text in links],
        "MacAddress": mac_address(mac) if mac else "",
        "DriverOpts": dict(driver_opts or {}),
        "GwPriority": priority,
    }
    if len(found["Aliases"]) > MOST_ALIASES or len(found["Links"]) > MOST_ALIASES:
        raise UsageError(f"too many aliases or links for one network: at most {MOST_ALIASES}")
    for name in (_IFNAME, _SYSCTLS):
        if name in found["DriverOpts"]:
            raise HostUnsupported(
                f"--driver-opt {name}: interfaces are called eth0, eth1 … and have the host's settings",
                hint="leave it out; --sysctl sets those of the whole namespace (net.ipv4.conf.all.…)",
            )
    return {name: value for name, value in found.items() if value}


def _address(text: str, version: int) -> str:
    try:
        address = ipaddress.ip_address(text)
        if address.version != version or address.is_unspecified or address.is_multicast or address.is_loopback:
            raise ValueError
    except ValueError:
        raise UsageError(f"invalid IPv{version} address: {text}") from None
    return str(address)


def _alias(text: str) -> str:
    good = text and text.isprintable() and not any(c.isspace() for c in text) and len(text) <= LONGEST_ALIAS
    if not good:
        raise UsageError(f"invalid network alias: {text!r}", hint="a name as DNS has it, without spaces")
    return text


def mac_address(text: str) -> str:
    """aa:bb:cc:dd:ee:ff of what Go's net.ParseMAC reads. UsageError in Docker's words."""
    digits = text.replace(":", "").replace("-", "").replace(".", "").lower()
    shape = [len(part) for part in text.replace("-", ":").replace(".", ":").split(":")]
    if len(digits) != 12 or set(digits) - set("0123456789abcdef") or shape not in ([2] * 6, [4] * 3):
        raise UsageError(f"{text} is not a valid mac address")
    if int(digits[:2], 16) & 1 or not int(digits, 16):
        raise UsageError(f"{text} is not a valid mac address of an interface", hint="02:… is of one's own choice")
    return ":".join(digits[place : place + 2] for place in range(0, 12, 2))


def link(text: str) -> tuple[str, str]:
    """The container and the alias of "container[:alias]". UsageError in Docker's words."""
    parts = text.split(":")
    if not text or len(parts) > 2 or not all(parts):
        raise UsageError(f"bad format for links: {text}", hint="the form is CONTAINER or CONTAINER:ALIAS")
    name = parts[0].lstrip("/")
    return name, _alias(parts[1].rpartition("/")[2] if len(parts) > 1 else name)


def check(record: Mapping[str, Any], asked: Mapping[str, Any]) -> None:
    """PodError in Docker's words for what this network cannot give."""
    name = record["Name"]
    ipam = asked.get("IPAMConfig") or {}
    if asked.get("Aliases") and not is_user_defined(name):
        raise PodError(
            "network-scoped alias is supported only for containers in user defined networks",
            hint="the default network has no names: 'pod network create NAME', then --network NAME",
        )
    if ipam and not is_user_defined(name):
        raise PodError(
            "user specified IP address is supported on user defined networks only",
            hint="pod network create --subnet 10.1.0.0/24 NAME, then --network NAME",
        )
    if record["Driver"] == "null" and asked:
        raise PodError(f"network {name} has no addresses and no names: its driver is none")
    if record["Driver"] == "ipvlan" and asked.get("MacAddress"):
        raise PodError("ipvlan interfaces do not support custom mac address assignment")
    if ipam and not record["Pod"]["UserSubnet"]:
        raise PodError(
            "user specified IP address is supported only when connecting to networks with user configured subnets",
            hint="make the network with --subnet",
        )
    for text in ipam.values():
        _check_address(record, text)


def _check_address(record: Mapping[str, Any], text: str) -> None:
    address = ipaddress.ip_address(text)
    for pool in record["IPAM"]["Config"]:
        block = ipaddress.ip_network(pool["Subnet"])
        if address.version != block.version or address not in block:
            continue
        ends = (block.network_address, block.broadcast_address) if block.version == 4 else (block.network_address,)
        taken = {pool.get("Gateway"), *(pool.get("AuxiliaryAddresses") or {}).values()}
        if address in ends or text in taken:
            raise PodError(f"Address already in use: {text}", hint=f"it is the network's own: another one of {block}")
        return
    raise PodError(
        f"no configured subnet or ip-range contain the IP address {text}",
        hint="the network has " + ", ".join(pool["Subnet"] for pool in record["IPAM"]["Config"]),
    )
