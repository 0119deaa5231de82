"""network create, ls, inspect, rm, prune, connect, disconnect of what does not run; run's flags that are refused."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tests.support.podcli import Pod

pytestmark = pytest.mark.alike


@pytest.fixture
def networks(pod: Pod) -> Iterator[Pod]:
    """The store, in which the test's networks go when it ends."""
    yield pod
    pod.tidy()
    pod("network", "prune", "-f").ok()


def names(pod: Pod, *flags: str) -> list[str]:
    return pod("network", "ls", "--format", "{{.Name}}", *flags).ok().split()


def test_network_is_created_listed_inspected_and_removed(networks: Pod) -> None:
    pod = networks
    made = pod("network", "create", "--label", "a=b", "--internal", "--subnet", "10.201.0.0/24", "front").ok().strip()
    assert len(made) == 64
    assert names(pod) == ["bridge", "front", "host", "none"]
    table = pod("network", "ls", "-f", "label=a").ok().splitlines()
    assert table[0].split("  ")[0] == "NETWORK ID"
    assert table[1].split() == [made[:12], "front", "bridge", "local"]
    assert pod("network", "ls", "-q", "--no-trunc", "-f", "name=front").ok() == made + "\n"
    (row,) = pod("network", "ls", "-f", "id=" + made[:20], "--format", "json").ok().splitlines()
    assert json.loads(row)["Internal"] == "true"
    (document,) = json.loads(pod("network", "inspect", made[:10]).ok())
    assert document["Name"] == "front"
    assert document["IPAM"]["Config"] == [{"Subnet": "10.201.0.0/24", "Gateway": "10.201.0.1"}]
    assert json.loads(pod("inspect", "front").ok()) == [document]
    assert pod("inspect", "--type", "network", "-f", "{{.Labels.a}}", "front").ok() == "b\n"
    done = pod("network", "rm", "front", "nothing")
    assert "network nothing not found" in done.failed(1)
    assert done.out == "front\n"
    assert not pod("network", "rm", "-f", "front").ok()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("create", "bridge"), "operation is not permitted on predefined bridge network"),
        (("create", "-d", "overlay", "x"), "This node is not a swarm manager"),
        (("create", "-d", "weave", "x"), 'plugin "weave" not found'),
        (("create", "-o", "parent=eth0", "-d", "macvlan", "x"), "can be used by root alone"),
        (("create", "--config-only", "x"), "--config-only"),
        (("rm", "host"), "host is a pre-defined network and cannot be removed"),
        (("ls", "-f", "color=red"), "invalid filter 'color'"),
        (("inspect", "nothing"), "network nothing not found"),
        (("connect", "nothing", "nobody"), "No such container: nobody"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_network_commands_fail_in_dockers_words(networks: Pod, words: tuple[str, ...], said: str) -> None:
    done = networks("network", *words)
    assert said in done.err
    assert done.code == (125 if {"overlay", "parent=eth0", "--config-only"} & set(words) else 1)
    assert names(networks) == ["bridge", "host", "none"]


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--network", "nothing"), "network nothing not found"),
        (("--network", "bridge", "--network-alias", "a"), "network-scoped alias is supported only for containers"),
        (("--network", "bridge", "--ip", "172.17.0.9"), "IP address is supported on user defined networks"),
        (("--network", "auto", "--ip", "172.18.0.9"), "only when connecting to networks with user configured subnets"),
        (("--network", "own", "--ip", "10.9.9.9"), "no configured subnet or ip-range contain the IP address 10.9.9.9"),
        (("--network", "own", "--ip", "x"), 'invalid argument "x" for "--ip" flag'),
        (("--network", "own", "--mac-address", "x"), "x is not a valid mac address"),
        (("--network", "own", "--network", "own"), 'network "own" is specified multiple times'),
        (("--network", "own", "--network", "bridge"), "cannot attach both user-defined and non-user-defined"),
        (("--network", "name=own,alias=a", "--network-alias", "b"), "cannot specify both --network-alias and per"),
        (("--network", "bridge", "--link", "nobody"), "could not get container for nobody: No such container: nobody"),
        (("--network", "host", "--link", "a"), "host type networking can't be used with links"),
        (("--network", "own", "--link-local-ip", "169.254.1.1"), "one address of each family"),
        (("--network", "container:"), "invalid network mode"),
        (("--network", "container:nobody"), "No such container: nobody"),
        (("--network", "container:held", "-p", "80"), "port publishing and the container type network mode"),
        (("--network", "container:held", "-h", "x"), "conflicting options: hostname and the network mode"),
        (("--network", "container:held", "--dns", "1.1.1.1"), "conflicting options: dns and the network mode"),
        (("-p", "x:80"), "invalid hostPort: x"),
        (("-p", "80/sctp"), "SCTP cannot be published"),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(value),
)
def test_flags_that_contradict_are_refused(networks: Pod, busybox: str, flags: tuple[str, ...], said: str) -> None:
    pod = networks
    pod("network", "create", "auto").ok()
    pod("network", "create", "--subnet", "10.202.0.0/24", "own").ok()
    if "container:held" in flags:
        pod("create", "--name", "held", "--network", "none", busybox).ok()
    done = pod("create", *flags, busybox, "true")
    assert said in done.err
    assert done.code == 125
    assert pod("ps", "-aq", "-f", "name=^/[^h]").ok() == ""


