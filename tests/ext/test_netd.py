"""pod-netd as supervisors meet it: bridges, interfaces, addresses, names in hosts; by real namespaces."""

from __future__ import annotations

import errno
import json
import os
import signal
import struct
from typing import Any

import pytest

from pod.core.network import wire
from tests.support import kernel
from tests.support.netd_driver import (
    CONNECT,
    INTERFACES,
    LISTEN,
    ROUTES,
    Container,
    Net,
    identity,
    interface,
    number,
    subnet,
    text,
    wait_for,
)


def answers(client: Container, server: Container, address: str, port: int) -> bool:
    """A connection from one to the other by address works."""
    server.run(LISTEN, "::" if ":" in address else "0.0.0.0", port)
    return bool(client.run(CONNECT, address, port))


def default_route(container: Container) -> dict[str, str]:
    """{"v4": "eth0 172.18.0.1", "v6": "eth0"}: only those that there are."""
    v4, v6, _ = container.run(ROUTES)
    found = {}
    for line in v4.splitlines()[1:]:
        name, destination, gateway = line.split()[:3]
        if destination == "00000000":
            found["v4"] = f"{name} {'.'.join(str(byte) for byte in bytes.fromhex(gateway)[::-1])}"
    for line in v6.splitlines():
        fields = line.split()
        if fields[0] == "0" * 32 and fields[1] == "00" and fields[-1] != "lo":
            found["v6"] = fields[-1]
    return found


def test_two_containers_reach_each_other_by_address(net: Net) -> None:
    one, _, first = net.register(1, interface(v6=True))
    two, _, second = net.register(2, interface(v6=True))
    assert (first.type, second.type) == ("DONE", "DONE")
    state = first.state["Networks"]["net"]
    assert state["IPAddress"] == "172.18.0.2"
    assert state["Gateway"] == "172.18.0.1"
    assert state["MacAddress"] == "02:42:ac:12:00:02"
    assert second.state["Networks"]["net"]["IPAddress"] == "172.18.0.3"
    assert answers(two, one, "172.18.0.2", 80)
    assert answers(one, two, second.state["Networks"]["net"]["GlobalIPv6Address"], 81)
    assert one.run(INTERFACES) == {"lo": "00:00:00:00:00:00", "eth0": "02:42:ac:12:00:02"}
    assert first.get("HOSTS").decode() == "172.18.0.2\thost1\nfd00:18::2\thost1\n"
    # At once: no address waits for duplicates (RTF flags: IFA_F_TENTATIVE 0x40).
    for line in one.run(ROUTES)[2].splitlines():
        assert not int(line.split()[4], 16) & 0x40, line
    assert default_route(one) == {"v4": "eth0 172.18.0.1", "v6": "eth0"}


def test_networks_do_not_reach_each_other(net: Net) -> None:
    one, _, _ = net.register(1, interface("a", 18, v6=True))
    two, _, _ = net.register(2, interface("b", 19, v6=True))
    assert not answers(one, two, "172.19.0.2", 80)
    assert not answers(one, two, "fd00:19::2", 81)
    assert two.run(CONNECT, "::1", 81)


def test_isolated_containers_do_not_reach_each_other(net: Net) -> None:
    one, _, _ = net.register(1, interface("a", 18, 2))
    two, _, _ = net.register(2, interface("a", 18, 2))
    assert not answers(one, two, "172.18.0.3", 80)
    assert default_route(one) == {"v4": "eth0 172.18.0.1"}


def test_internal_networks_have_no_way_out(net: Net) -> None:
    one, _, first = net.register(1, interface("a", 18, 1, v6=True))
    two, _, _ = net.register(2, interface("a", 18, 1, v6=True))
    assert default_route(one) == {}
    assert first.state["Networks"]["a"]["Gateway"] == ""
    assert answers(two, one, "172.18.0.2", 80)


