"""Published ports: who the server sees, every form of -p, conflicts, what a stop gives back; many at once."""

from __future__ import annotations

import re
import socket

import pytest

from tests.support import netd, netload
from tests.support.inside import Inside, free_ports, host_address, reaches, wait_to_reach
from tests.support.podcli import Pod, until

pytestmark = pytest.mark.alike


def _publish(inside: Inside, name: str, *forms: str, network: str = "bridge") -> None:
    flags = [flag for form in forms for flag in ("-p", form)]
    inside.serving(name, "--network", network, *flags)


def test_ports_when_published_then_the_server_sees_the_clients_address(inside: Inside) -> None:
    port, own, six = free_ports(1), host_address(), host_address(socket.AF_INET6)
    inside.network("one", "--ipv6", "--subnet", "fd00:88:1::/64")
    _publish(inside, "server", f"{port}:{netload.PORT}", f"{port}:{netload.PORT}/udp", network="one")
    client = inside.host()
    for verb in ("who", "udpwho"):
        for address in filter(None, (own, six)):
            assert client.ask(verb, address, port)[0] == address, verb
        assert client.ask(verb, "127.0.0.1", port)[0] == inside.address("server", "one", "Gateway")
        assert client.ask(verb, "::1", port)[0] == inside.address("server", "one", "IPv6Gateway")


def test_ports_when_a_container_of_any_network_asks_the_hosts_address_then_it_is_answered(inside: Inside) -> None:
    port = free_ports(1)
    inside.network("one")
    inside.network("two")
    _publish(inside, "server", f"{port}:{netload.PORT}", network="one")
    for network in ("one", "two", "bridge"):
        wait_to_reach(inside(f"client-{network}", "--network", network), host_address(), port)


def test_ports_when_each_form_is_used_then_port_and_ps_tell_it(pod: Pod, inside: Inside) -> None:
    first = free_ports(8)
    _publish(
        inside,
        "server",
        f"{first}-{first + 2}:{netload.PORT}-{netload.PORT + 2}",
        f"127.0.0.1:{first + 3}:{netload.PORT}",
        f"127.0.0.1::{netload.PORT}",
        f"[::1]:{first + 4}:{netload.PORT}",
        f"{first + 5}:{netload.PORT}/udp",
        f"{netload.PORT}",
    )
    told = pod("port", "server").ok().splitlines()
    bound = {tuple(line.split(" -> ")) for line in told}
    name = f"{netload.PORT}/tcp"
    assert (name, f"0.0.0.0:{first}") in bound
    assert (f"{netload.PORT + 2}/tcp", f"0.0.0.0:{first + 2}") in bound
    assert (name, f"127.0.0.1:{first + 3}") in bound
    assert (name, f"[::1]:{first + 4}") in bound
    assert (f"{netload.PORT}/udp", f"0.0.0.0:{first + 5}") in bound
    client = inside.host()
    loopback = [int(where.rpartition(":")[2]) for which, where in bound if where.startswith("127.0.0.1:")]
    assert len(loopback) == 2, told
    for port in loopback:
        assert reaches(client, "127.0.0.1", port)
        assert not reaches(client, host_address(), port)
    assert reaches(client, "::1", first + 4)
    assert not reaches(client, "127.0.0.1", first + 4)
    assert not reaches(client, "127.0.0.1", first + 1), "nobody listens there in the container"
    ports = pod("ps", "--no-trunc", "--format", "{{.Ports}}").ok()
    assert f"0.0.0.0:{first + 5}->{netload.PORT}/udp" in ports
    assert pod("port", "server", f"{netload.PORT}/udp").ok().splitlines()[0] == f"0.0.0.0:{first + 5}"


def test_ports_when_exposed_and_all_are_published_then_each_has_one(pod: Pod, inside: Inside) -> None:
    inside.serving("server", "-P", "--expose", str(netload.PORT), "--expose", "5353/udp")
    told = pod("port", "server").ok()
    found = re.search(rf"^{netload.PORT}/tcp -> 0\.0\.0\.0:(\d+)$", told, re.M)
    assert found, pod.inspect("server")["NetworkSettings"]
    assert re.search(r"^5353/udp -> 0\.0\.0\.0:\d+$", told, re.M), told
    assert reaches(inside.host(), "127.0.0.1", int(found.group(1)))


def test_ports_when_taken_then_it_is_said_and_freed_with_the_container(pod: Pod, inside: Inside) -> None:
    port = free_ports(1)
    _publish(inside, "server", f"{port}:{netload.PORT}")
    again = pod("run", "--name", "second", "--network", "bridge", "-p", f"{port}:80", inside.image, "true")
    again.failed(125, "port is already allocated", f"0.0.0.0:{port}")
    with socket.socket() as foreign:
        foreign.bind(("127.0.0.1", 0))
        foreign.listen()
        taken = foreign.getsockname()[1]
        other = pod("run", "--rm", "--network", "bridge", "-p", f"127.0.0.1:{taken}:80", inside.image, "true")
        other.failed(125, str(taken))
    pod("rm", "-f", "second", "server").ok()
    _publish(inside, "third", f"{port}:{netload.PORT}")
    client = inside.host()
    assert reaches(client, "127.0.0.1", port)
    pod("restart", "-t", "0", "third").ok()
    wait_to_reach(client, "127.0.0.1", port)
    pod("stop", "-t", "0", "third").ok()
    assert client.tries("who", "127.0.0.1", port) == "error connect: Connection refused"
    pod("start", "third").ok()
    wait_to_reach(client, "127.0.0.1", port)


