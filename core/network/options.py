"""What ``network create`` was asked for, as a record without the addresses that are still to be chosen. Pure.

Words and rules: docker/cli cli/command/network/create.go, moby api/types/network (ValidateIPAM) and
daemon/libnetwork/drivers/{bridge,macvlan,ipvlan}.
"""

from __future__ import annotations

import ipaddress

from pod.core.errors import HostUnsupported, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from pod.core.network.pools import Block

LONGEST_NAME = 128
DRIVERS = ("bridge", "ipvlan", "macvlan", "null")
_MODES = ("default", "bridge", "host", "none", "private")
_DOCKER = "com.docker.network."
MTU, BRIDGE_NAME = _DOCKER + "driver.mtu", _DOCKER + "bridge.name"
_TRUE = ("1", "t", "T", "true", "TRUE", "True")
_FALSE = ("0", "f", "F", "false", "FALSE", "False")
_RESERVED = ("lo", "pod0", "pod1")
_NAME = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")


class Asked:
    """The flags of ``network create``, by their names; addresses are texts."""

    __slots__ = (
        "attachable", "aux", "driver", "gateways", "internal", "ipam_options", "ipv4", "ipv6", "labels", "name",
        "options", "ranges", "subnets",
    )  # fmt: skip

    def __init__(self, name: str) -> None:
        self.name = name
        self.driver = "bridge"
        self.options: dict[str, str] = {}
        self.labels: dict[str, str] = {}
        self.ipam_options: dict[str, str] = {}
        self.internal = self.attachable = self.ipv6 = False
        self.ipv4 = True
        self.subnets: list[str] = []
        self.ranges: list[str] = []
        self.gateways: list[str] = []
        self.aux: dict[str, str] = {}


def apply(record: dict[str, Any], asked: Asked) -> None:
    """Puts what was asked for into a blank record. PodError in Docker's words for what cannot be."""
    check_name(asked.name)
    record["Driver"] = driver(asked.driver)
    record["Internal"], record["Attachable"] = asked.internal, asked.attachable
    record["EnableIPv4"], record["EnableIPv6"] = asked.ipv4, asked.ipv6
    record["Labels"], record["Options"] = dict(asked.labels), dict(asked.options)
    record["IPAM"]["Options"] = asked.ipam_options or {}
    for name, value in asked.options.items():
        check = _OPTIONS.get(name)
        if check is not None:
            check(name, value)
    if BRIDGE_NAME in asked.options:
        record["Pod"]["Bridge"] = asked.options[BRIDGE_NAME]
    if record["Driver"] == "null":
        if asked.subnets:
            raise PodError("null driver doesn't support address pools", hint="leave --subnet out")
        return
    if not asked.ipv4 and not asked.ipv6:
        raise PodError("IPv4 or IPv6 must be enabled", hint="add --ipv6, or leave --ipv4=false out")
    record["IPAM"]["Config"] = addresses(asked)
    record["Pod"]["UserSubnet"] = bool(asked.subnets)


def check_name(name: str) -> None:
    """PodError for what cannot be a network's name."""
    if name in _MODES or name.startswith("container:"):
        raise PodError(f"operation is not permitted on predefined {name} network", hint="take another name")
    good = name.strip() == name and name.isprintable() and "/" not in name and name[:1] not in ("-", ".")
    if not name or not good or len(name.encode("utf-8", "surrogateescape")) > LONGEST_NAME or not _is_text(name):
        raise PodError(f"invalid network name: {name!r}", hint=f"letters, digits, _ . -; at most {LONGEST_NAME} bytes")


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True


def driver(name: str) -> str:
    """The driver's own name. PodError, HostUnsupported for those that pod does not have."""
    if name in ("", "default"):
        return "bridge"
    if name == "none":
        return "null"
    if name == "overlay":
        raise HostUnsupported(
            'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to '
            "swarm and try again.",
            hint="an overlay across machines needs rights that a user lacks: on one machine take -d bridge; between "
            "machines publish ports (-p)",
        )
    if name == "host":
        raise PodError('only one instance of "host" network is allowed', hint="use it as it is: --network host")
    if name not in DRIVERS:
        raise PodError(
            f'plugin "{name}" not found', hint="pod has no plugins; drivers are bridge, macvlan, ipvlan and none"
        )
    return name


