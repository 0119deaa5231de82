"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a container: written at each start, bound into it; and what its
start tells netd.
"""

from __future__ import annotations

import os

from pod.core import rundir, statefile
from pod.core.runtime import launch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.runtime import plan

_HOSTS = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


_LOOPBACKS = ("127.", "::1", "0.0.0.0", "::")
"""What addresses of servers that no container reaches begin with."""


def write_all(engine: Engine, directory: str, config: dict[str, Any]) -> None:
    """The three files in the container's folder; what the container itself wrote there in an earlier run is
    replaced.
    """
    write(directory + "/hostname", config["Config"]["Hostname"] + "\n")
    write(directory + "/hosts", hosts(engine, config))
    write(directory + "/resolv.conf", resolv_conf(engine, config, system_resolv_conf()))


def kind(config: Mapping[str, Any]) -> str:
    """How a container finds names: "host" as the host, by its own or no network; "bridge" by servers that it reaches
    itself; "names" by the resolver of its networks.
    """
    mode = config["HostConfig"]["NetworkMode"]
    if mode in ("host", "none") or mode.startswith("container:"):
        return "host"
    return "names" if set(config.get("Networks") or (mode,)) - {"bridge", "private"} else "bridge"


def hosts(engine: Engine, config: Mapping[str, Any]) -> str:
    """With the host's network the host's own file, else Docker's; --add-host lines follow. What netd knows (the
    container's own addresses, links) is added by the supervisor.
    """
    host = config["HostConfig"]
    text = (_system("/etc/hosts") if host["NetworkMode"] == "host" else "") or _HOSTS
    if not text.endswith("\n"):
        text += "\n"
    for entry in host["ExtraHosts"] or []:
        name, _, address = entry.partition(":")
        if address == "host-gateway":
            address = "127.0.0.1" if kind(config) == "host" else gateway(engine, config)
        text += f"{address}\t{name}\n"
    return text


_APART = {"host": "host", "none": "null"}
"""Networks of which nothing is recorded, with their drivers; their ids as core/network/predefined.py has them."""


def has_own_network(host: Mapping[str, Any]) -> bool:
    """Whether a container with that HostConfig has a network namespace of its own."""
    return host["NetworkMode"] != "host" and not host["NetworkMode"].startswith("container:")


def write_network(engine: Engine, writer: plan.PlanWriter, config: Mapping[str, Any]) -> None:
    """What netd is to be told (ext/src/helper/network.h); nothing where the container is on no network of pod's. And
    what only events tell: networks without an interface of netd's.
    """
    mode = config["HostConfig"]["NetworkMode"]
    driver = _APART.get(mode)
    if driver is not None:
        writer.texts("NET_APART", [(mode.encode().hex() * 16)[:64], mode, driver])
    if driver is not None or not has_own_network(config["HostConfig"]):
        return
    from pod.core.network import wire

    apart: list[str] = []
    items = wire.registration(engine, config, apart)
    if apart:
        writer.texts("NET_APART", apart)
    if items:
        writer.blob("NET", items)
        writer.texts("NETD", [rundir.network_dir(engine), launch.netd_path()])
        writer.text("NET_HOSTS", hosts(engine, config))


def gateway(engine: Engine, config: Mapping[str, Any]) -> str:
    """The address of the host on the first of the container's networks that has one."""
    from pod.core.network import wire

    for name in wire.networks_of(config):
        pools = wire.read(engine, name)["IPAM"]["Config"] or []
        for pool in sorted(pools, key=lambda one: ":" in one["Subnet"]):
            if pool.get("Gateway"):
                return str(pool["Gateway"])
    return "127.0.0.1"


def resolv_conf(engine: Engine, config: Mapping[str, Any], system: str) -> str:
    """The host's file ``system`` with what --dns, --dns-search and --dns-option replace, and servers that the container
    reaches.
    """
    host, how = config["HostConfig"], kind(config)
    text = _with_options(host, system)
    if how == "host":
        return text
    lines = [line for line in text.splitlines() if line.split()[:1] != ["nameserver"]]
    if how == "names":
        if not any("ndots:" in line for line in lines if line.startswith("options")):
            lines.append("options ndots:0")
        return "\n".join(["nameserver 127.0.0.11", *lines]) + "\n"
    servers = host["Dns"] or [one for one in _servers(system) if not one.startswith(_LOOPBACKS) and ":" not in one]
    lines += [f"nameserver {server}" for server in servers or [gateway(engine, config)]]
    return "\n".join(lines) + "\n"


def _servers(text: str) -> list[str]:
    return [line.split()[1] for line in text.splitlines() if line.startswith("nameserver") and len(line.split()) > 1]


def _with_options(host: Mapping[str, Any], system: str) -> str:
    replaced = {"nameserver": host["Dns"], "search": host["DnsSearch"], "options": host["DnsOptions"]}
    if not any(replaced.values()):
        return system
    lines = []
    for line in system.splitlines():
        key = line.split(None, 1)[0] if line.strip() else ""
        if not replaced.get("search" if key == "domain" else key):
            lines.append(line)
    lines += [f"nameserver {address}" for address in host["Dns"]]
    if host["DnsSearch"] and host["DnsSearch"] != ["."]:
        lines.append("search " + " ".join(host["DnsSearch"]))
    if host["DnsOptions"]:
        lines.append("options " + " ".join(host["DnsOptions"]))
    return "\n".join(lines) + "\n"


def system_resolv_conf() -> str:
    """The host's; "" where there is none."""
    return _system("/etc/resolv.conf")


def _system(path: str) -> str:
    try:
        return statefile.read_bytes_of_proc(path).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def write(path: str, text: str) -> None:
    """In place: a file that is bound into a container keeps its inode while that runs."""
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.fchmod(fd, 0o644)
        os.write(fd, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)
