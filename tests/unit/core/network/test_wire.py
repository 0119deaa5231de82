"""The items of REGISTER: numbers as in the C headers, addresses and ranges as Docker's documents mean them."""

from __future__ import annotations

import re
import struct
from pathlib import Path
from typing import Any

import pytest

from pod.core.engine import Engine
from pod.core.errors import NoSuchNetwork, PodError
from pod.core.network import records, store, wire

NET = Path(__file__).parents[4] / "ext/src/net"
ID = "c" * 64


def items(data: bytes) -> list[tuple[str, bytes]]:
    """Name and value of each item, read as the C reader does."""
    names = {number: name for name, number in wire.TAGS.items()}
    found = []
    while data:
        tag, length = struct.unpack_from("<HH", data)
        found.append((names[tag], data[4 : 4 + length]))
        data = data[4 + (length + 3) // 4 * 4 :]
    return found


def config(**host: Any) -> dict[str, Any]:
    whole = {"NetworkMode": "bridge", "Dns": [], "ExtraHosts": None, "PortBindings": {}, "PublishAllPorts": False}
    whole.update(host)
    return {"Id": ID, "Name": "/web", "Config": {"Hostname": "here"}, "HostConfig": whole, "Pod": {}}


def network(engine: Engine, name: str = "front", **members: Any) -> dict[str, Any]:
    record = records.blank(name, "ab" * 32)
    record["IPAM"]["Config"] = [{"Subnet": "10.1.2.0/24", "Gateway": "10.1.2.1"}]
    record.update(members)
    store.prepare(engine)
    with store.lock(engine):
        store.publish(engine, record)
    return record


def test_tags_and_flags_are_those_of_the_headers() -> None:
    text = (NET / "wire.h").read_text()
    found = {name: int(number) for name, number in re.findall(r"POD_ITEM_(\w+)\s*=\s*(\d+)", text)}
    assert found == wire.TAGS
    flags = re.findall(r"POD_NET_(\w+)\s*=\s*1\s*<<\s*(\d+)", (NET / "world.h").read_text())
    assert {name: 1 << int(bit) for name, bit in flags} == {
        "INTERNAL": wire.INTERNAL,
        "ISOLATED": wire.ISOLATED,
        "NAMES": wire.NAMES,
        "IPV6": wire.IPV6,
    }
    assert int(re.search(r"POD_WIRE_MAX (\d+)", text)[1]) > wire.MAX_ITEMS  # type: ignore[index]
    most = re.search(r"POD_PORTS_MAX (\d+)", (NET / "netd.h").read_text())
    assert most is not None
    assert int(most[1]) == wire.MAX_PORTS


@pytest.mark.parametrize("mode", ["none", "host", "container:" + ID])
def test_registration_without_a_network_of_ours_is_empty(engine: Engine, mode: str) -> None:
    assert wire.registration(engine, config(NetworkMode=mode)) == b""
    assert not Path(engine.paths.root).exists()


def test_registration_of_a_plain_start_makes_the_default_bridge(engine: Engine) -> None:
    found = items(wire.registration(engine, config()))
    names = [name for name, _ in found]
    assert names == ["CONTAINER", "NAME", "HOSTNAME", "END", "NET_ID", "NET_NAME", "BRIDGE", "NET_FLAGS", "SUBNET"]
    values = dict(found)
    assert (values["CONTAINER"], values["NAME"], values["HOSTNAME"]) == (ID.encode(), b"web", b"here")
    assert (values["BRIDGE"], values["NET_FLAGS"]) == (b"pod0", bytes(4))
    assert items(wire.registration(engine, config())) == found
    private = dict(items(wire.registration(engine, config(NetworkMode="private"))))
    assert private["NET_FLAGS"] == struct.pack("<I", wire.ISOLATED)
    assert private["BRIDGE"] != values["BRIDGE"]
    assert private["SUBNET"][:16] != values["SUBNET"][:16]


def test_registration_says_what_was_asked_of_each_network(engine: Engine) -> None:
    network(engine, Internal=True, EnableIPv6=True, Options={"com.docker.network.driver.mtu": "1400"})
    asked = {
        "IPAMConfig": {"IPv4Address": "10.1.2.9", "IPv6Address": "fd00::9"},
        "Aliases": ["a", "bé"],
        "Links": ["nobody:db"],
        "MacAddress": "02:42:0A:01:02:09",
        "GwPriority": -3,
    }
    record = {**config(NetworkMode="front", Dns=["9.9.9.9"]), "Networks": {"front": asked}}
    found = items(wire.registration(engine, record))
    values = dict(found)
    assert values["SERVER"] == b"9.9.9.9"
    assert values["NET_FLAGS"] == struct.pack("<I", wire.INTERNAL | wire.NAMES | wire.IPV6)
    assert values["MTU"] == struct.pack("<I", 1400)
    assert [value for name, value in found if name == "ADDRESS"] == [
        bytes(10) + b"\xff\xff" + bytes((10, 1, 2, 9)),
        b"\xfd" + bytes(14) + b"\x09",
    ]
    assert values["MAC"] == bytes.fromhex("02420a010209")
    assert [value.decode() for name, value in found if name == "ALIAS"] == ["a", "bé"]
    assert values["LINK"] == b"db=nobody"
    assert values["PRIORITY"] == struct.pack("<i", -3)


def test_drivers_without_an_interface_of_the_host_have_no_way_out(engine: Engine) -> None:
    network(engine, Driver="macvlan")
    network(engine, "nothing", Driver="null", Id="cd" * 32)
    values = dict(items(wire.registration(engine, config(NetworkMode="front"))))
    assert values["KIND"] == b"macvlan"
    assert values["NET_FLAGS"] == struct.pack("<I", wire.INTERNAL | wire.NAMES)
    assert wire.registration(engine, config(NetworkMode="nothing")) == b""


@pytest.mark.parametrize(
    ("pool", "gateway", "first", "last"),
    [
        ({"Subnet": "10.1.2.0/24", "Gateway": "10.1.2.1"}, "10.1.2.1", "10.1.2.1", "10.1.2.254"),
        ({"Subnet": "10.1.2.0/31"}, "::", "10.1.2.0", "10.1.2.1"),
        (
            {"Subnet": "10.1.0.0/16", "Gateway": "10.1.0.254", "IPRange": "10.1.9.0/24"},
            "10.1.0.254",
            "10.1.9.0",
            "10.1.9.255",
        ),
        ({"Subnet": "10.1.0.0/24", "IPRange": "10.1.0.128/25"}, "::", "10.1.0.128", "10.1.0.254"),
        (
            {"Subnet": "fd01:2::/64", "Gateway": "fd01:2::1"},
            "fd01:2::1",
            "fd01:2::1",
            "fd01:2::ffff:ffff:ffff:ffff",
        ),
    ],
)
def test_subnet_has_the_addresses_that_are_given_out(pool: dict[str, str], gateway: str, first: str, last: str) -> None:
    value = wire.subnet(pool)
    base, _, bits = pool["Subnet"].partition("/")
    assert value[:16] == wire.address(base)
    assert [value[at : at + 16] for at in (16, 32, 48)] == [wire.address(one) for one in (gateway, first, last)]
    assert (value[64], value[65], len(value)) == (int(bits), 6 if ":" in base else 4, 68)


def test_ports_without_an_address_are_two_items_and_exposed_ones_follow(engine: Engine) -> None:
    bindings = {
        "80/tcp": [{"HostIp": "", "HostPort": "8080"}],
        "53/udp": [{"HostIp": "127.0.0.1", "HostPort": "5000-5010"}, {"HostIp": "::1", "HostPort": ""}],
    }
    record = config(PortBindings=bindings, PublishAllPorts=True)
    record["Config"]["ExposedPorts"] = {"80/tcp": {}, "99/tcp": {}, "nonsense": {}, "7/sctp": {}}
    record["Pod"] = {"PortFallback": True}
    ports = [value for name, value in items(wire.registration(engine, record)) if name == "PORT"]
    local = wire.address("127.0.0.1")
    assert [(one[:16], *struct.unpack("<HHHBB", one[16:])) for one in ports] == [
        (wire.ANY_V4, 8080, 8080, 80, 6, 1),
        (wire.ANY_V6, 8080, 8080, 80, 6, 1),
        (local, 5000, 5010, 53, 17, 1),
        (wire.address("::1"), 0, 0, 53, 17, 1),
        (wire.ANY_V4, 0, 0, 99, 6, 1),
        (wire.ANY_V6, 0, 0, 99, 6, 1),
    ]


def test_ports_without_an_address_have_that_of_their_network(engine: Engine) -> None:
    network(engine, Options={wire.BINDING: "127.0.0.1"})
    record = config(NetworkMode="front", PortBindings={"80/tcp": [{"HostIp": "", "HostPort": "8080"}]})
    ports = [value for name, value in items(wire.registration(engine, record)) if name == "PORT"]
    assert [one[:16] for one in ports] == [wire.address("127.0.0.1")]


def test_registration_of_too_much_and_of_no_network_fails(engine: Engine) -> None:
    many = {f"{port}/tcp": [{"HostIp": "", "HostPort": str(port)}] for port in range(2000, 3025)}
    with pytest.raises(PodError, match=r"publishes 2050 addresses .* 2048 are"):
        wire.registration(engine, config(PortBindings=many))
    assert wire.registration(engine, config(PortBindings=dict(list(many.items())[:1024])))
    with pytest.raises(PodError, match=r"have 1[0-9]{5} bytes"):
        wire.registration(engine, config(Dns=["9" * 100] * 1500))
    with pytest.raises(NoSuchNetwork, match="network gone not found"):
        wire.registration(engine, config(NetworkMode="gone"))
