"""The columns of ``ps`` for states, ports and texts that are hard to come by on the command line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from pod.cli import ps
from pod.core.container import listing, ports
from pod.core.container.model import Container
from pod.core.engine import Engine
from pod.core.errors import PodError

NOW = 1_700_000_000.0
STARTED = "2023-11-14T22:11:20.000000000Z"  # two minutes before


def made(tmp_path: Path, status: str, state: dict[str, Any], **config: Any) -> Container:
    """A container whose status is as given, whatever processes there are."""
    record = {
        "Id": "a1" * 32,
        "Name": "/web",
        "Created": STARTED,
        "Path": "sleep",
        "Args": ["1"],
        "Image": "sha256:" + "b2" * 32,
        "Config": {"Image": "busybox", "Labels": None},
        "HostConfig": {"NetworkMode": "bridge", "PortBindings": {}},
        "Mounts": [],
        "Pod": {},
    }
    for name, value in config.items():
        record[name] = {**record[name], **value} if isinstance(value, dict) else value  # type: ignore[dict-item]
    one = Container(Engine({}, root=str(tmp_path)), str(tmp_path), record, {})
    one.status = status
    one.state = {"status": "running", "startedAt": STARTED, "finishedAt": "0001-01-01T00:00:00Z", **state}
    return one


def column(one: Container, name: str, *, whole: bool = False) -> Any:
    view = ps.View(Engine({}, root=one.directory), whole=whole, size=False)
    view.now = NOW
    return ps.FIELDS[name](one, view)


@pytest.mark.parametrize(
    ("status", "state", "text", "word"),
    [
        ("running", {}, "Up 2 minutes", "running"),
        ("running", {"paused": True}, "Up 2 minutes (Paused)", "paused"),
        (
            "running",
            {"restarting": True, "exitCode": 1, "finishedAt": "2023-11-14T22:13:17Z"},
            "Restarting (1) 3 seconds ago",
            "restarting",
        ),
        (
            "exited",
            {"status": "exited", "exitCode": 137, "finishedAt": "2023-11-14T19:13:00Z"},
            "Exited (137) 3 hours ago",
            "exited",
        ),
        ("created", {"status": "created"}, "Created", "created"),
        ("elsewhere", {"hostname": "node7"}, "Elsewhere (node7)", "elsewhere"),
    ],
)
def test_status_is_worded_as_dockers(tmp_path: Path, status: str, state: dict[str, Any], text: str, word: str) -> None:
    one = made(tmp_path, status, state)
    assert (column(one, "Status"), column(one, "State")) == (text, word)


@pytest.mark.parametrize(
    ("document", "text", "health"),
    [
        (None, "Up 2 minutes (health: starting)", "starting"),
        ({"Status": "healthy", "FailingStreak": 0, "Log": []}, "Up 2 minutes (healthy)", "healthy"),
        ({"Status": "unhealthy", "FailingStreak": 3, "Log": []}, "Up 2 minutes (unhealthy)", "unhealthy"),
    ],
)
def test_status_tells_of_the_health_check(
    tmp_path: Path, document: dict[str, Any] | None, text: str, health: str
) -> None:
    if document:
        (tmp_path / "health.json").write_text(json.dumps(document))
    one = made(tmp_path, "running", {}, Config={"Healthcheck": {"Test": ["CMD", "true"]}})
    assert (column(one, "Status"), column(one, "HealthStatus")) == (text, health)
    chosen = listing.select(Engine({}, root=str(tmp_path)), [one], {"health": [health]})
    assert chosen == [one]
    assert listing.select(Engine({}, root=str(tmp_path)), [one], {"health": ["none"]}) == []


def test_status_of_a_check_that_is_switched_off_says_nothing_of_it(tmp_path: Path) -> None:
    one = made(tmp_path, "running", {}, Config={"Healthcheck": {"Test": ["NONE"]}})
    assert (column(one, "Status"), column(one, "HealthStatus")) == ("Up 2 minutes", "")


def test_command_is_cut_and_quoted_as_dockers(tmp_path: Path) -> None:
    one = made(tmp_path, "running", {}, Path="sh", Args=["-c", 'echo "a b"\tc; sleep 100000'])
    assert column(one, "Command", whole=True) == r'''"sh -c 'echo \"a b\"\tc; sleep 100000'"'''
    assert column(one, "Command") == '''"sh -c 'echo \\"a b\\"\\tc…"'''


def test_image_loses_its_digest_unless_nothing_is_to_be_cut(tmp_path: Path) -> None:
    name = "busybox:1.36@sha256:" + "c" * 64
    one = made(tmp_path, "running", {}, Config={"Image": name})
    assert column(one, "Image") == "busybox:1.36"
    assert column(one, "Image", whole=True) == name
    one = made(tmp_path, "running", {}, Config={"Image": "sha256:" + "b2" * 32})
    assert column(one, "Image") == "b2" * 6


def test_ports_are_listed_and_found(tmp_path: Path) -> None:
    bound = [{"HostIp": "0.0.0.0", "HostPort": "8080"}, {"HostIp": "::", "HostPort": "8080"}]
    end = {"IPAddress": "172.17.0.2", "GlobalIPv6Address": "fd00::2"}
    one = made(
        tmp_path,
        "running",
        {"network": {"Networks": {"bridge": end}, "Ports": {"80/tcp": bound}}},
        Config={"ExposedPorts": {"443/tcp": {}, "53/udp": {}, "80/tcp": {}}},
        HostConfig={"PortBindings": {"80/tcp": [{"HostIp": "", "HostPort": "8080"}]}},
    )
    assert column(one, "Ports") == "53/udp, 443/tcp, 0.0.0.0:8080->80/tcp, [::]:8080->80/tcp"
    assert column(one, "IPAddresses") == ["bridge:172.17.0.2", "bridge:fd00::2"]
    assert column(one, "Networks") == "bridge"
    engine = Engine({}, root=str(tmp_path))
    for wanted, found in (
        ({"publish": ["80"]}, True),
        ({"publish": ["443"]}, False),
        ({"expose": ["440-450/tcp"]}, True),
        ({"expose": ["53"]}, False),
        ({"expose": ["53/udp"]}, True),
        ({"publish": ["1-79", "81"]}, False),
    ):
        assert bool(listing.select(engine, [one], wanted)) is found, wanted
    one.status = "exited"
    assert column(one, "Ports") == ""


@pytest.mark.parametrize(
    ("found", "text"),
    [
        ([], ""),
        ([(100, "tcp", "", 0), (101, "tcp", "", 0), (102, "tcp", "", 0)], "100-102/tcp"),
        ([(53, "tcp", "", 0), (53, "udp", "", 0), (54, "tcp", "", 0)], "53-54/tcp, 53/udp"),
        ([(80, "tcp", "0.0.0.0", 80), (81, "tcp", "0.0.0.0", 81)], "0.0.0.0:80-81->80-81/tcp"),
        ([(80, "tcp", "::", 80), (90, "tcp", "::", 8090)], "[::]:80->80/tcp, [::]:8090->90/tcp"),
    ],
)
def test_ports_that_are_neighbours_are_one(found: list[ports.Port], text: str) -> None:
    assert ports.words(found) == text


@pytest.mark.parametrize("text", ["", "x", "70000", "8-", "9-8", "-1", "80/tcp/x-1", "1" * 5000])
def test_port_ranges_that_are_none_are_refused(text: str) -> None:
    with pytest.raises(PodError, match="invalid port range"):
        ports.read_range(text)
