"""container prune and port."""

from __future__ import annotations

import pytest

from tests.support.podcli import Pod


@pytest.fixture
def four(pod: Pod, busybox: str) -> dict[str, str]:
    """Names to ids: made, ended (labelled, wrote 4 kB), kept (labelled keep), runs."""
    pod("create", "--name", "made", busybox).ok()
    pod("run", "--name", "ended", "-l", "job=ci", busybox, "sh", "-c", "head -c 4000 /dev/zero >/x").ok()
    pod("run", "--name", "kept", "-l", "keep", busybox, "true").ok()
    pod("run", "-d", "--name", "runs", busybox, "sleep", "100").ok()
    return {name: pod.inspect(name)["Id"] for name in ("made", "ended", "kept", "runs")}


def left(pod: Pod) -> set[str]:
    return set(pod("ps", "-a", "--format", "{{.Names}}").ok().split())


def test_container_prune_asks_and_takes_what_does_not_run(pod: Pod, four: dict[str, str]) -> None:
    done = pod("container", "prune", stdin=b"n\n")
    question = "WARNING! This will remove all stopped containers.\nAre you sure you want to continue? [y/N] "
    assert (done.code, done.out) == (0, question)
    assert left(pod) == set(four)
    done = pod("container", "prune", "--filter", "label!=keep", stdin=b"y\n")
    assert done.out.startswith(question + "Deleted Containers:\n")
    lines = done.out[len(question) :].splitlines()
    assert set(lines[1:-2]) == {four["made"], four["ended"]}
    assert lines[-2:-1] == [""]
    assert lines[-1].startswith("Total reclaimed space: 4")
    assert lines[-1].endswith("kB")
    assert left(pod) == {"kept", "runs"}


def test_container_prune_filters_by_label_and_age(pod: Pod, four: dict[str, str]) -> None:
    assert pod("container", "prune", "-f", "--filter", "until=1h").ok() == "Total reclaimed space: 0B\n"
    assert pod("container", "prune", "-f", "--filter", "label=job=other").ok() == "Total reclaimed space: 0B\n"
    done = pod("container", "prune", "-f", "--filter", "label=job=ci", "--filter", "until=0s").ok()
    assert four["ended"] in done
    assert left(pod) == {"made", "kept", "runs"}
    assert four["kept"] in pod("container", "prune", "-f").ok()
    assert left(pod) == {"runs"}


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        (["status=exited"], "invalid filter 'status'"),
        (["until=soon"], "invalid filter 'until=soon'"),
        (["until=1h", "until=2h"], "more than one until filter specified"),
    ],
)
def test_container_prune_refuses_filters_before_it_asks(
    pod: Pod, four: dict[str, str], filters: list[str], words: str
) -> None:
    done = pod("container", "prune", *(word for text in filters for word in ("--filter", text)))
    done.failed(1, words)
    assert done.out == ""
    assert left(pod) == set(four)


def test_port_of_a_container_that_publishes_none(pod: Pod, sleeper: str) -> None:
    assert pod("port", sleeper).ok() == ""
    pod("port", sleeper, "80").failed(1, f"No public port '80' published for {sleeper}")
    pod("container", "port", sleeper, "80/udp").failed(1, "No public port '80/udp' published")
    pod("port", sleeper, "http").failed(1, "invalid port (http)")
    pod("port", sleeper, "70000").failed(1, "invalid port (70000)")
    pod("port", "nobody").failed(1, "No such container: nobody")
