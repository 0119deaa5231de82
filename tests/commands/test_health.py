"""Health checks: run by the supervisor, judged as Docker judges them, shown by ps and inspect."""

from __future__ import annotations

import json
import os
import re
import signal
import time
from typing import Any

import pytest

from tests.support import podcli
from tests.support.podcli import Pod

CONFINED = "grep -E '^(Uid|Gid|Groups|Cap.*|NoNewPrivs|Seccomp|Seccomp_filters):' /proc/self/status; id; pwd; ulimit -n"


def health(pod: Pod, name: str) -> dict[str, Any]:
    found: dict[str, Any] = pod.state(name)["Health"]
    return found


def run(pod: Pod, image: str, *flags: str, program: tuple[str, ...] = ("sleep", "1000")) -> str:
    return pod("run", "-d", "--network", "none", *flags, image, *program).ok().strip()


def until_status(pod: Pod, name: str, status: str, seconds: float = 15) -> dict[str, Any]:
    podcli.until(lambda: bool(health(pod, name)["Status"] == status), seconds, f"{name} to be {status}")
    return health(pod, name)


def listed(pod: Pod, *flags: str) -> str:
    return pod("ps", "--format", "{{.Status}}", *flags).ok().strip()


def test_health_when_a_probe_fails_and_then_succeeds(pod: Pod, busybox: str) -> None:
    probe = "until test -e /go; do sleep 0.02; done; echo seen; test -e /good"
    name = run(pod, busybox, "--health-cmd", probe, "--health-interval", "200ms", "--health-retries", "2")
    assert listed(pod).endswith(" (health: starting)")
    pod("exec", name, "touch", "/go").ok()
    found = until_status(pod, name, "unhealthy")
    assert found["FailingStreak"] >= 2
    assert {(entry["ExitCode"], entry["Output"]) for entry in found["Log"]} == {(1, "seen\n")}
    assert listed(pod, "--filter", "health=unhealthy").endswith(" (unhealthy)")
    pod("exec", name, "touch", "/good").ok()
    assert until_status(pod, name, "healthy")["FailingStreak"] == 0
    assert re.fullmatch(r"Up .* \(healthy\)", listed(pod, "--filter", "health=healthy"))
    assert listed(pod, "--filter", "health=starting") == listed(pod, "--filter", "health=none") == ""
    podcli.until(lambda: len(health(pod, name)["Log"]) == 5, 10, "five results")
    time.sleep(0.3)
    entries = health(pod, name)["Log"]
    assert len(entries) == 5
    assert [entry["Start"] for entry in entries] == sorted(entry["Start"] for entry in entries)
    assert all(entry["Start"] < entry["End"] for entry in entries)
    assert pod.inspect(name)["Config"]["Healthcheck"] == {
        "Test": ["CMD-SHELL", probe], "Interval": 200_000_000, "Retries": 2,
    }  # fmt: skip
    lines = (pod.root / "events").read_text().splitlines()
    events = [json.loads(line) for line in lines if name in line]  # others may have been cut by kills
    told = [one["Action"] for one in events if one["Actor"]["ID"] == name and one["Action"].startswith("health")]
    assert told == ["health_status: unhealthy", "health_status: healthy"]
    pod("stop", "-t", "0", name).ok()
    assert health(pod, name)["Status"] == "unhealthy"
    assert listed(pod, "-a").startswith("Exited (137)")
    pod("start", name).ok()
    until_status(pod, name, "healthy")


@pytest.mark.parametrize(
    "flags",
    [
        (),
        ("-u", "1000:100", "-w", "/tmp", "--ulimit", "nofile=77:88"),
        ("--cap-drop", "ALL", "--read-only", "--security-opt", "no-new-privileges", "-e", "A=b"),
        ("--security-opt", "seccomp=unconfined", "--pid", "host"),
        ("--init", "--root-emulation", "basic"),
    ],
    ids=["plain", "user", "confined", "host-pids", "init"],
)
def test_health_probe_is_confined_as_an_exec(pod: Pod, busybox: str, flags: tuple[str, ...]) -> None:
    name = run(pod, busybox, *flags, "--health-cmd", CONFINED + "; echo $A$HOME$HOSTNAME", "--health-interval", "100ms")
    until_status(pod, name, "healthy")
    mine = pod("exec", name, "sh", "-c", CONFINED + "; echo $A$HOME$HOSTNAME").ok().splitlines()
    probes = health(pod, name)["Log"][-1]["Output"].splitlines()
    assert len(mine) == len(probes) >= 10
    assert probes == mine
    assert probes[-2] == "77" or "--ulimit" not in flags


@pytest.mark.parametrize("of", [(), ("--pid", "host")], ids=["own-pids", "host-pids"])
def test_health_of_who_shares_anothers_pids(pod: Pod, busybox: str, of: tuple[str, ...]) -> None:
    run(pod, busybox, "--name", "owner", *of)
    name = run(pod, busybox, "--pid", "container:owner", "--health-cmd", "true", "--health-interval", "100ms")
    until_status(pod, name, "healthy")


