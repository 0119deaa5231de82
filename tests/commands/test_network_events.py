"""What networks tell of starts and ends; what an exec knows of links, and inspect of execs; the way into the holder."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from typing import Any

import pytest

from tests.support.podcli import Pod, until


@pytest.fixture
def net(pod: Pod) -> Any:
    pod("network", "create", "told").ok()
    yield "told"
    pod.tidy()
    pod("network", "rm", "told").ok()


def _told(pod: Pod, container: str) -> list[tuple[str, str, str, str]]:
    """(type, action, name, driver) of the container and its networks, in order; ids are those of inspect."""
    out = pod("events", "--since", "1h", "--until", "0s", "--format", "json").ok()
    found = []
    for event in map(json.loads, out.splitlines()):
        attributes = event["Actor"]["Attributes"]
        if event["Type"] == "container" and event["id"] == container and event["Action"] in ("start", "die"):
            found.append(("container", event["Action"], "", ""))
        if event["Type"] == "network" and attributes.get("container") == container:
            assert set(attributes) == {"container", "name", "type"}
            assert set(event) == {"Type", "Action", "Actor", "scope", "time", "timeNano"}
            identity = pod("network", "inspect", "--format", "{{.Id}}", attributes["name"]).ok().strip()
            assert event["Actor"]["ID"] == identity
            found.append(("network", event["Action"], attributes["name"], attributes["type"]))
    return found


def test_events_of_networks_at_start_and_end_and_in_between(pod: Pod, busybox: str, net: str) -> None:
    first = pod("run", "-d", "--name", "one", "--network", net, busybox, "sleep", "1000").ok().strip()
    pod("network", "connect", "bridge", "one").ok()
    pod("network", "disconnect", net, "one").ok()
    pod("kill", "one").ok()
    until(lambda: pod.state("one")["Status"] == "exited", 20, "the end")
    assert _told(pod, first) == [
        ("network", "connect", net, "bridge"),
        ("container", "start", "", ""),
        ("network", "connect", "bridge", "bridge"),
        ("network", "disconnect", net, "bridge"),
        ("container", "die", "", ""),
        ("network", "disconnect", "bridge", "bridge"),
    ]


@pytest.mark.parametrize(("mode", "driver"), [("none", "null"), ("host", "host"), ("bridge", "bridge")])
def test_events_of_predefined_networks(pod: Pod, busybox: str, mode: str, driver: str) -> None:
    container = pod("run", "-d", "--network", mode, busybox, "true").ok().strip()
    pod("wait", container).ok()
    assert _told(pod, container) == [
        ("network", "connect", mode, driver),
        ("container", "start", "", ""),
        ("container", "die", "", ""),
        ("network", "disconnect", mode, driver),
    ]


def test_events_of_a_killed_supervisor_tell_that_it_left_its_network(pod: Pod, busybox: str) -> None:
    container = pod("run", "-d", "--network", "none", busybox, "sleep", "1000").ok().strip()
    record = pod.root / "containers" / container / "state.json"
    os.kill(json.loads(record.read_bytes())["supervisor"], signal.SIGKILL)
    until(lambda: pod("ps", "-q").ok() == "", 20, "the end")
    assert _told(pod, container)[-2:] == [("container", "die", "", ""), ("network", "disconnect", "none", "null")]


def test_exec_has_the_variables_of_links(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "db", "--expose", "5432", "-e", "MODE=fast", busybox, "sleep", "1000").ok()
    pod("run", "-d", "--name", "web", "--link", "db:store", busybox, "sleep", "1000").ok()
    own = pod("exec", "web", "sh", "-c", "tr '\\0' '\\n' </proc/1/environ | grep ^STORE_ | sort").ok()
    assert "STORE_ENV_MODE=fast\n" in own
    assert "STORE_PORT_5432_TCP_PROTO=tcp\n" in own
    assert pod("exec", "web", "sh", "-c", "env | grep ^STORE_ | sort").ok() == own
    assert pod("exec", "-e", "STORE_NAME=mine", "web", "sh", "-c", "echo $STORE_NAME").ok() == "mine\n"
    pod("kill", "db").ok()
    assert pod("exec", "web", "sh", "-c", "env | grep -c ^STORE_ || true").ok() == "0\n"


def test_inspect_lists_the_execs_that_run(pod: Pod, sleeper: str) -> None:
    assert pod.inspect(sleeper)["ExecIDs"] is None
    pod("exec", sleeper, "true").ok()
    assert pod.inspect(sleeper)["ExecIDs"] is None
    pod("exec", "-d", sleeper, "sleep", "1001").ok()
    client = pod.start("exec", "-i", sleeper, "cat")
    until(lambda: len(pod.inspect(sleeper)["ExecIDs"] or ()) == 2, 20, "both execs to be listed")
    out = pod("events", "--since", "1h", "--until", "0s", "--format", "json", "--filter", "event=exec_start").ok()
    told = [json.loads(line)["Actor"]["Attributes"]["execID"] for line in out.splitlines()]
    assert set(pod.inspect(sleeper)["ExecIDs"]) == set(told[-2:])
    assert client.stdin is not None
    client.stdin.close()
    assert client.wait(20) == 0
    until(lambda: len(pod.inspect(sleeper)["ExecIDs"] or ()) == 1, 20, "the one that ended to go")
    pod("kill", sleeper).ok()
    until(lambda: pod.inspect(sleeper)["ExecIDs"] is None, 20, "none to be left")


@pytest.mark.nsenter
def test_nsenter_into_the_holder_as_documented(pod: Pod, busybox: str, net: str) -> None:
    pod("run", "-d", "--name", "one", "--network", net, busybox, "sleep", "1000").ok()
    holder = json.loads(pod("network", "inspect", "-v", net).ok())[0]["Holder"]
    pid = pod("network", "inspect", "-v", "--format", "{{.Holder.Pid}}", net).ok().strip()
    command = ["nsenter", "-t", pid, "-U", "-n", "--preserve-credentials"]
    script = "ls /sys/class/net 2>/dev/null || true; cat /proc/net/dev"
    done = subprocess.run([*command, "sh", "-c", script], capture_output=True, text=True, timeout=20, check=False)
    assert done.returncode == 0, done
    interface = holder["Interface"] if "Interface" in holder else holder["Bridge"]
    assert f"{interface}:" in done.stdout
