"""stop, kill, restart, wait, start of several containers: what others notice, and what is said where it fails."""

from __future__ import annotations

import fcntl
import time
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until

POLITE = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done"


def polite(pod: Pod, busybox: str, name: str, *options: str) -> None:
    pod("run", "-d", "--name", name, "--network", "none", *options, busybox, "sh", "-c", POLITE).ok()
    until(lambda: "ready" in pod("logs", name).out, 20, "the trap")


def test_start_by_two_at_once_when_one_wins_then_both_are_content(pod: Pod, busybox: str) -> None:
    container = pod("create", "--name", "wanted", "--network", "none", busybox, "sleep", "1000").ok().strip()
    run_dir = pod.run_pointer().resolve()
    folder = run_dir / "c" / container[:32]
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with (folder / "lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        starts = [pod.start("start", "wanted") for _ in range(2)]
        time.sleep(1)  # both have seen that it does not run, and wait
    for start in starts:
        assert start.communicate(timeout=30) == (b"wanted\n", b"")


def one_line_each(err: str) -> list[str]:
    return [line for line in err.splitlines() if line.startswith("pod: ")]


def test_restart_stops_politely_and_starts(pod: Pod, busybox: str) -> None:
    polite(pod, busybox, "served")
    before = pod.state("served")["Pid"]
    assert pod("restart", "served").ok() == "served\n"
    state = pod.state("served")
    assert state["Running"]
    assert state["Pid"] != before
    until(lambda: pod("logs", "served").ok() == "ready\nbye\nready\n", 20, "the second run's word")
    assert pod.inspect("served")["RestartCount"] == 0


def test_restart_kills_after_its_time_and_starts_what_is_stopped(pod: Pod, busybox: str, sleeper: str) -> None:
    begin = time.monotonic()
    pod("restart", "-t", "1", sleeper).ok()
    assert 0.9 < time.monotonic() - begin < 20
    pod("stop", "-t", "0", sleeper).ok()
    pod("restart", sleeper).ok()
    assert pod.state(sleeper)["Running"]
    pod("create", "--name", "fresh", "--network", "none", busybox, "sleep", "1000").ok()
    pod("restart", "fresh").ok()
    assert pod.state("fresh")["Running"]


def test_restart_sends_the_signal_that_is_asked_for(pod: Pod, busybox: str) -> None:
    script = "trap 'echo usr; exit 0' USR1; echo ready; while :; do sleep 0.05; done"
    pod("run", "-d", "--name", "asked", "--network", "none", busybox, "sh", "-c", script).ok()
    until(lambda: "ready" in pod("logs", "asked").out, 20, "the trap")
    pod("restart", "-s", "USR1", "asked").ok()
    assert pod("logs", "asked").ok().startswith("ready\nusr\n")


def test_restart_of_a_container_with_rm_keeps_it(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--rm", "--name", "brief", "--network", "none", busybox, "sleep", "1000").ok()
    pod("exec", "brief", "touch", "/kept").ok()
    pod("restart", "-t", "0", "brief").ok()
    assert pod("exec", "brief", "ls", "/kept").ok() == "/kept\n"
    pod("stop", "-t", "0", "brief").ok()
    until(lambda: pod.containers() == [], 20, "--rm")


def test_restart_with_a_policy_counts_from_the_beginning(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "crashing", "--restart", "always", "--network", "none", busybox, "false").ok()
    until(lambda: int(pod.inspect("crashing")["RestartCount"]) >= 4, 30, "some runs")
    pod("restart", "crashing").ok()
    assert int(pod.inspect("crashing")["RestartCount"]) < 4
    assert pod.state("crashing")["Running"]
    pod("stop", "-t", "0", "crashing").ok()


def test_several_containers_one_error_line_each_and_the_others_done(pod: Pod, busybox: str, sleeper: str) -> None:
    for command in (("restart", "-t", "0"), ("stop", "-t", "0"), ("start",), ("kill",), ("wait",), ("rm",)):
        done = pod(*command, "nobody", sleeper, "nobody2")
        said = "137\n" if command[0] == "wait" else f"{sleeper}\n"
        assert (done.code, done.out) == (1, said), done
        assert one_line_each(done.err) == ["pod: No such container: nobody", "pod: No such container: nobody2"]


def test_kill_of_one_that_does_not_run_is_dockers_line(pod: Pod, sleeper: str) -> None:
    pod("stop", "-t", "0", sleeper).ok()
    identity = pod.inspect(sleeper)["Id"]
    done = pod("kill", sleeper)
    assert one_line_each(done.err) == [f"pod: cannot kill container: {sleeper}: container {identity} is not running"]
    assert done.code == 1


@pytest.mark.parametrize("command", [("kill", "-s"), ("stop", "-s"), ("restart", "-s")])
def test_signals_that_do_not_exist_change_nothing(pod: Pod, sleeper: str, command: tuple[str, ...]) -> None:
    before = pod.state(sleeper)
    assert pod(*command, "NOPE", sleeper).code != 0
    assert pod.state(sleeper) == before


def test_wait_prints_codes_in_order_when_they_come(pod: Pod, busybox: str) -> None:
    for name, script in (("late", "sleep 1; exit 4"), ("soon", "exit 5")):
        pod("run", "-d", "--name", name, "--network", "none", busybox, "sh", "-c", script).ok()
    assert pod("wait", "late", "soon").ok() == "4\n5\n"
    assert pod("container", "wait", "late").ok() == "4\n"


def test_wait_knows_the_code_of_what_removes_itself(pod: Pod, busybox: str) -> None:
    names = ("one", "two")
    for name in names:
        script = "until [ -e /go ]; do sleep 0.05; done; exit 9"
        pod("run", "-d", "--rm", "--name", name, "--network", "none", busybox, "sh", "-c", script).ok()
    waiting = pod.start("wait", *names)
    until(lambda: len(list(Path(f"/proc/{waiting.pid}/fd").glob("*"))) >= 5, 20, "it to wait for both")
    for name in reversed(names):
        pod("exec", name, "touch", "/go").ok()
    out, _ = waiting.communicate(timeout=60)
    assert (waiting.returncode, out) == (0, b"9\n9\n")
    assert pod.containers() == []


def test_wait_tells_each_end_of_a_restarted_one(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "often", "--restart", "always", "--network", "none", busybox, "sh", "-c",
        "sleep 1; exit 6").ok()  # fmt: skip
    assert pod("wait", "often").ok() == "6\n"
    assert pod.state("often")["Running"]
    pod("stop", "-t", "0", "often").ok()


def test_wait_of_one_that_never_ran_is_zero(pod: Pod, busybox: str) -> None:
    pod("create", "--name", "fresh", busybox, "true").ok()
    assert pod("wait", "fresh").ok() == "0\n"


def test_start_a_of_a_running_one_attaches(pod: Pod, busybox: str) -> None:
    script = "until [ -e /go ]; do sleep 0.05; done; echo gone; exit 8"
    pod("run", "-d", "--name", "talker", "--network", "none", busybox, "sh", "-c", script).ok()
    client = pod.start("start", "-a", "talker")
    time.sleep(0.5)
    pod("exec", "talker", "touch", "/go").ok()
    assert client.communicate(timeout=60)[0] == b"gone\n"
    assert client.returncode == 8


def test_start_a_of_several_is_refused(pod: Pod, busybox: str) -> None:
    for name in ("one", "two"):
        pod("create", "--name", name, busybox, "true").ok()
    pod("start", "-a", "one", "two").failed(1, "you cannot start and attach multiple containers at once")
    assert pod.state("one")["Status"] == "created"
    assert pod("start", "two", "one").ok() == "two\none\n"


def test_rm_l_is_dockers_refusal(pod: Pod, busybox: str) -> None:
    pod("create", "--name", "linked", busybox, "true").ok()
    pod("rm", "-l", "linked").failed(1, "Conflict, cannot remove the default link name of the container")
    assert len(pod.containers()) == 1