def test_several_networks_give_several_interfaces_and_one_default_route(net: Net) -> None:
    one, _, done = net.register(
        1, interface("z", 18) + interface("b", 19) + interface("a", 20, 1) + interface("c", 21, v6=True)
    )
    assert sorted(one.run(INTERFACES)) == ["eth0", "eth1", "eth2", "eth3", "lo"]
    assert [state["Interface"] for state in done.state["Networks"].values()] == ["eth0", "eth1", "eth2", "eth3"]
    # The first by name of those that lead out; IPv6 has its own.
    assert default_route(one) == {"v4": "eth1 172.19.0.1", "v6": "eth3"}
    two, _, _ = net.register(2, interface("a", 30) + interface("z", 31, 4, number("PRIORITY", 5)))
    assert default_route(two) == {"v4": "eth1 172.31.0.1"}
    three, _, _ = net.register(3, interface("a", 30, 4, number("PRIORITY", -5)) + interface("z", 31))
    assert default_route(three) == {"v4": "eth1 172.31.0.1"}


def test_addresses_are_the_lowest_free_ones(net: Net) -> None:
    taken = wire.item("TAKEN", wire.address("172.18.0.4"))
    wanted = wire.item("ADDRESS", wire.address("172.18.0.3"))
    kept = [
        net.register(count, interface("a", 18, 4, taken, *more)) for count, more in ((1, []), (2, [wanted]), (3, []))
    ]
    assert [done.state["Networks"]["a"]["IPAddress"] for _, _, done in kept] == [
        "172.18.0.2",
        "172.18.0.3",
        "172.18.0.5",
    ]
    kept[0][1].close()
    other = net.register(4, interface("a", 18, 4, taken))[2]
    assert other.state["Networks"]["a"]["IPAddress"] == "172.18.0.2"


@pytest.mark.parametrize(
    ("address", "number_"),
    [
        ("172.18.0.2", errno.EADDRINUSE),
        ("172.18.0.1", errno.EADDRINUSE),
        ("172.18.0.0", errno.EADDRINUSE),
        ("172.18.255.255", errno.EADDRINUSE),
        ("172.19.0.2", errno.EINVAL),
        ("fd00:18::2", errno.EINVAL),
    ],
)
def test_an_address_that_cannot_be_given_fails_and_changes_nothing(net: Net, address: str, number_: int) -> None:
    net.register(1, interface())
    container, connection, failed = net.register(
        2, interface("net", 18, 4, wire.item("ADDRESS", wire.address(address)))
    )
    named = "net" if ":" in address else address
    assert (failed.type, failed.failure) == ("FAILED", ("ADDRESS", number_, named))
    assert "eth0" not in container.run(INTERFACES)
    done = connection.ask("REGISTER", identity(2) + number("FDS", 31) + interface(), container.fds)
    assert done.state["Networks"]["net"]["IPAddress"] == "172.18.0.3"


def test_a_full_network_says_so(net: Net) -> None:
    few = [wire.item("END", b""), text("NET_ID", "f"), text("NET_NAME", "few"), text("BRIDGE", "br-few")]
    items = b"".join([*few, subnet("10.9.0.0", "10.9.0.1", "10.9.0.0", "10.9.0.3", 30)])
    assert net.register(1, items)[2].state["Networks"]["few"]["IPAddress"] == "10.9.0.2"
    assert net.register(2, items)[2].failure == ("ADDRESS", errno.EADDRNOTAVAIL, "few")


def test_mac_and_mtu_are_what_was_asked_for(net: Net) -> None:
    mac = wire.item("MAC", bytes.fromhex("0242c0a80001"))
    one, _, done = net.register(1, interface("a", 18, 4, mac, number("MTU", 1400)))
    assert done.state["Networks"]["a"]["MacAddress"] == "02:42:c0:a8:00:01"
    assert one.run(INTERFACES)["eth0"] == "02:42:c0:a8:00:01"
    assert one.run(MTU, "eth0") == 1400
    two, _, _ = net.register(2, interface("b", 19))
    assert two.run(MTU, "eth0") == 65520


