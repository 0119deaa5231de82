"""Words for what the network process, or the way to it, refused: steps NETD … ADDRESS of ext/src/core/steps.h."""

from __future__ import annotations

import os

EPERM, ENOENT, EACCES, EINVAL, ENOSYS, ETIMEDOUT, EADDRINUSE, EADDRNOTAVAIL = 1, 2, 13, 22, 38, 110, 98, 99
EOPNOTSUPP = 95

_WITHOUT = "without networks of its own: --network none, or --network host"
_PORTS = (
    "ports below 1024 need a right that you do not have: publish a higher one, say --port-fallback, or have an"
    " administrator lower net.ipv4.ip_unprivileged_port_start"
)


def word(name: str, step: str, errnum: int, path: str) -> tuple[str, str]:
    """(what failed, a hint) for the container ``name``."""
    reason = os.strerror(errnum).lower() if errnum else "failed"
    if step == "PUBLISH":
        return _published(name, errnum, path, reason)
    if step == "ADDRESS":
        return _address(errnum, path, reason)
    if step == "NETWORK" and errnum == EOPNOTSUPP:
        return f"failed to set up container networking: this kernel has no driver {path}", (
            "a network made with -d bridge connects the same containers"
        )
    words = {
        "NETD": "the network process cannot be started",
        "NETWORK": "the network process does not answer" if errnum == ETIMEDOUT else "the network process failed",
        "NETLINK": "its interfaces cannot be made",
        "NFT": "its packet rules cannot be set",
        "NETNS": "its network namespace cannot be set up",
    }[step]
    hint = "'pod doctor' says what forbids networks here; a container runs " + _WITHOUT
    if step == "NFT" and errnum in (ENOENT, EINVAL, ENOSYS, 95, 93):
        hint = "this kernel lacks nf_tables, or may not load it for you; a container runs " + _WITHOUT
    return f"{words}: {path + ': ' if path else ''}{reason}", hint


def _published(name: str, errnum: int, path: str, reason: str) -> tuple[str, str]:
    """``path`` is ADDRESS:PORT/PROTOCOL."""
    place = path.partition("/")[0]
    text = f"driver failed programming external connectivity on endpoint {name}: "
    if errnum == EADDRINUSE:
        return text + f"Bind for {place} failed: port is already allocated", (
            "another container or program has it: 'pod ps' shows those of containers"
        )
    if errnum in (EACCES, EPERM):
        return text + f"failed to bind host port for {path}: permission denied", _PORTS
    if errnum == EADDRNOTAVAIL:
        return text + f"failed to bind host port for {path}: cannot assign requested address", (
            "the address must be one of this host's"
        )
    return text + f"failed to bind host port for {path}: {reason}", "'pod doctor' checks what this host allows"


def _address(errnum: int, path: str, reason: str) -> tuple[str, str]:
    if errnum == EADDRINUSE:
        return f"failed to set up container networking: Address already in use: {path}", (
            "another container has it: 'pod network inspect' shows whose it is"
        )
    if errnum == EADDRNOTAVAIL:
        return f"failed to set up container networking: no available IPv4 addresses on this network's pool: {path}", (
            "remove containers, or make a network with a larger --subnet"
        )
    if errnum == EINVAL:
        return f"invalid config for network: no configured subnet contains IP address {path}", (
            "choose an address within the network's subnet, and not its gateway's"
        )
    return f"failed to set up container networking: {path}: {reason}", "'pod network inspect' shows its addresses"
