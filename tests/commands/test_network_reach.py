"""Containers on networks of the user's: who resolves and reaches whom, by name, alias and address, IPv4 and IPv6."""

from __future__ import annotations

import ipaddress

import pytest

from tests.support.inside import AAAA, NXDOMAIN, PTR, A, Inside, found, host_address, reaches
from tests.support.podcli import Pod, until

BOTH = ("--ipv6", "--subnet", "10.88.1.0/24", "--subnet", "fd00:88:1::/64")


@pytest.fixture
def pair(inside: Inside) -> Inside:
    """One called server, with aliases on the network "one", which has both families."""
    inside.network("one", *BOTH)
    inside.serving("server", "--network", "one", "--network-alias", "web", "--network-alias", "db.example")
    return inside


def test_names_when_two_are_on_a_network_then_all_of_a_name_are_resolved_and_reached(pod: Pod, pair: Inside) -> None:
    client = pair("client", "--network", "one")
    four, six = pair.address("server", "one"), pair.address("server", "one", "GlobalIPv6Address")
    container_id = pod.inspect("server")["Id"]
    for name in ("server", "web", "db.example", container_id[:12], "SERVER", "Web"):
        assert found(client, name) == [four], name
        assert found(client, name, AAAA) == [six], name
    assert reaches(client, four)
    assert reaches(client, six)
    reverse = ipaddress.ip_address(four).reverse_pointer
    assert found(client, reverse, PTR) in (["server.one."], ["server."])
    assert pod("exec", "client", "nslookup", "server").ok().count(four) == 1
    assert f"{client.ask('who', four, 4777)[0]}" == pair.address("client", "one")


def test_names_when_one_family_exists_then_the_other_is_an_empty_answer(inside: Inside) -> None:
    inside.network("plain")
    client = inside("client", "--network", "plain")
    assert found(client, "client") == [inside.address("client", "plain")]
    assert found(client, "client", AAAA) == []


def test_names_when_on_another_network_then_neither_name_nor_address_is_there_until_connected(
    pod: Pod, pair: Inside
) -> None:
    pair.network("two", "--ipv6", "--subnet", "fd00:88:2::/64")
    four, six = pair.address("server", "one"), pair.address("server", "one", "GlobalIPv6Address")
    client = pair("client", "--network", "two")
    assert not found(client, "server")[0].startswith("10.")
    assert not reaches(client, four)
    assert not reaches(client, six)

    pod("network", "connect", "--alias", "guest", "one", "client").ok()
    assert found(client, "server") == [four]
    assert reaches(client, four)
    assert reaches(client, six)
    assert set(pair.networks_of("client")) == {"one", "two"}
    assert "eth1" in pod("exec", "client", "ip", "addr").ok()
    assert found(pair.joined("server"), "guest") == [pair.address("client", "one")]

    pod("network", "disconnect", "one", "client").ok()
    assert found(client, "server") != [four]
    assert not reaches(client, four)
    assert set(pair.networks_of("client")) == {"two"}
    assert "eth1" not in pod("exec", "client", "ip", "addr").ok()


def test_addresses_when_chosen_then_they_are_kept_over_a_restart(pod: Pod, inside: Inside) -> None:
    inside.network("one", *BOTH)
    flags = ("--network", "one", "--ip", "10.88.1.77", "--ip6", "fd00:88:1::77")
    inside.serving("server", *flags)
    client = inside("client", "--network", "one")
    for _ in range(2):
        assert found(client, "server") == ["10.88.1.77"]
        assert found(client, "server", AAAA) == ["fd00:88:1::77"]
        assert reaches(client, "10.88.1.77")
        pod("restart", "-t", "0", "server").ok()
    taken = pod("run", "--rm", "--network", "one", "--ip", "10.88.1.77", inside.image, "true")
    taken.failed(125, "already")


