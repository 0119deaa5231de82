"""Which addresses a new network gets: Docker's default pools, or those of the configuration; never ones that the host
reaches by a route of its own, nor those of another network. Pure but for :func:`host_routes`.

Sources: moby daemon/libnetwork/ipamutils (the default pools), proc(5) (/proc/net/route, /proc/net/ipv6_route).
"""

from __future__ import annotations

import ipaddress

from pod.core import statefile
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from typing import Union

    Block = Union[ipaddress.IPv4Network, ipaddress.IPv6Network]

DEFAULT = [("172.17.0.0/16", 16), ("172.18.0.0/15", 16), ("172.20.0.0/14", 16), ("172.24.0.0/14", 16)]
DEFAULT += [("172.28.0.0/14", 16), ("192.168.0.0/16", 20)]
"""(base, bits of a network) in the order in which they are tried."""

MOST_TRIES = 1 << 16
"""Blocks that are looked at before a pool counts as full: a configuration may name one of billions."""


def choose(
    pools: Sequence[tuple[str, int]], taken: Sequence[Block], routes: Sequence[Block], *, last: bool = False
) -> str:
    """The first free IPv4 block of ``pools`` (``last``: the last one); PodError in Docker's words where none is.

    Where the host has a route to everything that is left, its routes stop nobody: what is reached by one of them is out
    of a container's reach then, and nothing else.
    """
    for blocked in ([*taken, *routes], taken):
        for block in _candidates(pools, 4, last=last):
            if not any(block.overlaps(other) for other in blocked if other.version == 4):
                return str(block)
    raise PodError(
        "all predefined address pools have been fully subnetted",
        hint="give one with --subnet, or remove networks: 'pod network prune'",
    )


def _candidates(pools: Sequence[tuple[str, int]], version: int, *, last: bool) -> Iterator[Block]:
    for base, bits in reversed(pools) if last else pools:
        pool = ipaddress.ip_network(base)
        if pool.version != version:
            continue
        count = 1 << (bits - pool.prefixlen)
        size = 1 << (pool.max_prefixlen - bits)
        for number in range(min(count, MOST_TRIES)):
            place = count - 1 - number if last else number
            yield ipaddress.ip_network((int(pool.network_address) + place * size, bits))


def unique_local(seed: bytes, taken: Sequence[Block]) -> str:
    """A /64 of fd00::/8 (RFC 4193) made from ``seed`` (an id, 16 bytes or more), for --ipv6 without a subnet."""
    for shift in range(len(seed) - 7):
        block = ipaddress.ip_network((b"\xfd" + seed[shift : shift + 7] + b"\0" * 8, 64))
        if not any(block.overlaps(other) for other in taken if other.version == 6):
            return str(block)
    raise PodError("no free IPv6 addresses for this network", hint="give some with --subnet")


def first_host(subnet: str) -> str:
    """The gateway of a network that names none: its first address."""
    return str(ipaddress.ip_network(subnet).network_address + 1)


def host_routes() -> list[Block]:
    """What the host reaches by routes of its own, but for default routes, loopback and link-local addresses."""
    found: list[Block] = []
    for line in _lines("/proc/net/route")[1:]:
        fields = line.split()
        if len(fields) > 7 and len(fields[1]) == len(fields[7]) == 8:
            base, mask = (int.from_bytes(bytes.fromhex(fields[place]), "little") for place in (1, 7))
            if mask:
                found.append(ipaddress.ip_network((base & mask, bin(mask).count("1"))))
    for line in _lines("/proc/net/ipv6_route"):
        fields = line.split()
        if len(fields) > 9 and len(fields[0]) == 32 and fields[9] != "lo":
            block = ipaddress.ip_network((bytes.fromhex(fields[0]), int(fields[1], 16)), strict=False)
            if block.prefixlen and not block.is_link_local and not block.is_multicast:
                found.append(block)
    return found


def _lines(path: str) -> list[str]:
    try:
        return statefile.read_bytes_of_proc(path).decode("ascii", "replace").splitlines()
    except OSError:
        return []


def blocks_of(records: Iterable[dict[str, object]]) -> list[Block]:
    """The subnets of networks' records."""
    found: list[Block] = []
    for record in records:
        ipam = record.get("IPAM")
        for pool in (ipam.get("Config") if isinstance(ipam, dict) else None) or ():
            found.append(ipaddress.ip_network(pool["Subnet"], strict=False))
    return found
