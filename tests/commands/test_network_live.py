"""Networks of what runs: what inspect, port and ps tell, connect and disconnect at once, links, networks in use."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support import kernel
from tests.support.podcli import Pod


@pytest.fixture
def front(pod: Pod, busybox: str) -> Iterator[str]:
    """A network 10.231.0.0/24, and another one, back."""
    pod("network", "create", "--subnet", "10.231.0.0/24", "front").ok()
    pod("network", "create", "back").ok()
    yield "front"
    pod.tidy()
    pod("network", "prune", "-f").ok()


def addresses(pod: Pod, name: str) -> dict[str, str]:
    """Interface to IPv4 address, as the container sees it."""
    lines = pod("exec", name, "ip", "-o", "-4", "addr").ok().splitlines()
    return {line.split()[1]: line.split()[3] for line in lines if line.split()[1] != "lo"}


def test_running_containers_tell_their_addresses_and_ports(pod: Pod, busybox: str, front: str) -> None:
    flags = ("--network", f"name={front},alias=www,ip=10.231.0.9")
    ports = ("-p", "127.0.0.1::80", "-p", "53/udp", "--expose", "70")
    pod("run", "-d", "--name", "web", *flags, *ports, busybox, "sleep", "1000").ok()
    document = pod.inspect("web")
    settings = document["NetworkSettings"]
    end = settings["Networks"][front]
    assert (end["IPAddress"], end["IPPrefixLen"], end["Gateway"]) == ("10.231.0.9", 24, "10.231.0.1")
    assert end["NetworkID"] == json.loads(pod("network", "inspect", front).ok())[0]["Id"]
    assert end["DNSNames"] == ["web", "www", document["Id"][:12]]
    assert addresses(pod, "web") == {"eth0": "10.231.0.9/24"}
    assert pod("exec", "web", "cat", "/sys/class/net/eth0/address").ok().strip() == end["MacAddress"]
    assert settings["IPAddress"] == ""  # of the default network alone, as in Docker
    (bound,) = settings["Ports"]["80/tcp"]
    assert bound["HostIp"] == "127.0.0.1"
    assert settings["Ports"]["70/tcp"] is None
    assert pod("port", "web", "80").ok() == f"127.0.0.1:{bound['HostPort']}\n"
    assert f"80/tcp -> 127.0.0.1:{bound['HostPort']}\n" in pod("port", "web").ok()
    datagrams = {one["HostIp"]: one["HostPort"] for one in settings["Ports"]["53/udp"]}
    assert len(set(datagrams.values())) == 1
    shown = pod("ps", "--format", "{{.Ports}}").ok()
    assert f"127.0.0.1:{bound['HostPort']}->80/tcp" in shown
    assert f"0.0.0.0:{datagrams['0.0.0.0']}->53/udp" in shown
    (network,) = json.loads(pod("network", "inspect", "-v", front).ok())
    member = network["Containers"][document["Id"]]
    assert (member["Name"], member["IPv4Address"]) == ("web", "10.231.0.9/24")
    assert network["Holder"]["Ends"] == 1
    said = f'network {front} has active endpoints (name:"web" id:"{document["Id"][:12]}")'
    pod("network", "rm", front).failed(1, said)
    pod("stop", "-t", "0", "web").ok()
    assert pod.inspect("web")["NetworkSettings"]["Networks"][front]["IPAddress"] == ""
    assert pod.inspect("web")["NetworkSettings"]["Ports"] == {}


def test_default_network_is_told_at_the_top(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "web", "--network", "bridge", busybox, "sleep", "1000").ok()
    settings = pod.inspect("web")["NetworkSettings"]
    end = settings["Networks"]["bridge"]
    for member in ("IPAddress", "Gateway", "MacAddress", "EndpointID", "IPPrefixLen"):
        assert settings[member] == end[member] != ""
    assert addresses(pod, "web") == {"eth0": f"{end['IPAddress']}/{end['IPPrefixLen']}"}
    assert pod("ps", "--format", "{{.Networks}} {{json .IPAddresses}}").ok().startswith("bridge ")


def test_connect_and_disconnect_hold_at_once_and_after_a_restart(pod: Pod, busybox: str, front: str) -> None:
    pod("run", "-d", "--name", "web", "--network", "bridge", busybox, "sleep", "1000").ok()
    pod("run", "-d", "--name", "other", "--network", front, busybox, "sleep", "1000").ok()
    assert pod("exec", "other", "nslookup", "www").code == 1
    pod("network", "connect", "--alias", "www", "--ip", "10.231.0.77", front, "web").ok()
    pod("network", "connect", front, "web").failed(1, f"endpoint with name web already exists in network {front}")
    for name in ("www", "web"):
        assert "10.231.0.77" in pod("exec", "other", "nslookup", name).ok()
    assert addresses(pod, "web")["eth1"] == "10.231.0.77/24"
    assert pod.inspect("web")["NetworkSettings"]["Networks"][front]["IPAddress"] == "10.231.0.77"
    assert "127.0.0.11" in pod("exec", "web", "cat", "/etc/resolv.conf").ok()
    pod("network", "disconnect", "bridge", "web").ok()
    assert list(addresses(pod, "web").values()) == ["10.231.0.77/24"]
    pod("restart", "-t", "0", "web").ok()
    assert addresses(pod, "web") == {"eth0": "10.231.0.77/24"}
    assert list(pod.inspect("web")["NetworkSettings"]["Networks"]) == [front]
    pod("rename", "web", "site").ok()
    assert "10.231.0.77" in pod("exec", "other", "nslookup", "site").ok()
    pod("network", "disconnect", front, "site").ok()
    assert not addresses(pod, "site")
    assert pod("exec", "other", "nslookup", "www").code == 1


def test_connect_that_fails_changes_nothing(pod: Pod, busybox: str, front: str) -> None:
    for name in ("web", "other"):
        pod("run", "-d", "--name", name, "--network", "bridge", busybox, "sleep", "1000").ok()
    pod("network", "connect", "--ip", "10.231.0.5", front, "web").ok()
    pod("network", "connect", "--ip", "10.231.0.5", front, "other").failed(1, "Address already in use")
    assert list(pod.inspect("other")["NetworkSettings"]["Networks"]) == ["bridge"]
    assert list(addresses(pod, "other")) == ["eth0"]


def test_links_of_the_default_network_are_names_and_variables(pod: Pod, busybox: str) -> None:
    link = ("--network", "bridge", "--link", "db:store")
    flags = ("--network", "bridge", "--expose", "5432", "-e", "A=b")
    pod("run", "-d", "--name", "db", *flags, busybox, "sleep", "1000").ok()
    address = pod.inspect("db")["NetworkSettings"]["IPAddress"]
    script = "ping -c 1 store >/dev/null && grep store /etc/hosts && env"
    out = pod("run", "--rm", "--name", "web", *link, busybox, "sh", "-c", script).ok().splitlines()
    assert out[0].split()[:2] == [address, "store"]
    for line in (
        f"STORE_PORT=tcp://{address}:5432",
        f"STORE_PORT_5432_TCP_ADDR={address}",
        "STORE_PORT_5432_TCP_PROTO=tcp",
        "STORE_NAME=/web/store",
        "STORE_ENV_A=b",
    ):
        assert line in out
    pod("create", "--name", "web", *link, busybox).ok()
    assert pod.inspect("web")["HostConfig"]["Links"] == ["/db:/web/store"]
    assert pod.inspect("web")["NetworkSettings"]["Networks"]["bridge"]["Links"] is None
    pod("stop", "-t", "0", "db").ok()
    pod("start", "web").failed(1, "Cannot link to a non running container: /db AS /web/store")


@pytest.mark.alike
@pytest.mark.parametrize("driver", ["macvlan", "ipvlan", "none"])
def test_other_drivers_connect_containers_alone(pod: Pod, busybox: str, driver: str) -> None:
    pod("network", "create", "-d", driver, "closed").ok()
    try:
        started = pod("run", "-d", "--name", "peer", "--network", "closed", busybox, "sleep", "1000")
        if driver != "none" and not kernel.has_link(driver):
            started.failed(125, f"this kernel has no driver {driver}")
            return
        started.ok()
        done = pod("run", "--rm", "--network", "closed", busybox, "sh", "-c", "ip route; ping -c 1 -W 5 peer")
        assert "default" not in done.out
        assert ("1 packets received" in done.out) is (driver != "none")
        assert bool(addresses(pod, "peer")) is (driver != "none")
    finally:
        pod.tidy()
        pod("network", "rm", "closed").ok()


@pytest.mark.alike
@pytest.mark.parametrize("flags", [("private",), ("apart", "-o", "com.docker.network.bridge.enable_icc=false")])
def test_isolated_containers_do_not_see_each_other(pod: Pod, busybox: str, flags: tuple[str, ...]) -> None:
    if flags[0] != "private":
        pod("network", "create", *flags[1:], flags[0]).ok()
    pod("run", "-d", "--name", "peer", "--network", flags[0], busybox, "sleep", "1000").ok()
    address = pod.inspect("peer")["NetworkSettings"]["Networks"][flags[0]]["IPAddress"]
    for network in (flags[0], "bridge"):
        done = pod("run", "--rm", "--network", network, busybox, "ping", "-c", "1", "-W", "1", address)
        assert "0 packets received" in done.out
    pod.tidy()
    pod("network", "prune", "-f").ok()
