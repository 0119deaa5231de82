"""ps: which containers, in which order, with which columns."""

from __future__ import annotations

import json
import time

import pytest

from tests.support.podcli import Pod


@pytest.fixture
def three(pod: Pod, busybox: str) -> list[str]:
    """Containers of three states, the oldest first: one that was only made, one that ended with 3, one that runs."""
    pod("create", "--name", "made", "--label", "tier=db", "-v", "ps-data:/data", busybox, "true").ok()
    assert pod("run", "--name", "ended", "-l", "tier=web", "--expose", "80", busybox, "sh", "-c", "exit 3").code == 3
    pod("run", "-d", "--name", "runs", "-l", "tier=web", "-l", "com.x.role=a b", busybox, "sleep", "100").ok()
    return ["made", "ended", "runs"]


def names(pod: Pod, *options: str) -> list[str]:
    return pod("ps", *options, "--format", "{{.Names}}").ok().split()


def test_ps_orders_limits_and_chooses_by_state(pod: Pod, three: list[str]) -> None:
    for options, found in (
        ((), ["runs"]),
        (("-a",), ["runs", "ended", "made"]),
        (("-l",), ["runs"]),
        (("-n", "2"), ["runs", "ended"]),
        (("-n", "2", "-f", "status=created"), ["made"]),
        (("-n", "0"), ["runs"]),
        (("-f", "status=exited"), ["ended"]),
        (("-f", "status=exited", "-f", "status=created"), ["ended", "made"]),
        (("-f", "label=tier"), ["runs"]),
    ):
        assert names(pod, *options) == found, options


def test_ps_filters_by_what_containers_are(pod: Pod, three: list[str], busybox: str) -> None:
    image = pod.inspect("runs")["Image"]
    some_id = pod.inspect("ended")["Id"]
    for value, found in (
        ("name=^/runs$", ["runs"]),
        ("name=e", ["ended", "made"]),
        ("id=" + some_id[:8], ["ended"]),
        ("label=tier=web", ["runs", "ended"]),
        ("label=com.x.role=a b", ["runs"]),
        ("exited=3", ["ended"]),
        ("exited=0", []),
        ("ancestor=" + busybox, ["runs", "ended", "made"]),
        ("ancestor=" + image[7:19], ["runs", "ended", "made"]),
        ("ancestor=no/such", []),
        ("before=ended", ["made"]),
        ("since=made", ["runs", "ended"]),
        ("volume=ps-data", ["made"]),
        ("volume=/data", ["made"]),
        ("volume=other", []),
        ("network=bridge", ["runs", "ended", "made"]),
        ("network=none", []),
        ("network=brid", ["runs", "ended", "made"]),
        ("expose=80", ["ended"]),
        ("expose=70-90/tcp", ["ended"]),
        ("publish=80", []),
        ("health=none", ["runs", "ended", "made"]),
        ("health=healthy", []),
        ("isolation=default", ["runs", "ended", "made"]),
        ("is-task=true", []),
        ("is-task=false", ["runs", "ended", "made"]),
    ):
        assert names(pod, "-a", "-f", value) == found, value
    assert names(pod, "-a", "-f", "label=tier=web", "-f", "label=com.x.role") == ["runs"]
    assert names(pod, "-a", "-f", "name=runs", "-f", "name=made") == ["runs", "made"]


@pytest.mark.parametrize(
    ("value", "words"),
    [
        ("colour=red", "invalid filter 'colour'"),
        ("status=asleep", "invalid filter 'status=asleep'"),
        ("health=ill", "invalid filter 'health=ill'"),
        ("exited=x", "invalid filter 'exited=x'"),
        ("name=[", "invalid filter 'name=['"),
        ("is-task=maybe", "invalid filter 'is-task=[maybe]'"),
        ("publish=http", "invalid port range: http"),
        ("since=nobody", "No such container: nobody"),
    ],
)
def test_ps_filter_that_means_nothing_is_refused(pod: Pod, value: str, words: str) -> None:
    pod("ps", "-f", value).failed(1, words)


def test_ps_table_as_it_stands(pod: Pod, three: list[str]) -> None:
    header, *rows = pod("ps", "-as").ok().splitlines()
    assert header.split("  ")[0] == "CONTAINER ID"
    assert header.split()[-1] == "SIZE"
    assert [row.split("   ")[0] for row in rows] == [pod.inspect(name)["Id"][:12] for name in reversed(three)]
    assert [" (virtual " in row for row in rows] == [True] * 3
    columns = {name: header.index(name) for name in ("CREATED", "STATUS", "PORTS")}
    assert rows[0][columns["STATUS"] :].startswith("Up ")
    assert rows[1][columns["STATUS"] :].startswith("Exited (3) ")
    assert rows[2][columns["STATUS"] :].startswith("Created ")
    assert all(row[columns["CREATED"] : columns["STATUS"]].rstrip().endswith(" ago") for row in rows)


def test_ps_formats_have_every_placeholder_of_docker(pod: Pod, three: list[str]) -> None:
    rows = [json.loads(row) for row in pod("ps", "-a", "--format", "json").ok().splitlines()]
    again = [json.loads(row) for row in pod("ps", "-a", "--format", "{{json .}}").ok().splitlines()]
    assert [(list(row), row["Names"], row["Labels"]) for row in rows] == [
        (list(row), row["Names"], row["Labels"]) for row in again
    ]
    assert [row["Names"] for row in rows] == ["runs", "ended", "made"]
    wanted = ["Command", "CreatedAt", "HealthStatus", "ID", "IPAddresses", "Image", "Labels", "LocalVolumes", "Mounts"]
    wanted += ["Names", "Networks", "Platform", "Ports", "RunningFor", "Size", "State", "Status"]
    assert list(rows[0]) == wanted
    assert (rows[2]["LocalVolumes"], rows[2]["Mounts"], rows[0]["Size"]) == ("1", "ps-data", "0B")
    assert time.strptime(rows[0]["CreatedAt"][:19], "%Y-%m-%d %H:%M:%S")
    text = pod("ps", "--format", 'table {{.Names}}\t{{.Label "com.x.role"}}\t{{.State}}').ok().splitlines()
    assert [row.split() for row in text] == [["NAMES", "role", "STATE"], ["runs", "a", "b", "running"]]
    assert pod("ps", "--format", '{{.Label "none"}}|{{"tier" | .Label}}').ok() == "|web\n"
    raw = pod("ps", "--format", "raw").ok().splitlines()
    assert [row.partition(":")[0] for row in raw[:9]] == [
        *("container_id", "image", "command", "created_at", "state", "status", "names", "labels", "ports")
    ]
    assert pod("ps", "-q", "--format", "raw").ok() == f"container_id: {rows[0]['ID']}\n"


@pytest.mark.parametrize(
    ("template", "words"),
    [
        ("{{.ID", "template parsing error"),
        ("{{nonsense .ID}}", 'function "nonsense" not defined'),
        ("{{.Foo}}", "Foo"),
        ("{{.Label}}", "wrong number of args for Label: want 1 got 0"),
        ("{{.Label 3}}", "expected string"),
        ("{{.ID 3}}", "ID is not a method but has arguments"),
    ],
)
def test_ps_template_that_is_none_is_refused(pod: Pod, three: list[str], template: str, words: str) -> None:
    done = pod("ps", "--format", template)
    done.failed(1, words)
    assert done.out == ""
