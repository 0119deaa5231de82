"""What programs in containers do with their networks: ping, captures, addresses and rules of their own."""

from __future__ import annotations

import re

import pytest

from tests.support.inside import Inside
from tests.support.podcli import Pod

pytestmark = pytest.mark.alike


def test_ping_when_between_containers_then_it_works_with_default_rights(pod: Pod, inside: Inside) -> None:
    inside.network("one", "--ipv6", "--subnet", "fd00:88:1::/64")
    inside.serving("server", "--network", "one")
    for flag, key in (("-4", "IPAddress"), ("-6", "GlobalIPv6Address")):
        address = inside.address("server", "one", key)
        words = ("ping", flag, "-c", "2", "-i", "0.2", "-w", "10", address)
        assert "2 packets received" in pod("run", "--rm", "--network", "one", inside.image, *words).ok()


@pytest.mark.parametrize("flags", [("--network", "none"), ("--network", "bridge")])
def test_admin_when_granted_then_addresses_routes_and_links_may_be_set(
    pod: Pod, inside: Inside, flags: tuple[str, str]
) -> None:
    script = (
        "ip link add d0 type bridge && ip addr add 10.77.0.1/24 dev d0 && ip link set d0 up"
        " && ip route add 10.78.0.0/16 via 10.77.0.2 && ip route"
    )
    out = pod("run", "--rm", "--cap-add", "NET_ADMIN", *flags, inside.image, "sh", "-c", script).ok()
    assert "10.78.0.0/16 via 10.77.0.2 dev d0" in out
    denied = pod("run", "--rm", *flags, inside.image, "ip", "addr", "add", "10.77.0.1/24", "dev", "lo")
    assert "not permitted" in denied.err


def test_admin_when_it_sets_a_rule_of_its_own_then_others_are_not_touched(pod: Pod, inside: Inside) -> None:
    inside.serving("server")
    address = inside.address("server", "bridge")
    script = f"ip route add blackhole {address}/32; ping -c 1 -w 2 {address}"
    own = pod("run", "--rm", "--cap-add", "NET_ADMIN", "--network", "bridge", inside.image, "sh", "-c", script)
    assert own.code != 0
    assert pod("run", "--rm", "--network", "bridge", inside.image, "ping", "-c", "1", "-w", "5", address).code == 0


def test_capture_when_packets_come_then_a_program_with_default_rights_sees_them(
    pod: Pod, inside: Inside
) -> None:
    """AF_PACKET, as tcpdump uses it."""
    inside.network("one")
    script = (
        "exec 3>/tmp/log; (timeout 10 /netload capture >&3 &) ; sleep 0.5; ping -c 3 -i 0.3 -w 8 server >/dev/null;"
        " sleep 0.3; cat /tmp/log"
    )
    inside.serving("server", "--network", "one")
    out = pod("run", "--rm", "--network", "one", *inside.mount, inside.image, "sh", "-c", script).ok()
    assert re.search(rf"^1 {re.escape(inside.address('server', 'one'))} ", out, re.M), out


def test_interfaces_when_on_two_networks_then_they_are_in_order_with_one_way_out(pod: Pod, inside: Inside) -> None:
    inside.network("aaa", "--subnet", "10.88.1.0/24")
    inside.network("bbb", "--subnet", "10.88.2.0/24")
    flags = ("--network", "bbb", "--network", "name=aaa,ip=10.88.1.9")
    out = pod("run", "--rm", *flags, inside.image, "sh", "-c", "ip -4 addr; ip route").ok()
    assert "eth0" in out
    assert "eth1" in out
    assert "10.88.1.9/24" in out
    assert re.findall(r"^default via (\S+)", out, re.M) == ["10.88.1.1"], "the first by name"
    flags = ("--network", "name=bbb,gw-priority=1", "--network", "aaa")
    out = pod("run", "--rm", *flags, inside.image, "ip", "route").ok()
    assert re.findall(r"^default via (\S+)", out, re.M) == ["10.88.2.1"]