MTU = """
def main(name):
    import fcntl
    with socket.socket() as control:
        return struct.unpack("16sI", fcntl.ioctl(control, 0x8921, struct.pack("16s24x", name.encode()))[:20])[1]
"""


def test_networks_come_and_go_while_a_container_runs(net: Net) -> None:
    one, connection, _ = net.register(1, interface("a", 18))
    two, _, _ = net.register(2, interface("b", 17))
    assert not answers(one, two, "172.17.0.2", 80)
    done = connection.ask("CONNECT", interface("b", 17, 4, text("ALIAS", "alias")))
    assert done.type == "DONE"
    assert {name: state["IPAddress"] for name, state in done.state["Networks"].items()} == {
        "a": "172.18.0.2", "b": "172.17.0.3"
    }  # fmt: skip
    assert sorted(one.run(INTERFACES)) == ["eth0", "eth1", "lo"]
    assert answers(one, two, "172.17.0.2", 81)
    assert connection.ask("CONNECT", interface("b", 17)).failure[:2] == ("NETWORK", errno.EEXIST)
    done = connection.ask("DISCONNECT", text("NET_ID", f"{18:064x}"))
    assert list(done.state["Networks"]) == ["b"]
    assert sorted(one.run(INTERFACES)) == ["eth1", "lo"]
    assert default_route(one) == {"v4": "eth1 172.17.0.1"}
    assert connection.ask("DISCONNECT", text("NET_ID", f"{18:064x}")).failure[:2] == ("NETWORK", errno.ENOENT)
    connection.ask("CONNECT", interface("a", 18))
    assert sorted(one.run(INTERFACES)) == ["eth0", "eth1", "lo"]
    assert default_route(one) == {"v4": "eth0 172.18.0.1"}


def test_a_process_that_starts_again_keeps_its_address(net: Net) -> None:
    one, connection, done = net.register(1, interface())
    lease = wire.item("LEASE", done.get("LEASE"))
    connection.send("RELEASE")
    one.end()
    assert net.register(2, interface())[2].state["Networks"]["net"]["IPAddress"] == "172.18.0.2"
    one = net.container()
    done = connection.ask("REGISTER", identity(1) + number("FDS", 31) + interface("net", 18, 4, lease), one.fds)
    assert done.state["Networks"]["net"]["IPAddress"] == "172.18.0.3", "that one was taken meanwhile"
    lease = wire.item("LEASE", done.get("LEASE"))
    connection.send("RELEASE")
    one.end()
    one = net.container()
    done = connection.ask("REGISTER", identity(1) + number("FDS", 31) + interface("net", 18, 4, lease), one.fds)
    assert done.state["Networks"]["net"]["IPAddress"] == "172.18.0.3"
    assert "eth0" in one.run(INTERFACES)


def test_who_has_a_link_hears_of_the_other(net: Net) -> None:
    _, connection, done = net.register(
        1, interface("net", 18, 0, text("LINK", f"db={2:064x}"), text("LINK", f"box3={3:064x}"))
    )
    own = "172.18.0.2\thost1\n"
    assert done.get("HOSTS").decode() == own
    _, other, _ = net.register(2, interface("net", 18, 0))
    assert connection.receive().get("HOSTS").decode() == own + "172.18.0.3\tdb host2 box2\n"
    net.register(3, interface("net", 18, 0))
    changed = connection.receive()
    assert changed.type == "CHANGED"
    assert changed.get("HOSTS").decode() == own + "172.18.0.3\tdb host2 box2\n172.18.0.4\tbox3 host3\n"
    assert other.ask("RENAME", text("NAME", "new")).type == "DONE"
    assert "172.18.0.3\tdb host2 new\n" in connection.receive().get("HOSTS").decode()
    other.close()
    assert connection.receive().get("HOSTS").decode() == own + "172.18.0.4\tbox3 host3\n"