def test_what_a_container_asks_for_is_in_its_document(networks: Pod, busybox: str) -> None:
    pod = networks
    pod("network", "create", "--subnet", "10.203.0.0/24", "one").ok()
    pod("network", "create", "two").ok()
    flags = ("--network", "name=one,alias=a,ip=10.203.0.9", "--network", "two", "--mac-address", "02-42-0A-CB-00-09")
    ports = ("-p", "127.0.0.1:8080:80", "-p", "9000-9001/udp", "--expose", "70", "-P", "--port-fallback")
    pod("create", "--name", "web", *flags, *ports, "--add-host", "up:host-gateway", busybox, "true").ok()
    document = pod.inspect("web")
    host, settings = document["HostConfig"], document["NetworkSettings"]
    assert host["NetworkMode"] == "one"
    assert host["ExtraHosts"] == ["up:host-gateway"]
    assert host["PublishAllPorts"]
    assert host["PortBindings"]["80/tcp"] == [{"HostIp": "127.0.0.1", "HostPort": "8080"}]
    assert sorted(document["Config"]["ExposedPorts"]) == ["70/tcp", "80/tcp", "9000/udp", "9001/udp"]
    assert list(settings["Networks"]) == ["one", "two"]
    one = settings["Networks"]["one"]
    assert one["IPAMConfig"] == {"IPv4Address": "10.203.0.9"}
    assert one["Aliases"] == ["a"]
    assert one["MacAddress"] == "02:42:0a:cb:00:09"
    assert one["DNSNames"] == ["web", "a", document["Id"][:12]]
    assert (one["IPAddress"], settings["Ports"], settings["IPAddress"]) == ("", {}, "")
    assert pod("ps", "-a", "--format", "{{.Networks}}").ok() == "one,two\n"
    for value in ("one", "two", json.loads(pod("network", "inspect", "two").ok())[0]["Id"][:20]):
        assert pod("ps", "-aq", "--no-trunc", "-f", f"network={value}").ok() == document["Id"] + "\n"
    assert pod("ps", "-aq", "-f", "publish=80", "-f", "expose=70").ok()


def test_networks_of_what_does_not_run_are_changed_for_its_next_start(networks: Pod, busybox: str) -> None:
    pod = networks
    pod("network", "create", "--subnet", "10.204.0.0/24", "front").ok()
    pod("create", "--name", "web", "--network", "bridge", busybox, "true").ok()
    pod("network", "connect", "--alias", "a,b", "--ip", "10.204.0.7", "--link", "db:store", "front", "web").ok()
    pod("rename", "web", "www").ok()
    found = pod.inspect("www")["NetworkSettings"]["Networks"]
    assert list(found) == ["bridge", "front"]
    assert (found["front"]["Aliases"], found["front"]["Links"]) == (["a", "b"], ["db:store"])
    assert found["front"]["IPAMConfig"] == {"IPv4Address": "10.204.0.7"}
    pod("network", "connect", "front", "www").ok()  # anew, without
    assert pod.inspect("www")["NetworkSettings"]["Networks"]["front"]["Aliases"] is None
    for network in ("bridge", "front"):
        pod("network", "disconnect", network, "www").ok()
    assert pod.inspect("www")["NetworkSettings"]["Networks"] == {}
    identity = pod.inspect("www")["Id"]
    pod("network", "disconnect", "front", "www").failed(1, f"container {identity} is not connected to network front")
    pod("network", "connect", "host", "www").failed(1, "cannot be disconnected from host network or connected to host")
    pod("network", "connect", "none", "www").failed(1, "one of the networks in private (none) mode")
    pod("network", "connect", "--ip", "10.9.9.9", "front", "www").failed(1, "no configured subnet or ip-range contain")
    pod("create", "--name", "shared", "--network", "container:www", busybox).ok()
    pod("network", "connect", "front", "shared").failed(1, "container sharing network namespace with another container")
    told = pod("events", "--since", "1h", "--until", "0s", "-f", "network=front", "--format", "{{.Action}}").ok()
    assert told.split()[-4:] == ["create", "connect", "connect", "disconnect"]


def test_networks_that_containers_have_are_not_pruned_and_are_missed_when_removed(networks: Pod, busybox: str) -> None:
    pod = networks
    for name in ("used", "idle"):
        pod("network", "create", name).ok()
    pod("create", "--name", "web", "--network", "used", busybox, "true").ok()
    assert names(pod, "-f", "dangling=true") == ["idle"]
    assert pod("network", "prune", stdin=b"n\n").ok().endswith("[y/N] ")
    assert pod("network", "prune", "-f", "--filter", "until=1h").ok() == ""
    assert pod("network", "prune", "-f").ok() == "Deleted Networks:\nidle\n\n"
    assert pod("network", "rm", "used").ok() == "used\n"
    pod("start", "web").failed(1, "network used not found")
    pod("network", "disconnect", "used", "web").failed(1, "network used not found")
    pod("network", "disconnect", "-f", "used", "web").ok()
    assert pod.inspect("web")["NetworkSettings"]["Networks"] == {}


def test_networks_are_completed(networks: Pod) -> None:
    pod = networks
    pod("network", "create", "front").ok()
    assert pod("__complete", "--", "network", "rm", "f").ok() == "front\n"
    modes = pod("__complete", "--", "run", "--network", "").ok().split()
    assert modes == ["bridge", "front", "host", "none", "private"]
    assert pod("__complete", "--", "network", "ls", "-f", "dri").ok() == "driver=\n"
    assert "connect" in pod("__complete", "--", "network", "").ok()
