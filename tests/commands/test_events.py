"""``events``: the life of containers and images as Docker tells it, followed, filtered, through a full file."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import Any

import pytest

from tests.support.podcli import Pod, until
from tests.support.prepared import Prepared


def _since(pod: Pod, *filters: str) -> list[dict[str, Any]]:
    flags = [word for text in filters for word in ("--filter", text)]
    out = pod("events", "--since", "1h", "--until", "0s", "--format", "json", *flags).ok()
    return [json.loads(line) for line in out.splitlines()]


def _actions(found: list[dict[str, Any]]) -> list[str]:
    return [event["Action"].partition(":")[0] for event in found]


def test_events_of_a_detached_container(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "told", "--label", "team=blue", busybox, "sleep", "1000").ok()
    identity = pod.inspect("told")["Id"]
    assert pod("exec", "told", "sh", "-c", "exit 4").code == 4
    pod("stop", "-t", "0", "told").ok()
    pod("rm", "told").ok()
    found = _since(pod, "container=told")
    assert _actions(found) == [
        "create", "start", "exec_create", "exec_start", "exec_die", "kill", "kill", "die", "stop", "destroy",
    ]  # fmt: skip
    by_action = {event["Action"]: event for event in found}
    assert "exec_create: sh -c exit 4" in by_action
    for event in found:
        assert event["id"] == event["Actor"]["ID"] == identity
        assert (event["status"], event["from"], event["Type"], event["scope"]) == (
            event["Action"], busybox, "container", "local",
        )  # fmt: skip
        attributes = event["Actor"]["Attributes"]
        assert (attributes["image"], attributes["name"], attributes["team"]) == (busybox, "told", "blue")
        assert event["time"] == event["timeNano"] // 1_000_000_000
    assert [event["timeNano"] for event in found] == sorted(event["timeNano"] for event in found)
    assert by_action["die"]["Actor"]["Attributes"]["exitCode"] == "137"
    assert by_action["exec_die"]["Actor"]["Attributes"]["exitCode"] == "4"
    runs = [event["Actor"]["Attributes"]["execID"] for event in found if event["Action"].startswith("exec")]
    assert len(set(runs)) == 1
    assert re.fullmatch("[0-9a-f]{64}", runs[0])
    signals = [event["Actor"]["Attributes"]["signal"] for event in found if event["Action"] == "kill"]
    assert signals == ["15", "9"]


def test_events_of_a_foreground_container_and_its_signals(pod: Pod, busybox: str) -> None:
    program = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.1; done"
    client = pod.start("run", "--rm", "--name", "front", busybox, "sh", "-c", program)
    assert client.stdout is not None
    assert client.stdout.readline() == b"ready\n"
    client.send_signal(signal.SIGTERM)
    assert client.wait(20) == 5
    found = _since(pod, "container=front")
    assert _actions(found) == ["create", "attach", "start", "kill", "die", "destroy"]
    assert found[3]["Actor"]["Attributes"]["signal"] == "15"
    assert found[4]["Actor"]["Attributes"]["exitCode"] == "5"


def test_events_of_create_start_and_a_start_that_fails(pod: Pod, busybox: str) -> None:
    pod("create", "--name", "later", busybox, "true").ok()
    pod("start", "-a", "later").ok()
    pod("run", "--rm", "--name", "never", busybox, "no-such-program").failed(127)
    assert _actions(_since(pod, "container=later")) == ["create", "attach", "start", "die"]
    assert _actions(_since(pod, "container=never")) == ["create", "attach", "destroy"]


def test_events_of_a_prepared_start_are_those_of_python(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--label", "kind=prepared", busybox, "true")
    prepared.prime(*words)
    prepared.run(*words, python=False).ok()
    found = _since(prepared.pod, "label=kind=prepared")
    identity = found[-1]["id"]
    last = [event for event in found if event["id"] == identity]
    assert _actions(last) == ["create", "attach", "start", "die", "destroy"]
    assert _actions(found[:5]) == _actions(last)
    assert {event["Actor"]["Attributes"]["name"] for event in last} != {found[0]["Actor"]["Attributes"]["name"]}


def test_events_of_a_killed_supervisor_tell_the_end(pod: Pod, sleeper: str) -> None:
    record = pod.root / "containers" / pod.inspect(sleeper)["Id"] / "state.json"
    os.kill(json.loads(record.read_bytes())["supervisor"], signal.SIGKILL)
    until(lambda: pod("ps", "-q").ok() == "", 20, "the end")
    assert _since(pod, f"container={sleeper}")[-1]["Actor"]["Attributes"]["exitCode"] == "255"


def test_events_of_images(fresh_pod: Pod) -> None:
    name = fresh_pod.image("busybox:latest")
    fresh_pod("tag", name, "mine:1").ok()
    fresh_pod("rmi", "mine:1", name).ok()
    found = _since(fresh_pod, "type=image")
    assert _actions(found)[:3] == ["pull", "tag", "untag"]
    assert _actions(found)[-1] == "delete"
    assert found[0]["Actor"]["ID"] == name
    assert found[1]["Actor"]["Attributes"]["name"] == "mine:1"
    assert "from" not in found[0]


def test_events_follow_until_they_are_interrupted(pod: Pod, busybox: str) -> None:
    template = "{{.Action}} {{.Actor.Attributes.name}}"
    follower = pod.start("events", "--filter", "type=container", "--filter", "event=die", "--format", template)
    time.sleep(1)
    pod("run", "--rm", "--name", "seen", busybox, "true").ok()
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"die seen\n"
    follower.send_signal(signal.SIGINT)
    assert follower.wait(20) == 130
    assert follower.stdout.read() == b""


def test_events_until_a_time_to_come_end_then(pod: Pod, busybox: str) -> None:
    begin = time.time()
    follower = pod.start("events", "--until", str(begin + 3), "--filter", "type=container")
    time.sleep(1)
    pod("run", "--rm", "--name", "before", busybox, "true").ok()
    out, _ = follower.communicate(timeout=30)
    assert follower.returncode == 0
    assert time.time() - begin >= 3
    lines = out.decode().splitlines()
    assert [line.split()[2] for line in lines] == ["create", "attach", "start", "die", "destroy"]
    at = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}(Z|[+-]\d\d:\d\d)"
    assert re.match(at + r" container create [0-9a-f]{64} \(image=", lines[0])


def test_events_of_strange_texts_stay_one_harmless_line(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "--name", "odd", "--label", "x=\x1b[31m\nnext\u202e", busybox, "true").ok()
    lines = pod("events", "--since", "1h", "--until", "0s", "--filter", "container=odd").ok().splitlines()
    assert len(lines) == 5
    assert all("x=\\x1b[31m\\nnext\\u202e" in line for line in lines)


def test_events_with_labels_of_a_megabyte_are_bounded(pod: Pod, busybox: str) -> None:
    labels = [word for number in range(60) for word in ("--label", f"big{number:02d}={'y' * 20_000}")]
    pod("run", "--rm", "--name", "wide", *labels, busybox, "true").ok()
    found = _since(pod, "container=wide")
    assert len(found) == 5
    assert all(len(json.dumps(event)) < 40_000 for event in found)


def test_events_of_the_helper_go_through_a_full_file(fresh_pod: Pod) -> None:
    """The file is almost full when eight starts write at once: it is rotated once, and all events are there."""
    busybox = fresh_pod.image("busybox:latest")
    path = fresh_pod.root / "events"
    with path.open("ab") as file:
        file.write((b"x" * 1023 + b"\n") * (4096 - 4))
    follower = fresh_pod.start("events", "--format", "{{.Action}}")
    time.sleep(1)
    clients = [fresh_pod.start("run", "--rm", busybox, "true") for _ in range(8)]
    for client in clients:
        assert client.wait(60) == 0
    assert sorted(os.listdir(fresh_pod.root)).count("events.1") == 1
    assert path.stat().st_size < 1 << 20
    found = _actions(_since(fresh_pod, "type=container"))
    assert {action: found.count(action) for action in set(found)} == dict.fromkeys(
        ("create", "attach", "start", "die", "destroy"), 8
    )
    assert follower.stdout is not None
    for _ in range(40):
        assert follower.stdout.readline()
    follower.terminate()
    follower.wait(20)


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("--filter", "colour=red"), "invalid filter 'colour'"),
        (("--since", "yesterday"), "--since: yesterday"),
        (("--until", "10x"), "--until: 10x"),
        (("--since", "100", "--until", "50"), "`since` time (100) cannot be after `until` time (50)"),
        (("--format", "{{.Nothing}}", "--since", "1h", "--until", "0s"), "Nothing"),
        (("--format", "{{"), "template parsing error"),
    ],
)
def test_events_refuse_bad_input(pod: Pod, busybox: str, words: tuple[str, ...], message: str) -> None:
    pod("run", "--rm", busybox, "true").ok()
    pod("system", "events", *words).failed(1, message)


def test_events_template_that_names_what_not_all_have_shows_all(pod: Pod, busybox: str) -> None:
    assert pod("run", "--rm", "--name", "coded", busybox, "sh", "-c", "exit 3").code == 3
    asked = ("--since", "1h", "--until", "0s", "--filter", "container=coded")
    lines = pod("events", *asked, "--format", "{{.Action}} {{.Actor.Attributes.exitCode}}").ok().splitlines()
    assert {"create <no value>", "die 3", "destroy <no value>"} <= set(lines), lines


def test_events_whose_reader_leaves_end(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", busybox, "true").ok()
    follower = pod.start("events", "--since", "1h")
    assert follower.stdout is not None
    follower.stdout.readline()
    follower.stdout.close()
    pod("run", "--rm", busybox, "true").ok()
    assert follower.wait(20) == 141
