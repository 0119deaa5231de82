"""``network create``: addresses that nobody else has, Docker's words for what cannot be, and what kills leave."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from typing import Any

import pytest

from pod.core import events
from pod.core.engine import Engine
from pod.core.errors import NoSuchNetwork, PodError
from pod.core.network import create, leftovers, listing, options, pools, store


def make(engine: Engine, name: str, **members: Any) -> dict[str, Any]:
    asked = options.Asked(name)
    for member, value in members.items():
        setattr(asked, member, value)
    return create.create(engine, asked)


def test_network_is_found_by_name_id_and_beginning(engine: Engine) -> None:
    record = make(engine, "front", labels={"tier": "1"}, internal=True)
    for text in ("front", record["Id"], record["Id"][:5]):
        assert store.find(engine, text) == record
    assert record["IPAM"]["Config"][0]["Gateway"].endswith(".0.1")
    assert (record["Internal"], record["Labels"], record["Driver"]) == (True, {"tier": "1"}, "bridge")
    assert [one["Name"] for one in store.list_all(engine)] == ["bridge", "front", "host", "none"]
    for text in ("fron", "", ".", "..", "../names", "zz", "names", "n" * 300):
        with pytest.raises(NoSuchNetwork, match=f"network {text} not found"):
            store.find(engine, text)
    told = [event for event in events.Reader(engine, whole=True).read() if event["Type"] == "network"]
    assert [(event["Action"], event["Actor"]["Attributes"]["name"]) for event in told] == [("create", "front")]


def test_networks_get_subnets_that_overlap_with_nothing(engine: Engine) -> None:
    records = [store.make_predefined(engine, "private"), store.find(engine, "bridge")]
    records += [make(engine, f"n{number}", ipv6=number == 3) for number in range(20)]
    blocks = [*pools.blocks_of(records), ipaddress.ip_network("127.0.0.0/8")]
    assert len(blocks) == 24
    for place, block in enumerate(blocks):
        assert not [other for other in blocks[:place] if other.version == block.version and other.overlaps(block)]
    assert str(blocks[1]).startswith("172.1")


def test_choose_keeps_off_the_routes_of_the_host() -> None:
    network = ipaddress.ip_network
    pool = [("10.0.0.0/22", 24)]
    assert pools.choose(pool, [], []) == "10.0.0.0/24"
    assert pools.choose(pool, [network("10.0.0.0/24")], [network("10.0.1.128/25")]) == "10.0.2.0/24"
    assert pools.choose(pool, [], [], last=True) == "10.0.3.0/24"
    # All that is left is behind a route: better that than nothing.
    assert pools.choose(pool, [network("10.0.0.0/23")], [network("10.0.0.0/8")]) == "10.0.2.0/24"
    with pytest.raises(PodError, match="all predefined address pools have been fully subnetted"):
        pools.choose(pool, [network("10.0.0.0/16")], [])
    assert pools.choose([("fd00::/8", 64), *pool], [], []) == "10.0.0.0/24"


def test_host_routes_read_what_the_kernel_shows(monkeypatch: pytest.MonkeyPatch) -> None:
    tables = {
        "/proc/net/route": b"Iface\tDestination\tGateway \tFlags\tRefCnt\tUse\tMetric\tMask\n"
        b"eth0\t00000000\t0100A8C0\t0003\t0\t0\t0\t00000000\t0\t0\t0\n"
        b"eth0\t0000A8C0\t00000000\t0001\t0\t0\t0\t00FFFFFF\t0\t0\t0\n",
        "/proc/net/ipv6_route": b"fd000001000000000000000000000000 40 " + b"0" * 32 + b" 00 " + b"0" * 32
        + b" 00000100 00000001 00000000 00000001     eth0\n"
        + b"0" * 31 + b"1 80 " + b"0" * 32 + b" 00 " + b"0" * 32 + b" 00000000 00000002 00000000 80200001       lo\n"
        + b"cut short\n",
    }  # fmt: skip
    monkeypatch.setattr(pools.statefile, "read_bytes_of_proc", lambda path: tables[path])
    assert [str(block) for block in pools.host_routes()] == ["192.168.0.0/24", "fd00:1::/64"]


def test_subnets_ranges_gateways_and_taken_addresses_are_kept(engine: Engine) -> None:
    record = make(
        engine,
        "own",
        ipv6=True,
        subnets=["10.9.0.0/16", "fd99::/64"],
        ranges=["10.9.5.0/24"],
        gateways=["10.9.0.254"],
        aux={"printer": "10.9.5.9"},
    )
    assert record["Pod"]["UserSubnet"]
    assert record["IPAM"]["Config"] == [
        {
            "Subnet": "10.9.0.0/16",
            "IPRange": "10.9.5.0/24",
            "Gateway": "10.9.0.254",
            "AuxiliaryAddresses": {"printer": "10.9.5.9"},
        },
        {"Subnet": "fd99::/64", "Gateway": "fd99::1"},
    ]
    with pytest.raises(PodError, match="Pool overlaps with other one on this address space"):
        make(engine, "other", subnets=["10.9.7.0/24"])
    assert not os.path.exists(engine.paths.network_name("other"))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"subnets": ["nowhere"]}, "invalid CIDR address: nowhere"),
        ({"subnets": ["10.1.0.5/24"]}, "invalid subnet 10.1.0.5/24: it should be 10.1.0.0/24"),
        ({"subnets": ["10.1.0.0/31"]}, "no room"),
        ({"subnets": ["224.0.0.0/24"]}, "a meaning of their own"),
        ({"subnets": ["10.1.0.0/24", "10.1.0.0/16"]}, "multiple overlapping subnet configuration is not supported"),
        ({"subnets": ["10.1.0.0/24", "10.2.0.0/24"]}, "doesn't support multiple subnets"),
        ({"subnets": ["fd00::/64"]}, "IPv6 is not enabled"),
        ({"gateways": ["10.1.0.1"]}, "every ip-range or gateway must have a corresponding subnet"),
        ({"subnets": ["10.1.0.0/24"], "gateways": ["10.2.0.1"]}, "no matching subnet for gateway 10.2.0.1"),
        ({"subnets": ["10.1.0.0/24"], "ranges": ["10.2.0.0/25"]}, "no matching subnet for range 10.2.0.0/25"),
        ({"subnets": ["10.1.0.0/24"], "ranges": ["10.1.0.0/16"]}, "CIDR block is bigger than its parent subnet"),
        ({"subnets": ["10.1.0.0/24"], "aux": {"a": "10.2.0.1"}}, "no matching subnet for aux-address 10.2.0.1"),
        (
            {"subnets": ["10.1.0.0/24", "fd00::/64"], "ipv6": True, "gateways": ["10.1.0.1", "10.1.0.2"]},
            "cannot configure multiple gateways",
        ),
        ({"name": "host"}, "operation is not permitted on predefined host network"),
        ({"name": "container:x"}, "operation is not permitted on predefined"),
        ({"name": "a/b"}, "invalid network name"),
        ({"name": "a\nb"}, "invalid network name"),
        ({"name": "n" * 200}, "invalid network name"),
        ({"driver": "overlay"}, "This node is not a swarm manager"),
        ({"driver": "weave"}, 'plugin "weave" not found'),
        ({"driver": "host"}, 'only one instance of "host" network is allowed'),
        ({"driver": "macvlan", "options": {"parent": "eth0"}}, "parent=eth0"),
        ({"driver": "ipvlan", "options": {"ipvlan_mode": "l3"}}, "l2 alone"),
        ({"driver": "none", "subnets": ["10.1.0.0/24"]}, "address pools"),
        ({"options": {"com.docker.network.driver.mtu": "12"}}, "failed to parse com.docker.network.driver.mtu value"),
        ({"options": {"com.docker.network.bridge.name": "pod0"}}, "invalid bridge name"),
        ({"options": {"com.docker.network.bridge.name": "a" * 16}}, "invalid bridge name"),
        ({"options": {"com.docker.network.bridge.enable_icc": "maybe"}}, "strconv.ParseBool"),
        ({"options": {"com.docker.network.bridge.enable_ip_masquerade": "false"}}, "nothing is routed"),
        ({"ipv4": False}, "IPv4 or IPv6 must be enabled"),
    ],
)
def test_what_cannot_be_is_said_in_docker_s_words(engine: Engine, members: dict[str, Any], words: str) -> None:
    with pytest.raises(PodError) as caught:
        make(engine, members.pop("name", "front"), **members)
    assert words in caught.value.message
    assert not list(Path(engine.paths.networks).glob("names/*"))


def test_names_and_bridges_are_taken_once(engine: Engine) -> None:
    make(engine, "front", options={options.BRIDGE_NAME: "br-x"})
    with pytest.raises(PodError, match="network with name front already exists"):
        make(engine, "front")
    with pytest.raises(PodError, match="networks have same bridge name"):
        make(engine, "back", options={options.BRIDGE_NAME: "br-x"})
    assert len(store.list_ids(engine)) == 2


def test_pools_and_bridge_of_the_configuration(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "pod.toml").write_text(
        'bip = "10.77.0.1/24"\n[[default-address-pools]]\nbase = "10.78.0.0/16"\nsize = 24\n'
    )
    engine.environ["POD_CONFIG"] = str(tmp_path / "pod.toml")
    assert store.find(engine, "bridge")["IPAM"]["Config"] == [{"Subnet": "10.77.0.0/24", "Gateway": "10.77.0.1"}]
    assert make(engine, "front")["IPAM"]["Config"][0]["Subnet"] == "10.78.0.0/24"


def test_what_a_kill_left_is_healed(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    kept = make(engine, "kept")
    monkeypatch.setattr(store, "_take_name", lambda *_: None)
    half = make(engine, "half")
    monkeypatch.undo()
    Path(engine.paths.network_name("lost")).write_text("2" * 64 + "\n")
    with pytest.raises(NoSuchNetwork):
        store.find(engine, "half")
    leftovers.collect(engine)
    assert half["Id"] in store.list_ids(engine)  # its maker may be at work
    os.utime(f"{engine.paths.networks}/{half['Id']}.json", (0, 0))
    make(engine, "lost")
    temporary = Path(engine.paths.networks, ".half.1.2")
    temporary.touch()
    os.utime(temporary, (0, 0))
    leftovers.collect(engine)
    assert half["Id"] not in store.list_ids(engine)
    assert sorted(os.listdir(engine.paths.network_names)) == ["kept", "lost"]
    assert not temporary.exists()
    Path(engine.paths.network_name("gone")).write_text("2" * 64 + "\n")
    os.utime(engine.paths.network_name("gone"), (0, 0))
    leftovers.collect(engine)
    assert sorted(os.listdir(engine.paths.network_names)) == ["kept", "lost"]
    assert store.find(engine, "kept") == kept
    store.take_away(engine, kept)
    store.put_back(engine, kept)
    assert store.find(engine, "kept") == kept


def test_filters_are_dockers(engine: Engine) -> None:
    front = make(engine, "front", labels={"a": "1"})
    make(engine, "back", driver="macvlan")

    def names(*filters: str) -> list[str]:
        test = listing.list_test(filters, lambda: {"front"})
        return [record["Name"] for record in store.list_all(engine) if test(record)]

    assert names() == ["back", "bridge", "front", "host", "none"]
    assert names("driver=macvlan", "driver=null") == ["back", "none"]
    assert names("type=custom") == ["back", "front"]
    assert names("name=^f", "name=os") == ["front", "host"]
    assert names("id=" + front["Id"][:8]) == ["front"]
    assert names("label=a=1") == names("label=a") == ["front"]
    assert names("scope=local", "dangling=true") == ["back"]
    assert "back" not in names("dangling=false")
    for wrong in ("color=red", "type=odd", "dangling=perhaps", "name=("):
        with pytest.raises(PodError, match="invalid filter"):
            names(wrong)