def test_a_host_name_with_a_domain_is_there_in_both_forms(net: Net) -> None:
    container = net.container()
    items = text("CONTAINER", f"{1:064x}") + text("HOSTNAME", "a.b.c") + number("FDS", 31) + interface()
    assert net.connect().ask("REGISTER", items, container.fds).get("HOSTS").decode() == "172.18.0.2\ta.b.c a\n"


def test_query_tells_of_everything(net: Net) -> None:
    import json

    net.register(1, interface("a", 18, v6=True))
    found = json.loads(net.connect().ask("QUERY").get("JSON"))
    assert found["Holder"] in net.process("pod-holder")
    (network,) = found["Networks"]
    assert (network["Name"], network["Bridge"], network["Ends"]) == ("a", "br-18", 1)
    assert network["Gateways"] == ["172.18.0.1/16", "fd00:18::1/64"]
    (container,) = found["Containers"]
    assert container["Name"] == "box1"
    assert container["State"]["Networks"]["a"]["IPAddress"] == "172.18.0.2"
    assert container["Outer"][0].startswith("veth")


def test_a_removed_network_makes_room_for_another_of_the_same_subnet(net: Net) -> None:
    _, connection, _ = net.register(1, interface("a", 18))
    connection.close()
    items = interface("b", 18).replace(f"{18:064x}".encode(), f"{99:064x}".encode()).replace(b"br-18", b"br-99")
    one, _, done = net.register(2, items)
    assert done.state["Networks"]["b"]["IPAddress"] == "172.18.0.2"
    two, _, _ = net.register(3, items)
    assert answers(two, one, "172.18.0.2", 80)
    again, _, done = net.register(4, interface("c", 20).replace(b"br-20", b"br-18"))
    assert done.type == "DONE"
    assert default_route(again) == {"v4": "eth0 172.20.0.1"}


def test_the_resolver_is_reached_at_its_own_address(net: Net) -> None:
    one, _, _ = net.register(1, interface("a", 18, 4, text("ALIAS", "web")))
    net.register(2, interface("a", 18, 4, text("ALIAS", "db")))
    query = struct.pack(">6H", 7, 0x100, 1, 0, 0, 0) + b"\2db\0" + struct.pack(">2H", 1, 1)
    for stream in (False, True):
        answer = one.run(ASK, query, stream)
        assert answer[:2] == b"\0\7"
        assert answer[-4:] == bytes((172, 18, 0, 3))


ASK = """
def main(query, stream):
    kind = socket.SOCK_STREAM if stream else socket.SOCK_DGRAM
    with socket.socket(socket.AF_INET, kind) as asker:
        asker.settimeout(5)
        asker.connect(("127.0.0.11", 53))
        asker.send(len(query).to_bytes(2, "big") + query if stream else query)
        return asker.recv(512)[2 if stream else 0 :]
"""


def test_the_last_container_takes_everything_along(net: Net) -> None:
    container, connection, _ = net.register(1, interface())
    (netd,) = net.process()
    connection.close()
    container.end()
    wait_for(lambda: not net.process(), 5)
    assert not net.process("pod-holder")
    assert [path.name for path in net.folder.iterdir()] == ["lock"]
    net.register(2, interface())
    assert net.process() != [netd]