# ---- driver options


def _bool(name: str, value: str) -> bool:
    if value not in _TRUE + _FALSE:
        raise PodError(
            f'failed to parse {name} value: strconv.ParseBool: parsing "{value}": invalid syntax', hint="true or false"
        )
    return value in _TRUE


def _check_bool(name: str, value: str) -> None:
    _bool(name, value)


def _only(*allowed: str, why: str) -> Callable[[str, str], None]:
    def check(name: str, value: str) -> None:
        if value not in allowed:
            raise HostUnsupported(f"{name}={value}: {why}", hint=f"leave it out; it is as with {allowed[0] or 'none'}")

    return check


def _check_mtu(name: str, value: str) -> None:
    if not (value.isascii() and value.isdigit() and len(value) < 6 and 68 <= int(value) <= 65535):
        raise PodError(f"failed to parse {name} value: {value!r}", hint="68 to 65535, with IPv6 from 1280 on")


def _check_bridge(name: str, value: str) -> None:
    if not 0 < len(value) < 16 or not _NAME.issuperset(value) or value in (".", "..") or value in _RESERVED:
        raise PodError(
            f"invalid bridge name: {value!r}",
            hint="1 to 15 letters, digits, _ . -; it is an interface inside the networks of this user",
        )


def _check_binding(name: str, value: str) -> None:
    try:
        ipaddress.IPv4Address(value)
    except ValueError:
        raise PodError(f"failed to parse {name} value: {value!r}", hint="an IPv4 address of this host") from None


def _check_parent(name: str, value: str) -> None:
    raise HostUnsupported(
        f"-o parent={value}: an interface of the host can be used by root alone",
        hint="leave it out: macvlan and ipvlan connect containers of this user; -d bridge with -p reaches the outside",
    )


_NO_ROUTING = "containers are reached by published ports, and leave as the host itself: nothing is routed"
_OPTIONS: dict[str, Callable[[str, str], None]] = {
    MTU: _check_mtu,
    BRIDGE_NAME: _check_bridge,
    _DOCKER + "bridge.enable_icc": _check_bool,
    _DOCKER + "bridge.host_binding_ipv4": _check_binding,
    _DOCKER + "bridge.enable_ip_masquerade": _only("true", "1", why=_NO_ROUTING),
    _DOCKER + "bridge.gateway_mode_ipv4": _only("nat", "", why=_NO_ROUTING),
    _DOCKER + "bridge.gateway_mode_ipv6": _only("nat", "", why=_NO_ROUTING),
    _DOCKER + "bridge.inhibit_ipv4": _only("false", "0", why="the gateway has an address"),
    _DOCKER + "container_iface_prefix": _only("eth", why="interfaces are eth0, eth1 …"),
    "parent": _check_parent,
    "macvlan_mode": _only("bridge", "", why="this version has the mode bridge alone"),
    "ipvlan_mode": _only("l2", "", why="this version has the mode l2 alone"),
    "ipvlan_flag": _only("bridge", "", why="this version has the flag bridge alone"),
}
"""Options that mean something; others are kept and mean nothing, as in Docker."""


# ---- addresses


def addresses(asked: Asked) -> list[dict[str, Any]]:
    """IPAM.Config of the given subnets, each with its range, gateway and auxiliary addresses."""
    if len(asked.subnets) < max(len(asked.ranges), len(asked.gateways)):
        raise PodError("every ip-range or gateway must have a corresponding subnet", hint="add --subnet")
    blocks = _blocks(asked)
    pools: list[dict[str, Any]] = [{"Subnet": str(block)} for block in blocks]
    for text in asked.ranges:
        _range(text, blocks, pools)
    for text in asked.gateways:
        place = _place(text, blocks, f"no matching subnet for gateway {text}")
        if "Gateway" in pools[place]:
            also = pools[place]["Gateway"]
            raise PodError(
                f"cannot configure multiple gateways ({text}, {also}) for the same subnet ({blocks[place]})"
            )
        pools[place]["Gateway"] = str(ipaddress.ip_address(text))
    for name, text in asked.aux.items():
        place = _place(text, blocks, f"no matching subnet for aux-address {text}")
        pools[place].setdefault("AuxiliaryAddresses", {})[name] = str(ipaddress.ip_address(text))
    for pool, block in zip(pools, blocks):
        pool.setdefault("Gateway", _gateway(pool, block))
    return pools


