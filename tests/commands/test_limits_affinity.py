"""``update`` of processors where affinity holds them: everything in the container moves, and what comes later."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import podcli
from tests.support.podcli import Pod

pytestmark = pytest.mark.processors
FORKS = "while :; do sleep 0.05 & sleep 0.01; done"
ALLOWED = ("grep", "Cpus_allowed_list", "/proc/self/status")


def spread(pod: Pod, name: str) -> list[set[int]]:
    """The processors of each process of the container."""
    found = []
    for line in pod("top", name, "-o", "pid").ok().splitlines()[1:]:
        try:
            found.append(os.sched_getaffinity(int(line)))
        except ProcessLookupError:
            continue
    return found


def all_have(pod: Pod, name: str, wanted: set[int]) -> Callable[[], bool]:
    def look() -> bool:
        found = spread(pod, name)
        return bool(found) and all(one == wanted for one in found)

    return look


@pytest.mark.parametrize("kind", [(), ("--pid", "host")], ids=["own-pids", "host-pids"])
def test_update_when_it_forks_all_the_time_then_all_of_it_moves(pod: Pod, busybox: str, kind: tuple[str, ...]) -> None:
    own = sorted(os.sched_getaffinity(0))
    program = FORKS if not kind else "sleep 60"
    name = pod("run", "-d", "--network", "none", *kind, busybox, "sh", "-c", program).ok().strip()
    assert all_have(pod, name, set(own))()
    for flags, wanted in (
        (("--cpus", "1"), None),
        (("--cpus", str(len(own))), set(own)),
        (("--cpuset-cpus", str(own[-1])), {own[-1]}),
        (("--cpuset-cpus", f"{own[0]},{own[-1]}"), {own[0], own[-1]}),
    ):
        done = pod("update", *flags, name)
        assert (done.ok().strip(), done.err) == (name, "")
        if wanted is None:
            wanted = os.sched_getaffinity(pod.state(name)["Pid"])
            assert len(wanted) == 1
        assert all_have(pod, name, wanted)(), (flags, spread(pod, name))
        text = pod("exec", name, *ALLOWED).ok().split()[1]
        assert text == ",".join(map(str, sorted(wanted))) or "-" in text
    by = json.loads(pod("inspect", "-f", "{{json .HostConfig.EnforcedBy}}", name).ok())
    assert by == {"NanoCpus": "affinity", "CpusetCpus": "affinity"}


def test_update_when_a_program_chose_its_processor_then_it_keeps_that(pod: Pod, busybox: str) -> None:
    own = sorted(os.sched_getaffinity(0))
    program = f"taskset -c {own[0]} sleep 61 & sleep 62"
    name = pod("run", "-d", "--network", "none", busybox, "sh", "-c", program).ok().strip()

    def of(seconds: str) -> set[int]:
        lines = pod("top", name, "-o", "pid,args").ok().splitlines()
        pid = next((int(line.split()[0]) for line in lines if line.endswith(seconds) and "-c" not in line), 0)
        return os.sched_getaffinity(pid) if pid else set()

    podcli.until(lambda: of("sleep 61") == {own[0]}, 10, "taskset")
    pod("update", "--cpuset-cpus", f"{own[0]},{own[1]}", name).ok()
    assert (of("sleep 61"), of("sleep 62")) == ({own[0]}, {own[0], own[1]})
    pod("update", "--cpuset-cpus", str(own[1]), name).ok()
    assert (of("sleep 61"), of("sleep 62")) == ({own[1]}, {own[1]})


def test_update_when_it_is_started_again_or_probed_then_that_holds_too(pod: Pod, busybox: str) -> None:
    own = sorted(os.sched_getaffinity(0))
    health = ("--health-cmd", " ".join(ALLOWED), "--health-interval", "1s")
    flags = ("-d", "--network", "none", "--restart", "always", "--cpuset-cpus", str(own[0]), *health)
    name = pod("run", *flags, busybox, "sleep", "60").ok().strip()
    first = pod.state(name)["Pid"]
    pod("update", "--cpuset-cpus", str(own[1]), name).ok()
    os.kill(first, 9)
    podcli.until(lambda: pod.state(name)["Pid"] not in (0, first), 20, "the next run")
    assert os.sched_getaffinity(pod.state(name)["Pid"]) == {own[1]}
    podcli.until(
        lambda: any(one["Output"].split()[-1:] == [str(own[1])] for one in pod.state(name)["Health"]["Log"] or ()),
        20,
        "a probe there",
    )
    pod("pause", name).ok()
    pod("update", "--cpuset-cpus", str(own[0]), name).ok()
    pod("unpause", name).ok()
    assert all_have(pod, name, {own[0]})()
    pod("stop", "-t", "0", name).ok()
    pod("update", "--cpuset-cpus", str(own[1]), name).ok()
    pod("start", name).ok()
    assert os.sched_getaffinity(pod.state(name)["Pid"]) == {own[1]}


def test_update_when_limits_are_strict_then_what_is_not_exact_is_refused(pod: Pod, busybox: str) -> None:
    name = pod("run", "-d", "--network", "none", "--strict-limits", busybox, "sleep", "60").ok().strip()
    pod("update", "--cpus", "0.5", name).failed(1, "--strict-limits")
    assert len(os.sched_getaffinity(pod.state(name)["Pid"])) > 1
    pod("update", "--cpus", "1", name).ok()
    assert len(os.sched_getaffinity(pod.state(name)["Pid"])) == 1


def test_memory_when_it_was_updated_in_an_earlier_run_then_the_newest_counts(pod: Pod, busybox: str) -> None:
    """What update writes for the supervisor that watches is of that run alone."""
    container = pod("run", "-d", "--network", "none", "-m", "60m", busybox, "sleep", "60").ok().strip()
    pod("update", "-m", "400m", container).ok()
    pod("stop", "-t", "0", container).ok()
    pod("update", "-m", "60m", container).ok()
    pod("start", container).ok()
    assert pod("exec", container, "dd", "if=/dev/zero", "of=/dev/null", "bs=120M", "count=999").code == 137
    assert not Path(f"{pod.root}/containers/{container}/memory").exists()