def test_names_when_three_share_an_alias_then_all_come_round(pod: Pod, inside: Inside) -> None:
    inside.network("one")
    for number in range(3):
        inside.serving(f"replica{number}", "--network", "one", "--network-alias", "service")
    client = inside("client", "--network", "one")
    addresses = sorted(inside.address(f"replica{number}", "one") for number in range(3))
    first = set()
    for _ in range(30):
        answer = client.ask("look", "127.0.0.11", 53, A, "service")
        assert sorted(answer[1:]) == addresses
        first.add(answer[1])
    assert sorted(first) == addresses
    pod("rm", "-f", "replica1").ok()
    assert found(client, "service") == sorted({*addresses} - {addresses[1]})


def test_names_when_a_container_is_renamed_or_gone_then_so_is_its_name(pod: Pod, pair: Inside) -> None:
    client = pair("client", "--network", "one")
    four = pair.address("server", "one")
    pod("rename", "server", "renamed").ok()
    assert found(client, "renamed") == [four]
    assert found(client, "server") != [four]
    pod("rm", "-f", "renamed").ok()
    assert found(client, "renamed") != [four]
    assert found(client, "web") != [four]


def test_network_of_another_container_when_joined_then_it_is_the_same(pod: Pod, inside: Inside) -> None:
    inside.network("one")
    inside.serving("server", "--network", "one")
    client = inside("client", "--network", "one")
    joined = pod("run", "--rm", "--network", "container:server", inside.image, "sh", "-c", "ip -4 addr; hostname").ok()
    address = inside.address("server", "one")
    assert address in joined
    assert joined.splitlines()[-1] == pod.inspect("server")["Config"]["Hostname"]
    words = ("--network", "container:server", *inside.mount, inside.image, "/netload", "serve", "81")
    pod("run", "-d", "--name", "second", *words).ok()
    until(lambda: "ready" in pod("logs", "second").out, 20, "the second server")
    assert reaches(client, address, 81)
    assert found(inside.joined("second"), "client") == [inside.address("client", "one")]


def test_link_when_on_the_default_bridge_then_the_alias_is_in_hosts(pod: Pod, inside: Inside) -> None:
    inside.serving("database")
    client = inside("client", "--link", "database:db")
    address = inside.address("database", "bridge")
    assert reaches(client, address)
    hosts = pod("exec", "client", "cat", "/etc/hosts").ok()
    line = next(line for line in hosts.splitlines() if line.startswith(address + "\t"))
    assert "db" in line.split()
    assert "database" in line.split()
    pod("stop", "-t", "0", "database").ok()
    assert "db" not in pod("exec", "client", "cat", "/etc/hosts").ok().split()


def test_bridge_when_default_then_containers_meet_by_address_alone(pod: Pod, inside: Inside) -> None:
    inside.serving("server")
    client = inside("client")
    assert reaches(client, inside.address("server", "bridge"))
    assert pod("exec", "client", "ping", "-c", "1", "-w", "5", inside.address("server", "bridge")).code == 0
    assert pod("exec", "client", "nslookup", "server").code != 0
    top = pod.inspect("server")["NetworkSettings"]
    assert top["IPAddress"] == inside.address("server", "bridge")
    assert top["Gateway"] == "172.17.0.1"
    assert top["MacAddress"].count(":") == 5


def test_private_when_two_have_it_then_they_do_not_meet_and_still_get_out(inside: Inside) -> None:
    inside.serving("server", "--network", "private")
    client = inside("client", "--network", "private")
    plain = inside("plain")
    address = next(iter(inside.networks_of("server").values()))["IPAddress"]
    assert address
    assert not reaches(client, address)
    assert not reaches(plain, address)
    inside.host()
    assert reaches(client, host_address(), inside.host_port)


def test_internal_when_on_it_then_there_is_no_way_out_and_no_foreign_name(inside: Inside) -> None:
    inside.network("closed", "--internal")
    inside.serving("server", "--network", "closed")
    client = inside("client", "--network", "closed")
    inside.host()
    assert reaches(client, inside.address("server", "closed"))
    assert not reaches(client, host_address(), inside.host_port)
    assert found(client, "server") == [inside.address("server", "closed")]
    answer = client.ask("look", "127.0.0.11", 53, A, "deb.debian.org")
    assert answer[0] in (NXDOMAIN, "5", "2")
    assert answer[1:] == []