@pytest.mark.parametrize("kind", ["macvlan", "ipvlan"])
def test_macvlan_and_ipvlan_work_between_containers(net: Net, kind: str) -> None:
    items = interface("v", 18, 4, text("KIND", kind), v6=True)
    one, connection, done = net.register(1, items)
    if not kernel.has_link(kind):
        assert done.failure == ("NETWORK", errno.EOPNOTSUPP, kind)
        return
    two, _, _ = net.register(2, items)
    assert done.type == "DONE", done.failure
    assert done.state["Networks"]["v"]["IPAddress"] == "172.18.0.2"
    assert answers(two, one, "172.18.0.2", 80)
    assert answers(one, two, "fd00:18::3", 81)
    assert default_route(one)["v4"] == "eth0 172.18.0.1"
    connection.ask("CONNECT", interface("b", 19))
    assert list(connection.ask("DISCONNECT", text("NET_ID", f"{18:064x}")).state["Networks"]) == ["b"]
    assert sorted(one.run(INTERFACES)) == ["eth1", "lo"]
    assert not answers(two, one, "172.18.0.2", 82)


def test_a_kind_that_there_is_not_is_refused(net: Net) -> None:
    failed = net.register(1, interface("v", 18, 4, text("KIND", "vxlan")))[2]
    assert failed.failure == ("NETWORK", errno.EOPNOTSUPP, "vxlan")


def _published(first: int, count: int, *, any_port: bool = False) -> bytes:
    """PORT of as many TCP ports as COUNT on 127.0.0.1, of FIRST and up or of the kernel's choice."""
    low = [0 if any_port else first + step for step in range(count)]
    ports = (struct.pack("<HHHBB", one, one, 1 + step, 6, 0) for step, one in enumerate(low))
    return b"".join(wire.item("PORT", wire.address("127.0.0.1") + one) for one in ports)


def _host_ports(state: dict[str, Any]) -> list[int]:
    return [int(state["Ports"][key][0]["HostPort"]) for key in sorted(state["Ports"], key=lambda key: int(key[:-4]))]


def test_a_thousand_ports_are_published_and_kept_by_the_next_netd(net: Net) -> None:
    connection = net.connect()
    kept = connection.receive().fds
    one = net.container()
    items = identity(1) + number("FDS", 31) + _published(0, 1000, any_port=True) + interface()
    done = connection.ask("REGISTER", items, one.fds)
    ports = _host_ports(done.state)
    assert len(set(ports)) == 1000
    assert struct.unpack("<1000H", done.get("PORTS")) == tuple(ports)
    for pid in net.process():
        os.kill(pid, signal.SIGKILL)
    wait_for(lambda: not net.process())
    leases = wire.item("PORTS", done.get("PORTS")), wire.item("LEASE", done.get("LEASE"))
    again = net.connect(kept).ask("REGISTER", leases[0] + items + leases[1], one.fds)
    assert _host_ports(again.state) == ports


def test_what_a_message_cannot_tell_is_not_done(net: Net) -> None:
    """Neither with more ports than there may be nor with an answer that has no room."""
    for count in (2049, 4000):
        failed = net.register(1, _published(30000, count) + interface())[2]
        assert failed.failure == ("NETWORK", errno.E2BIG, "ports")
    links = b"".join(text("LINK", f"{'a' * 200}{number_:02}={2:064x}") for number_ in range(64))
    networks = [interface(f"n{third}", third, 4, links) for third in range(40, 47)]
    assert net.register(2, b"".join(interface(f"n{third}", third) for third in range(40, 47)))[2].type == "DONE"
    ports = _published(0, 2048, any_port=True)
    failed = net.register(3, ports + b"".join(networks))[2]
    assert failed.failure == ("NETWORK", errno.EMSGSIZE, "answer")
    _, connection, done = net.register(4, ports + b"".join(networks[:3]))
    assert done.state["Networks"]["n40"]["IPAddress"] == "172.40.0.3", "nothing is left of the one before"
    answers_ = [connection.ask("CONNECT", network) for network in networks[3:]]
    assert answers_[-1].failure == ("NETWORK", errno.EMSGSIZE, "answer")
    found = json.loads(b"".join(value for name, value in connection.ask("QUERY").items if name == "JSON"))
    assert {one["Name"]: one["Ends"] for one in found["Networks"]}["n46"] == 1
    assert connection.ask("RENAME", text("NAME", "short")).type == "DONE", "what was done before holds"
