"""--network and -p in all their forms, in Docker's words."""

from __future__ import annotations

from typing import Any

import pytest

from pod.cli import run_networks, run_ports
from pod.core.errors import PodError, UsageError
from pod.core.network import endpoints, records


@pytest.mark.parametrize(
    ("text", "name", "asked"),
    [
        ("front", "front", {}),
        ("container:a=b", "container:a=b", {}),
        ("name=front", "front", {}),
        ("name=front,alias=a,alias=b", "front", {"aliases": ["a", "b"]}),
        (
            "name=front,ip=10.1.0.5,ip6=fd00::5,mac-address=02:42:ac:11:00:02,gw-priority=-2",
            "front",
            {"ip": "10.1.0.5", "ip6": "fd00::5", "mac": "02:42:ac:11:00:02", "priority": -2},
        ),
        ('name=front,"driver-opt=a=1,2"', "front", {"driver_opts": {"a": "1,2"}}),
    ],
)
def test_network_flag_has_a_short_and_a_long_form(text: str, name: str, asked: dict[str, Any]) -> None:
    if text.startswith("container:"):
        with pytest.raises(UsageError, match="invalid field"):
            run_networks.parse(text)
        return
    assert run_networks.parse(text) == (name, asked)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("name=front,foo=bar", "invalid field key foo"),
        ("name=front,alias", "invalid field alias"),
        ("alias=a", "network name/id is not specified"),
        ("name=front,driver-opt=x", "invalid key value pair format in driver options"),
        ("name=front,gw-priority=x", "invalid gw-priority"),
        ("name=front,link-local-ip=169.254.1.1", "one address of each family"),
    ],
)
def test_network_flag_that_is_none_is_refused(text: str, words: str) -> None:
    with pytest.raises(PodError, match=words):
        run_networks.parse(text)


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("80", {"80/tcp": [("", "")]}),
        ("8080:80", {"80/tcp": [("", "8080")]}),
        ("8080:80/UDP", {"80/udp": [("", "8080")]}),
        ("127.0.0.1:8080:80", {"80/tcp": [("127.0.0.1", "8080")]}),
        ("127.0.0.1::80", {"80/tcp": [("127.0.0.1", "")]}),
        ("[::1]:8080:80", {"80/tcp": [("::1", "8080")]}),
        ("::1:8080:80", {"80/tcp": [("::1", "8080")]}),
        ("0:80", {"80/tcp": [("", "")]}),
        ("8000-8010:80", {"80/tcp": [("", "8000-8010")]}),
        ("8000-8001:9000-9001", {"9000/tcp": [("", "8000")], "9001/tcp": [("", "8001")]}),
        ("9000-9001/udp", {"9000/udp": [("", "")], "9001/udp": [("", "")]}),
        ("published=8080,target=80,protocol=udp", {"80/udp": [("", "8080")]}),
        ("target=80", {"80/tcp": [("", "")]}),
    ],
)
def test_publish_reads_all_forms(given: str, found: dict[str, list[tuple[str, str]]]) -> None:
    expected = {
        port: [{"HostIp": address, "HostPort": public} for address, public in places] for port, places in found.items()
    }
    assert run_ports.published([given]) == expected


@pytest.mark.parametrize(
    ("given", "words"),
    [
        ("", "no port specified: <empty>"),
        ("8080:", "no port specified: 8080:<empty>"),
        ("80x", "invalid containerPort: 80x"),
        ("0", "invalid containerPort: 0"),
        ("65536", "invalid containerPort: 65536"),
        ("90-80", "invalid containerPort: 90-80"),
        ("x:80", "invalid hostPort: x"),
        ("²:80", "invalid hostPort: ²"),
        ("80:80/icmp", "invalid proto: icmp"),
        ("80/sctp", "SCTP cannot be published"),
        ("nowhere:80:80", "invalid IP address: nowhere"),
        ("8000-8005:9000-9001", "invalid ranges specified for container and host Ports: 9000-9001 and 8000-8005"),
        ("1-65535:1-65535", "too many published ports"),
        ("target=80,x", "invalid publish opts format"),
        ("target=80,x=y", "unknown field 'x'"),
    ],
)
def test_publish_that_is_none_is_refused(given: str, words: str) -> None:
    with pytest.raises(UsageError) as caught:
        run_ports.published([given])
    assert words in caught.value.message


def test_publish_of_one_port_twice_has_two_bindings() -> None:
    found = run_ports.published(["80:80", "81:80"])
    assert [one["HostPort"] for one in found["80/tcp"]] == ["80", "81"]


@pytest.mark.parametrize(
    ("given", "found"),
    [
        ("02:42:AC:11:00:02", "02:42:ac:11:00:02"),
        ("02-42-ac-11-00-02", "02:42:ac:11:00:02"),
        ("0242.ac11.0002", "02:42:ac:11:00:02"),
    ],
)
def test_mac_address_has_the_forms_of_go(given: str, found: str) -> None:
    assert endpoints.mac_address(given) == found


@pytest.mark.parametrize(
    "given", ["02:42", "0242ac110002", "gg:42:ac:11:00:02", "01:42:ac:11:00:02", "00:00:00:00:00:00"]
)
def test_mac_address_that_is_none_is_refused(given: str) -> None:
    with pytest.raises(UsageError, match="is not a valid mac address"):
        endpoints.mac_address(given)


def test_settings_keep_what_was_given_alone() -> None:
    assert endpoints.settings() == {}
    found = endpoints.settings(ip="10.1.0.5", aliases=["a", "a"], links=["/db:store", "db"], priority=1)
    assert found == {
        "IPAMConfig": {"IPv4Address": "10.1.0.5"},
        "Aliases": ["a"],
        "Links": ["db:store", "db:db"],
        "GwPriority": 1,
    }
    for bad in ({"ip": "::1"}, {"ip6": "10.0.0.1"}, {"aliases": ["a b"]}, {"links": ["a:b:c"]}, {"links": [":b"]}):
        with pytest.raises(UsageError):
            endpoints.settings(**bad)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "asked", "words"),
    [
        ("bridge", {"Aliases": ["a"]}, "network-scoped alias is supported only for containers"),
        ("bridge", {"IPAMConfig": {"IPv4Address": "10.1.0.5"}}, "is supported on user defined networks only"),
        ("auto", {"IPAMConfig": {"IPv4Address": "10.1.0.5"}}, "only when connecting to networks with user configured"),
        ("own", {"IPAMConfig": {"IPv4Address": "10.2.0.5"}}, "no configured subnet or ip-range contain the IP address"),
        ("own", {"IPAMConfig": {"IPv4Address": "10.1.0.1"}}, "Address already in use: 10.1.0.1"),
        ("own", {"IPAMConfig": {"IPv4Address": "10.1.0.255"}}, "Address already in use"),
        ("own", {"IPAMConfig": {"IPv4Address": "10.1.0.9"}}, "Address already in use"),
        ("own", {"IPAMConfig": {"IPv4Address": "10.1.0.5"}, "Aliases": ["a"]}, ""),
    ],
)
def test_check_says_what_a_network_cannot_give(name: str, asked: dict[str, Any], words: str) -> None:
    record = records.blank(name, "1" * 64)
    aux = {"printer": "10.1.0.9"}
    record["IPAM"]["Config"] = [{"Subnet": "10.1.0.0/24", "Gateway": "10.1.0.1", "AuxiliaryAddresses": aux}]
    record["Pod"]["UserSubnet"] = name == "own"
    if not words:
        endpoints.check(record, asked)
        return
    with pytest.raises(PodError) as caught:
        endpoints.check(record, asked)
    assert words in caught.value.message
