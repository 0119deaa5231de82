"""/etc/hosts, /etc/hostname and /etc/resolv.conf of a container: written at each start, bound into it."""

from __future__ import annotations

import os

from pod.core import statefile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_HOSTS = (
    "127.0.0.1\tlocalhost\n"
    "::1\tlocalhost ip6-localhost ip6-loopback\n"
    "fe00::\tip6-localnet\n"
    "ff00::\tip6-mcastprefix\n"
    "ff02::1\tip6-allnodes\n"
    "ff02::2\tip6-allrouters\n"
)


def write_all(directory: str, config: dict[str, Any]) -> None:
    """The three files in the container's folder; what the container itself wrote there in an earlier run is
    replaced.
    """
    host, spec = config["HostConfig"], config["Config"]
    _write(directory + "/hostname", spec["Hostname"] + "\n")
    _write(directory + "/hosts", hosts(host, _system("/etc/hosts") if host["NetworkMode"] == "host" else ""))
    _write(directory + "/resolv.conf", resolv_conf(host, _system("/etc/resolv.conf")))


def hosts(host: dict[str, Any], system: str) -> str:
    """With the host's network the host's own file, else Docker's; --add-host lines follow."""
    text = system or _HOSTS
    if not text.endswith("\n"):
        text += "\n"
    for entry in host["ExtraHosts"] or []:
        name, _, address = entry.partition(":")
        text += f"{address}\t{name}\n"
    return text


def resolv_conf(host: dict[str, Any], system: str) -> str:
    """The host's file, with what --dns, --dns-search and --dns-option replace."""
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


def _system(path: str) -> str:
    try:
        return statefile.read_bytes_of_proc(path).decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _write(path: str, text: str) -> None:
    # Bound files keep their inode while a container uses them, so no rename: only a stopped container gets here.
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.fchmod(fd, 0o644)
        os.write(fd, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)
