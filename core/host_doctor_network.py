"""The trials of networks told to people, and the refusal of a network that this host cannot give."""

from __future__ import annotations

import errno
import os

from pod.core import host, host_probe
from pod.core.errors import HostUnsupported
from pod.core.host import Fact

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.host import Facts
    from pod.core.host_probe import Trial, Trials

_MODULES = "modprobe -a bridge veth nft_tproxy nft_fib_inet nft_reject_inet"
_FOR_EVERY_BOOT = "and their names in /etc/modules-load.d/"


def examine(trials: Trials, facts: Facts) -> list[Fact]:
    """Which modes of ``--network`` work, how far the way out goes."""
    found = [_namespaces(trials)]
    if trials["netns"].ok:
        found += [_networks(facts), _ipv6(trials, facts), _echo(), _low_ports()]
    return found


def require(engine: Engine) -> None:
    """HostUnsupported where a start needs bridges and the gateway and the host, tried once more, lacks them."""
    trials = host_probe.Trials(engine)
    lacking = next((trials[name] for name in ("netns", "bridge", "gateway") if not trials[name].ok), None)
    if lacking is None:
        return
    what = "no way out of a network" if trials["netns"].ok and trials["bridge"].ok else "no network"
    hint = f"--network none or --network host do without; {remedy(lacking)}"
    raise HostUnsupported(f"{what} for a container: {lacking.reason}", hint=hint)


def remedy(trial: Trial) -> str:
    """What would make the trial succeed, for an administrator."""
    if trial.errno == errno.ENOSPC:
        return "raise user.max_net_namespaces"
    if host.process_status().get("Seccomp") == "2":
        return "a seccomp filter is on this process (an outer container's, probably), ask for one without"
    return f"an administrator can try: {_MODULES}, {_FOR_EVERY_BOOT}"


def _namespaces(trials: Trials) -> Fact:
    trial = trials["netns"]
    so = "--network none has a loopback of its own" if trial.ok else "only --network host works"
    value = "yes" if trial.ok else f"refused: {trial.reason}"
    return Fact("network namespaces", "ok" if trial.ok else "limit", value, "made one, raised its loopback", so)


def _networks(facts: Facts) -> Fact:
    proof = "joined interfaces by a bridge, wrote packet rules with tproxy, opened transparent and packet sockets"
    if facts.network == "gateway":
        return Fact("networks", "ok", "bridges and the gateway", proof, "containers reach each other and the world")
    trial = "none" if facts.network == "none" else "bridges, no gateway"
    so = "--network bridge and networks of your own are refused; none and host work"
    value = f"{trial}: {facts.network_reason}"
    return Fact("networks", "limit", value, proof, so, f"{_MODULES}, {_FOR_EVERY_BOOT}")


def _ipv6(trials: Trials, facts: Facts) -> Fact:
    proof = "bound a socket to ::1 in a network namespace of its own"
    if facts.network_ipv6:
        return Fact("IPv6", "ok", "yes", proof, "networks made with --ipv6 have it")
    value = f"no: {trials['ipv6'].reason}"
    return Fact("IPv6", "limit", value, proof, "networks have IPv4 alone", "boot without ipv6.disable=1")


def _echo() -> Fact:
    proof, text = "net.ipv4.ping_group_range", host_probe.sysctl("net/ipv4/ping_group_range")
    first, _, last = text.replace("\t", " ").partition(" ")
    groups = {os.getegid(), *os.getgroups()}
    if text and any(int(first) <= group <= int(last) for group in groups):
        return Fact("ping", "ok", "allowed", proof, "containers can ping the world")
    so = "containers can ping each other and their gateway; the world's addresses answer: prohibited"
    return Fact("ping", "limit", "not for your groups", proof, so, 'sysctl -w net.ipv4.ping_group_range="0 2147483647"')


def _low_ports() -> Fact:
    proof, text = "net.ipv4.ip_unprivileged_port_start", host_probe.sysctl("net/ipv4/ip_unprivileged_port_start")
    first = int(text) if text.isdigit() else 1024
    if first <= 1:
        return Fact("low ports", "ok", "allowed", proof, "every port can be published")
    so = f"ports below {first} cannot be published; --port-fallback takes higher ones instead (80: 8080)"
    return Fact("low ports", "limit", f"from {first} on", proof, so, "sysctl -w net.ipv4.ip_unprivileged_port_start=80")
