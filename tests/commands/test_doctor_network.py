"""What doctor tells of networks, on hosts that are made to lack something."""

from __future__ import annotations

import pytest

from tests.commands.test_doctor import inside, under_filter

pytestmark = pytest.mark.alike


def facts(done):
    assert done.returncode == 0, done
    return dict(line.split("=", 1) for line in done.stdout.splitlines())


FORM = ("doctor", "--format", "{{.Name}}={{.Level}} {{.Value}}")


def test_doctor_when_nothing_lacks_then_bridges_and_the_gateway(offline_pod):
    found = facts(under_filter(offline_pod, "deny:vmsplice", *FORM))
    assert found["networks"] == "ok bridges and the gateway"
    assert found["IPv6"] == "ok yes"


def test_doctor_when_there_is_no_nf_tables_then_no_gateway(offline_pod):
    found = facts(under_filter(offline_pod, "no-netfilter", *FORM))
    assert found["networks"].startswith("limit bridges, no gateway: set up a network: nfnetlink: ")
    assert "EAFNOSUPPORT" in found["networks"]
    text = under_filter(offline_pod, "no-netfilter", "doctor").stdout
    assert "--network bridge and networks of your own are refused; none and host work" in text
    assert "modprobe -a bridge veth nft_tproxy" in text


def test_doctor_when_there_is_no_rtnetlink_then_no_networks(offline_pod):
    assert facts(under_filter(offline_pod, "no-netlink", *FORM))["networks"].startswith("limit none: ")


def test_doctor_when_ipv6_is_off_then_said_and_networks_work(offline_pod):
    found = facts(under_filter(offline_pod, "no-ipv6", *FORM))
    assert found["IPv6"].startswith("limit no: ")
    assert found["networks"] == "ok bridges and the gateway"


@pytest.mark.nsenter
def test_doctor_when_network_namespaces_are_used_up_then_only_host(offline_pod):
    done = inside(offline_pod, "echo 0 >/proc/sys/user/max_net_namespaces", *FORM)
    assert facts(done)["network namespaces"].startswith("limit refused: ")
    assert "networks" not in facts(done)


@pytest.mark.nsenter
@pytest.mark.parametrize(
    ("script", "level"),
    [("echo 0 0 >/proc/sys/net/ipv4/ping_group_range", "ok"), ("true", "limit")],  # a new namespace allows nobody
)
def test_doctor_tells_whether_the_world_can_be_pinged(offline_pod, script, level):
    done = inside(offline_pod, script, *FORM, flags="-r -n")
    assert facts(done)["ping"].split()[0] == level


@pytest.mark.nsenter
@pytest.mark.parametrize(("first", "expected"), [("0", "ok allowed"), ("443", "limit from 443 on")])
def test_doctor_tells_which_ports_can_be_published(offline_pod, first, expected):
    done = inside(offline_pod, f"echo {first} >/proc/sys/net/ipv4/ip_unprivileged_port_start", *FORM, flags="-r -n")
    assert facts(done)["low ports"] == expected
