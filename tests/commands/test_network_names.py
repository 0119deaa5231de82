"""Names as programs in containers see them: nslookup, getent, /etc/hosts, resolv.conf."""

from __future__ import annotations

import os
import re
import signal
from collections.abc import Iterator

import pytest

from tests.commands.test_network_start import _netd as netd
from tests.support.podcli import Pod, until

SLEEP = ("sleep", "1000")


@pytest.fixture
def net(pod: Pod) -> Iterator[str]:
    """A network with both families; all that a test makes go with it."""
    pod("network", "create", "--ipv6", "names").ok()
    yield "names"
    pod.tidy()
    pod("network", "prune", "-f").ok()


def lookups(pod: Pod, container: str, *questions: str) -> list[list[str]]:
    """Of each question: the addresses, or the name of an address, that busybox' nslookup finds; in one exec."""
    script = 'for one; do nslookup $one; echo "==="; done'
    out = pod("exec", container, "sh", "-c", script, "sh", *questions).ok()
    parts = [part.partition("\n\n")[2] for part in out.split("===\n")[:-1]]
    return [sorted(re.findall(r"^(?:Address: |.*name = )(\S+)", part, re.MULTILINE)) for part in parts]


def address(pod: Pod, container: str, net: str, member: str = "IPAddress") -> str:
    form = f"{{{{(index .NetworkSettings.Networks {net!r}).{member}}}}}".replace("'", '"')
    return pod("inspect", "-f", form, container).ok().strip()


def test_a_container_is_known_by_name_id_hostname_and_alias(pod: Pod, busybox: str, net: str) -> None:
    words = ("--network", f"name={net},alias=store", "-h", "db.lan")
    long_id = pod("run", "-d", "--name", "db", *words, busybox, *SLEEP).ok().strip()
    pod("run", "-d", "--name", "client", "--network", net, busybox, *SLEEP).ok()
    four, six = address(pod, "db", net), address(pod, "db", net, "GlobalIPv6Address")
    names = ("db", "DB", "store", long_id[:12], "db.lan", f"db.{net}")
    assert lookups(pod, "client", *names) == [sorted([four, six])] * len(names)
    assert lookups(pod, "client", "-type=AAAA store", four, six) == [[six], [f"db.{net}"], [f"db.{net}"]]
    assert pod("exec", "client", "ping", "-c", "1", "-w", "5", "store").code == 0
    assert f"{four}\tdb.lan" in pod("exec", "db", "cat", "/etc/hosts").ok()
    pod("rename", "db", "db2").ok()
    assert lookups(pod, "client", "db2", "db") == [sorted([four, six]), []]


def test_glibc_finds_names_and_takes_replicas_in_turn(pod: Pod, net: str) -> None:
    image = pod.image("debian:12")
    for number in range(3):
        words = ("--network", net, "--network-alias", "app")
        pod("run", "-d", "--name", f"app{number}", *words, image, *SLEEP).ok()
    expected = {address(pod, f"app{number}", net) for number in range(3)}
    first = "for one in 1 2 3; do getent ahostsv4 app | head -n 1; done"
    script = f"getent hosts app1; {first}; getent ahosts app; getent hosts {min(expected)}"
    out = [line.split() for line in pod("run", "--rm", "--network", net, image, "sh", "-c", script).ok().splitlines()]
    assert out[0] == [address(pod, "app1", net, "GlobalIPv6Address"), "app1"]
    assert all(line[0] in expected for line in out[1:4])
    assert {line[0] for line in out[4:-1] if ":" not in line[0]} == expected
    assert re.fullmatch(rf"app[012]\.{net}", out[-1][1])


def test_networks_without_a_way_out_and_without_names(pod: Pod, busybox: str, net: str) -> None:
    pod("network", "create", "--internal", "shut").ok()
    pod("run", "-d", "--name", "inner", "--network", "shut", busybox, *SLEEP).ok()
    assert lookups(pod, "inner", "inner") == [[address(pod, "inner", "shut")]]
    assert "REFUSED" in pod("exec", "inner", "nslookup", "secret.example").out
    pod("run", "-d", "--name", "plain", "--network", "bridge", busybox, *SLEEP).ok()
    assert "127.0.0.11" not in pod("exec", "plain", "cat", "/etc/resolv.conf").ok()
    words = ("--network", "bridge", "--link", "plain:other")
    hosts = pod("run", "--rm", *words, busybox, "sh", "-c", "cat /etc/hosts; ping -c 1 -w 5 other").ok()
    assert re.search(rf"^{re.escape(address(pod, 'plain', 'bridge'))}\s+other\b.*\bplain\b", hosts, re.MULTILINE)


def test_connected_at_run_time_names_are_known_and_disconnected_not(pod: Pod, busybox: str, net: str) -> None:
    pod("network", "create", "second").ok()
    pod("run", "-d", "--name", "web", "--network", net, busybox, *SLEEP).ok()
    pod("run", "-d", "--name", "far", "--network", "second", busybox, *SLEEP).ok()
    assert lookups(pod, "web", "far") == [[]]
    pod("network", "connect", "--alias", "near", net, "far").ok()
    assert lookups(pod, "web", "-type=A near", "-type=A far") == [[address(pod, "far", net)]] * 2
    assert lookups(pod, "far", "-type=A web") == [[address(pod, "web", net)]]
    pod("network", "disconnect", net, "far").ok()
    assert lookups(pod, "web", "near", "far") == [[], []]
    assert lookups(pod, "far", "web", "far") == [[], [address(pod, "far", "second")]]


def test_names_are_back_when_netd_was_killed(pod: Pod, busybox: str, net: str) -> None:
    pod("run", "-d", "--name", "web", "--network", net, busybox, *SLEEP).ok()
    pod("run", "-d", "--name", "db", "--network", f"name={net},alias=store", busybox, *SLEEP).ok()
    before, expected = netd(pod), [[address(pod, "db", net)]] * 2
    os.kill(before, signal.SIGKILL)
    until(lambda: netd(pod) not in (0, before), 10, "another netd")
    until(lambda: lookups(pod, "web", "-type=A store", "-type=A db") == expected, 5, "names")


def test_resolv_conf_names_the_resolver_and_what_flags_say(pod: Pod, busybox: str, net: str) -> None:
    flags = ("--dns", "192.0.2.1", "--dns-search", "a.example", "--dns-option", "ndots:2", "--dns-option", "timeout:1")
    show = (busybox, "cat", "/etc/resolv.conf")
    said = {"search a.example", "options ndots:2 timeout:1"}
    own = pod("run", "--rm", "--network", net, *flags, *show).ok().splitlines()
    assert own[0] == "nameserver 127.0.0.11"
    assert set(own[1:]) == said
    plain = pod("run", "--rm", "--network", "bridge", *flags, *show).ok().splitlines()
    assert set(plain) == {"nameserver 192.0.2.1", *said}
    none = pod("run", "--rm", "--network", net, "--dns-search", ".", *show).ok()
    assert "search" not in none
    assert "options ndots:0" in none