def test_ports_when_below_what_users_may_have_then_what_is_possible_is_said(pod: Pod, inside: Inside) -> None:
    with open("/proc/sys/net/ipv4/ip_unprivileged_port_start") as file:
        if int(file.read()) <= 80:
            pytest.skip("capability not_root: this host gives ports below 1024 to all")
    pod("run", "--rm", "--network", "bridge", "-p", "80:80", inside.image, "true").failed(125, "80", "--port-fallback")
    inside.serving("server", "--port-fallback", "-p", f"80:{netload.PORT}")
    found = re.search(r"0\.0\.0\.0:(\d+)", pod("port", "server").ok())
    assert found
    assert int(found.group(1)) >= 1024
    assert reaches(inside.host(), "127.0.0.1", int(found.group(1)))


def test_ports_when_nobody_listens_inside_then_the_client_is_not_left_waiting(inside: Inside) -> None:
    port = free_ports(1)
    _publish(inside, "server", f"{port}:99")
    answer = inside.host().tries("rtt", "127.0.0.1", port, 1, seconds=10)
    assert answer.startswith("error"), answer


def test_ports_when_a_thousand_are_published_then_each_leads_in_and_is_free_again(pod: Pod, inside: Inside) -> None:
    first = free_ports(1000)
    last, beyond = first + 999, netload.PORT + 999
    inside.serving("server", "-p", f"{first}-{last}:{netload.PORT}-{beyond}", ports=1000)
    client = inside.host()
    bindings = pod.inspect("server")["NetworkSettings"]["Ports"]
    assert len(bindings) == 1000
    assert {"HostIp": "0.0.0.0", "HostPort": str(last)} in bindings[f"{beyond}/tcp"]
    for port in (first, first + 500, last):
        assert client.ask("who", "127.0.0.1", port)
    shown = pod("port", "server", f"{beyond}/tcp").ok()
    assert f"0.0.0.0:{last}" in shown
    again = pod("run", "--rm", "--network", "bridge", "-p", f"{last}:80", inside.image, "true")
    again.failed(125, "port is already allocated", f"0.0.0.0:{last}")
    many = pod("run", "--network", "bridge", "-p", f"{first}-{last + 1}:1-1001", inside.image, "true")
    many.failed(125, "at most 1000")
    pod("rm", "-f", "server").ok()
    inside.serving("next", "-p", f"{last}:{netload.PORT}")


def test_ports_when_all_networks_are_internal_then_they_wait_for_one_that_is_not(pod: Pod, inside: Inside) -> None:
    """As Docker does: what cannot be answered is not listened for."""
    client = inside.host()
    port = free_ports(1)
    inside.network("shut", "--internal")
    inside.network("open")
    _publish(inside, "server", f"{port}:{netload.PORT}", network="shut")
    refused = "error connect: Connection refused"
    assert client.tries("who", "127.0.0.1", port) == refused
    assert pod("port", "server").ok() == ""
    pod("network", "connect", "open", "server").ok()
    assert reaches(client, "127.0.0.1", port)
    assert f"0.0.0.0:{port}" in pod("port", "server").ok()
    pod("network", "disconnect", "open", "server").ok()
    assert client.tries("who", "127.0.0.1", port) == refused
    _publish(inside, "other", f"{port}:{netload.PORT}")
    taken = pod("network", "connect", "open", "server")
    taken.failed(1, "port is already allocated")
    assert sorted(inside.networks_of("server")) == ["shut"]


def _storm(agent: netload.Agent, address: str, port: int, total: int, at_once: int, ports: int = 1) -> None:
    good, bad, *why = agent.ask("storm", address, port, total, at_once, ports, seconds=300)
    assert (int(good), int(bad)) == (total, 0), " ".join(why)


def test_ports_when_a_thousand_connect_at_once_then_nothing_is_lost(inside: Inside) -> None:
    """Half-closes, resets of either side and slow readers among them, every byte compared; in and out."""
    port = free_ports(1)
    inside.serving("server", "-p", f"{port}:{netload.PORT}")
    client = inside("client")
    _storm(inside.host(), host_address(), port, 2000, 1000)
    _storm(client, host_address(), inside.host_port, 2000, 1000)


@pytest.mark.slow
def test_ports_when_a_hundred_thousand_connect_then_nothing_is_lost_or_kept(inside: Inside) -> None:
    many = 16
    port = free_ports(many)
    inside.serving("server", "-p", f"{port}-{port + many - 1}:{netload.PORT}-{netload.PORT + many - 1}", ports=many)
    client = inside("client")
    inside.host(many)
    before = {}
    for total in (2000, 100_000):
        _storm(inside.host(), host_address(), port, total, 1000, many)
        _storm(client, host_address(), inside.host_port, total, 1000, many)
        staying = [pid for pid, name in netd.processes(inside.pod.root).items() if name != "pod-netd-tcp"]
        if not before:
            before = {pid: netd.memory(pid) for pid in staying}
    assert sorted(before) == sorted(staying)
    for pid, kilobytes in before.items():
        assert netd.memory(pid) <= kilobytes + 256, pid
    until(lambda: not netd.pids(inside.pod.root, "pod-netd-tcp"), 30, "the processes of connections to go")