def _blocks(asked: Asked) -> list[Block]:
    """The given subnets: one a family at most, of families that the network has."""
    blocks = [subnet(text) for text in asked.subnets]
    for place, block in enumerate(blocks):
        if any(block.overlaps(other) for other in blocks[:place]):
            raise PodError("multiple overlapping subnet configuration is not supported")
        if any(block.version == other.version for other in blocks[:place]):
            raise PodError("bridge driver doesn't support multiple subnets", hint="one of IPv4, and one of IPv6")
        if block.version == 6 and not asked.ipv6:
            raise PodError(f"invalid subnet {block}: IPv6 is not enabled for this network", hint="add --ipv6")
        if block.version == 4 and not asked.ipv4:
            raise PodError(f"invalid subnet {block}: IPv4 is not enabled for this network")
    return blocks


def subnet(text: str) -> Block:
    """A subnet as --subnet takes it. PodError in Docker's words."""
    try:
        block = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise PodError(f"invalid subnet: invalid CIDR address: {text}", hint="the form is 10.1.0.0/16") from None
    if ipaddress.ip_interface(text).ip != block.network_address:
        raise PodError(f"invalid network config: invalid subnet {text}: it should be {block}", hint=f"give {block}")
    if block.max_prefixlen - block.prefixlen < 2:
        raise PodError(f"invalid subnet {block}: there is no room for a gateway and a container", hint="a larger one")
    if block.is_multicast or block.is_loopback or block.is_link_local or block.is_unspecified:
        raise PodError(f"invalid subnet {block}: these addresses have a meaning of their own", hint="try 10.1.0.0/16")
    return block


def _range(text: str, blocks: list[Block], pools: list[dict[str, Any]]) -> None:
    try:
        block = ipaddress.ip_network(text, strict=False)
    except ValueError:
        raise PodError(f'invalid argument "{text}" for "--ip-range" flag: invalid CIDR address: {text}') from None
    for pool, parent in zip(pools, blocks):
        if parent.version == block.version and parent.overlaps(block):
            if parent.prefixlen > block.prefixlen:
                raise PodError(
                    f"invalid network config: invalid ip-range {block}: CIDR block is bigger than its parent subnet "
                    f"{parent}"
                )
            if "IPRange" in pool:
                raise PodError(
                    f"cannot configure multiple ranges ({block}, {pool['IPRange']}) on the same subnet ({parent})"
                )
            pool["IPRange"] = str(block)
            return
    raise PodError(f"no matching subnet for range {block}")


def _place(text: str, blocks: list[Block], words: str) -> int:
    try:
        address = ipaddress.ip_address(text)
    except ValueError:
        raise PodError(f"invalid address: {text}") from None
    for place, block in enumerate(blocks):
        if address.version == block.version and address in block:
            return place
    raise PodError(words)


def _gateway(pool: Mapping[str, Any], block: Block) -> str:
    """The first address that is free for it: of the range where there is one, as in Docker."""
    taken = set((pool.get("AuxiliaryAddresses") or {}).values())
    inside = ipaddress.ip_network(pool["IPRange"]) if "IPRange" in pool else block
    for number in range(len(taken) + 2):
        address = inside.network_address + number
        if address != block.network_address and address in inside and str(address) not in taken:
            return str(address)
    raise PodError(f"no address is left for the gateway of {block}", hint="give one with --gateway")


def check_bridge(record: Mapping[str, Any], others: list[dict[str, Any]]) -> None:
    """PodError where another network's interface has that name."""
    for other in others:
        if other["Pod"]["Bridge"] == record["Pod"]["Bridge"]:
            name = record["Pod"]["Bridge"]
            raise PodError(
                f"cannot create network {record['Id']} ({name}): conflicts with network {other['Id']} ({name}): "
                "networks have same bridge name",
                hint=f"it is that of network {other['Name']}",
            )