def test_health_when_it_starts_slowly_then_failures_do_not_count_yet(pod: Pod, busybox: str) -> None:
    slow = run(
        pod, busybox, "--health-cmd", "test -e /ready", "--health-start-period", "1m", "--health-retries", "1",
        "--health-start-interval", "100ms", "--health-interval", "5m",
    )  # fmt: skip
    long = run(
        pod, busybox, "--health-cmd", "false", "--health-start-period", "1s", "--health-retries", "1",
        "--health-start-interval", "100ms", "--health-interval", "200ms",
    )  # fmt: skip
    podcli.until(lambda: len(health(pod, slow)["Log"]) >= 3, 10, "probes at the start's own pace")
    found = health(pod, slow)
    assert (found["Status"], found["FailingStreak"]) == ("starting", 0)
    pod("exec", slow, "touch", "/ready").ok()
    until_status(pod, slow, "healthy")
    count = health(pod, slow)["Log"]
    until_status(pod, long, "unhealthy")
    assert health(pod, slow)["Log"] == count, "once healthy the usual interval counts"


def test_health_when_there_is_none_then_nothing_is_said(pod: Pod, busybox: str) -> None:
    name = run(pod, busybox, "--no-healthcheck")
    assert pod.inspect(name)["Config"]["Healthcheck"] == {"Test": ["NONE"]}
    assert "Health" not in pod.state(name)
    assert "(" not in listed(pod)
    assert listed(pod, "--filter", "health=none")
    assert not (pod.root / "containers" / name / "health.json").exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (("--health-interval", "500us"), "Interval in Healthcheck cannot be less than 1ms"),
        (("--health-timeout", "1ns"), "Timeout in Healthcheck cannot be less than 1ms"),
        (("--health-start-period", "999us"), "StartPeriod in Healthcheck cannot be less than 1ms"),
        (("--health-start-interval", "999us"), "StartInterval in Healthcheck cannot be less than 1ms"),
        (("--health-interval=-1s",), "--health-interval cannot be negative"),
        (("--health-timeout=-1s",), "--health-timeout cannot be negative"),
        (("--health-retries=-1",), "--health-retries cannot be negative"),
        (("--health-start-period=-1s",), "--health-start-period cannot be negative"),
        (("--health-start-interval=-1s",), "--health-start-interval cannot be negative"),
        (("--health-interval", "30"), 'missing unit in duration "30"'),
        (("--health-retries", "many"), "invalid syntax"),
        (("--no-healthcheck", "--health-cmd", "true"), "--no-healthcheck conflicts with --health-* options"),
    ],
)
def test_health_flags_that_make_no_sense_are_refused(pod: Pod, busybox: str, flags: tuple[str, ...], said: str) -> None:
    pod("run", *flags, busybox, "true").failed(125, said)
    assert pod.containers() == []


def running_after(pod: Pod, name: str, restarts: int) -> bool:
    """Whether it was started once more since, and runs: between two starts it counts as unhealthy too."""
    document = pod.inspect(name)
    return bool(document["RestartCount"] > restarts and document["State"]["Status"] == "running")


def test_health_when_a_policy_starts_it_again_then_probes_begin_anew(pod: Pod, busybox: str) -> None:
    check = ("--health-cmd", "test -e /dev/shm/good", "--health-interval", "100ms", "--health-retries", "1")
    name = run(pod, busybox, "--restart", "always", *check)
    for _ in range(2):
        until_status(pod, name, "unhealthy")
        pod("exec", name, "touch", "/dev/shm/good").ok()
        until_status(pod, name, "healthy")
        count, first = pod.inspect(name)["RestartCount"], pod.state(name)["Pid"]
        os.kill(first, signal.SIGKILL)
        podcli.until(lambda: running_after(pod, name, count), 10, "the next start")  # noqa: B023
    until_status(pod, name, "unhealthy")
    pod("stop", "-t", "0", name).ok()


def test_health_when_the_supervisor_is_killed_then_nothing_of_the_probe_is_left(pod: Pod, busybox: str) -> None:
    name = run(pod, busybox, "--health-cmd", "echo on; sleep 1000", "--health-interval", "50ms")
    record = pod.root / "containers" / name / "state.json"
    podcli.until(lambda: "sleep 1000" in pod("exec", name, "ps").ok().replace("sh -c", ""), 10, "the probe")
    os.kill(json.loads(record.read_text())["supervisor"], signal.SIGKILL)
    pod.wait_for(name, "exited")
    assert health(pod, name)["Status"] == "unhealthy"
    pod("rm", name).ok()
    assert pod.leftovers() == []


def test_health_when_the_container_has_a_network_then_its_probes_run(pod: Pod, busybox: str) -> None:
    """A probe joins the container: it waits for no interfaces of its own."""
    flags = ("--health-cmd", "echo hi", "--health-interval", "100ms")
    name = pod("run", "-d", *flags, busybox, "sleep", "1000").ok().strip()
    assert until_status(pod, name, "healthy")["Log"][0]["Output"] == "hi\n"
