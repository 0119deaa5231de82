"""--restart: what the supervisor starts again, when, how often, and what it is told to leave."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until

COUNT = "n=$(cat /n 2>/dev/null || echo 0); n=$((n+1)); echo $n >/n; echo run $n; "
"""A script that counts its runs in the container's own files."""


def restarts(pod: Pod, name: str) -> int:
    return int(pod.inspect(name)["RestartCount"])


def run(pod: Pod, name: str, *words: str) -> None:
    pod("run", "-d", "--name", name, "--network", "none", *words).ok()


@pytest.fixture
def quick(pod: Pod, tmp_path: Path) -> dict[str, str]:
    """An environment in which the pauses are a millisecond each."""
    path = tmp_path / "pod.toml"
    path.write_text("restart-pauses = [1, 2]\n")
    return {"POD_CONFIG": str(path)}


def test_on_failure_starts_again_so_often_and_no_more(pod: Pod, busybox: str) -> None:
    run(pod, "failing", "--restart", "on-failure:2", busybox, "sh", "-c", COUNT + "exit 3")
    pod.wait_for("failing", "exited")
    document = pod.inspect("failing")
    assert (document["RestartCount"], document["State"]["ExitCode"]) == (2, 3)
    assert document["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 2}
    assert pod("logs", "failing").ok() == "run 1\nrun 2\nrun 3\n"


def test_on_failure_leaves_what_succeeds(pod: Pod, busybox: str) -> None:
    run(pod, "fine", "--restart", "on-failure", busybox, "sh", "-c", COUNT + "[ $n = 2 ]")
    pod.wait_for("fine", "exited")
    assert restarts(pod, "fine") == 1
    assert pod.state("fine")["ExitCode"] == 0


@pytest.mark.parametrize("policy", ["always", "unless-stopped"])
def test_first_process_killed_starts_again_and_stop_does_not(pod: Pod, busybox: str, policy: str) -> None:
    run(pod, "steady", "--restart", policy, busybox, "sleep", "1000")
    before = pod.state("steady")
    os.kill(before["Pid"], signal.SIGKILL)
    until(lambda: restarts(pod, "steady") == 1 and pod.state("steady")["Pid"] > 0, 20, "it to be started again")
    after = pod.state("steady")
    assert after["Status"] == "running"
    assert after["Pid"] != before["Pid"]
    assert after["StartedAt"] > after["FinishedAt"] > before["StartedAt"]
    assert pod("exec", "steady", "echo", "in").ok() == "in\n"
    pod("stop", "-t", "0", "steady").ok()
    assert (pod.state("steady")["Status"], restarts(pod, "steady")) == ("exited", 1)
    time.sleep(0.5)
    assert pod.state("steady")["Status"] == "exited"


@pytest.mark.parametrize("how", [("kill",), ("kill", "-s", "TERM"), ("kill", "-s", "INT")])
def test_kill_is_the_end_too(pod: Pod, busybox: str, how: tuple[str, ...]) -> None:
    run(pod, "steady", "--init", "--restart", "always", busybox, "sleep", "1000")
    pod(*how, "steady").ok()
    pod.wait_for("steady", "exited")
    time.sleep(0.3)
    assert pod.state("steady")["Status"] == "exited"


def test_kill_by_another_signal_is_a_crash_like_any(pod: Pod, busybox: str) -> None:
    run(pod, "steady", "--init", "--restart", "always", busybox, "sleep", "1000")
    pod("kill", "-s", "USR1", "steady").ok()
    until(lambda: restarts(pod, "steady") == 1, 20, "it to be started again")


def test_stop_of_one_that_waits_to_be_started(pod: Pod, busybox: str) -> None:
    run(pod, "crashing", "--restart", "always", busybox, "sh", "-c", "exit 7")
    until(lambda: restarts(pod, "crashing") >= 4, 30, "a pause of some length")
    until(lambda: pod.state("crashing")["Status"] == "restarting", 30, "the pause")
    state = pod.state("crashing")
    assert (state["Running"], state["Restarting"], state["Pid"], state["ExitCode"]) == (True, True, 0, 7)
    row = pod("ps", "--format", "{{.State}} {{.Status}}").ok()
    assert row.startswith("restarting Restarting (7) ")
    assert row.rstrip().endswith(" ago")
    pod("exec", "crashing", "true").failed(1, "is restarting, wait until the container is running")
    pod("rm", "crashing").failed(1, "container is restarting: stop the container before removing or force remove")
    begin = time.monotonic()
    pod("stop", "crashing").ok()
    assert time.monotonic() - begin < 8
    assert (pod.state("crashing")["Status"], pod.state("crashing")["ExitCode"]) == ("exited", 7)


def test_files_of_one_that_waits_to_be_started(pod: Pod, busybox: str, tmp_path: Path) -> None:
    """Neither mounted as those of a stopped one (the supervisor may start at any moment), nor said to have ended."""
    (tmp_path / "pod.toml").write_text("restart-pauses = [30000, 60000]\n")
    long = {"POD_CONFIG": str(tmp_path / "pod.toml")}
    pod("run", "-d", "--name", "crashing", "--restart", "always", busybox, "sh", "-c", "exit 7", env=long).ok()
    until(lambda: pod.state("crashing")["Status"] == "restarting", 30, "the pause")
    said = "is restarting, wait until the container is running"
    pod("cp", "crashing:/etc/group", "-").failed(1, said, "pod stop crashing")
    pod("cp", "-", "crashing:/etc", stdin=bytes(1024)).failed(1, said, "pod stop crashing")
    pod("export", "crashing").failed(1, said, "pod stop crashing")
    pod("stop", "crashing").ok()
    assert b"root" in pod("cp", "crashing:/etc/group", "-").ok().encode()


def test_pauses_double_and_begin_at_a_tenth_of_a_second(pod: Pod, busybox: str) -> None:
    run(pod, "crashing", "--restart", "on-failure:4", busybox, "sh", "-c", "cut -d' ' -f1 /proc/uptime; exit 1")
    pod.wait_for("crashing", "exited")
    times = [float(line) for line in pod("logs", "crashing").ok().split()]
    gaps = [later - sooner for sooner, later in zip(times, times[1:])]
    assert len(gaps) == 4
    for gap, pause in zip(gaps, (0.1, 0.2, 0.4, 0.8)):
        assert gap > pause - 0.011  # /proc/uptime counts hundredths
    assert gaps[0] < 0.8


def test_rm_f_of_one_that_waits_to_be_started(pod: Pod, busybox: str) -> None:
    run(pod, "crashing", "--restart", "always", busybox, "false")
    until(lambda: restarts(pod, "crashing") >= 2, 30, "some runs")
    assert pod("rm", "-f", "crashing").ok() == "crashing\n"
    assert pod.containers() == []


def test_foreground_run_stays_attached_until_the_last_end(pod: Pod, busybox: str) -> None:
    script = COUNT + "[ $n != 3 ] || exit 0; exit 5"
    done = pod("run", "--restart", "on-failure", busybox, "sh", "-c", script)
    assert (done.code, done.out) == (0, "run 1\nrun 2\nrun 3\n")
    assert pod("run", "--restart", "on-failure:1", busybox, "sh", "-c", "exit 6").code == 6


def test_terminal_and_input_go_to_the_next_run(pod: Pod, busybox: str) -> None:
    shell = pod.terminal("run", "-it", "--name", "asked", "--restart", "on-failure:1", busybox, "sh")
    shell.send(b"echo fi''rst; exit 3\n")
    shell.expect(b"first")
    until(lambda: restarts(pod, "asked") == 1 and pod.state("asked")["Pid"] > 0, 20, "the second run")
    shell.send(b"stty size; echo sec''ond; exit 0\n")
    shell.expect(b"24 80")
    shell.expect(b"second")
    assert shell.wait() == 0


def test_logs_f_and_attach_go_on_across_a_restart(pod: Pod, busybox: str) -> None:
    script = COUNT + "[ $n != 1 ] || until [ -e /go ]; do echo tick; sleep 0.1; done; exit 1"
    run(pod, "talker", "--restart", "on-failure:2", busybox, "sh", "-c", script)
    clients = pod.start("logs", "-f", "talker"), pod.start("attach", "--no-stdin", "talker")
    for client in clients:
        assert client.stdout is not None
        assert client.stdout.read(1)  # it is there
    pod("exec", "talker", "touch", "/go").ok()
    for client in clients:  # of the last tick, too, one byte may have been read
        assert client.communicate(timeout=60)[0].endswith(b"ick\nrun 2\nrun 3\n")
    assert clients[1].returncode == 1


def test_first_start_that_fails_is_not_repeated(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "none", "--restart", "always", busybox, "no-such-program").failed(127)
    assert pod.state("none")["Status"] == "created"


def test_later_start_that_fails_is_the_end(pod: Pod, busybox: str) -> None:
    run(pod, "self", "--restart", "always", busybox, "/bin/busybox", "rm", "-f", "/bin/busybox")
    pod.wait_for("self", "exited")
    state = pod.state("self")
    assert state["ExitCode"] in (126, 127)
    assert "exec" in state["Error"]
    assert restarts(pod, "self") == 1


def test_start_forgets_the_stop_and_the_count(pod: Pod, busybox: str) -> None:
    run(pod, "steady", "--restart", "always", busybox, "sleep", "1000")
    os.kill(pod.state("steady")["Pid"], signal.SIGKILL)
    until(lambda: restarts(pod, "steady") == 1, 20, "it to be started again")
    pod("stop", "-t", "0", "steady").ok()
    pod("start", "steady").ok()
    assert restarts(pod, "steady") == 0
    os.kill(pod.state("steady")["Pid"], signal.SIGKILL)
    until(lambda: restarts(pod, "steady") == 1, 20, "it to be started again")


def test_update_reaches_the_live_supervisor(pod: Pod, busybox: str) -> None:
    run(pod, "plain", busybox, "sleep", "1000")
    assert pod("update", "--restart", "on-failure:1", "plain").ok() == "plain\n"
    assert pod.inspect("plain")["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 1}
    os.kill(pod.state("plain")["Pid"], signal.SIGKILL)
    until(lambda: restarts(pod, "plain") == 1 and pod.state("plain")["Pid"] > 0, 20, "it to be started again")
    pod("update", "--restart", "no", "plain").ok()
    os.kill(pod.state("plain")["Pid"], signal.SIGKILL)
    pod.wait_for("plain", "exited")
    assert pod.state("plain")["ExitCode"] == 137


def test_supervisor_killed_in_the_pause_leaves_the_last_code(pod: Pod, busybox: str) -> None:
    run(pod, "crashing", "--restart", "always", busybox, "sh", "-c", "exit 7")
    until(lambda: restarts(pod, "crashing") >= 4, 30, "a pause of some length")
    until(lambda: pod.state("crashing")["Status"] == "restarting", 30, "the pause")
    record = next(iter((pod.root / "containers").glob("*/state.json"))).read_text()
    os.kill(int(record.partition('"supervisor":')[2].partition(",")[0]), signal.SIGKILL)
    state = pod.state("crashing")
    assert (state["Status"], state["ExitCode"], state["Restarting"]) == ("exited", 7, False)


def supervisor_of(pod: Pod) -> int:
    record = next(iter((pod.root / "containers").glob("*/state.json"))).read_text()
    return int(record.partition('"supervisor":')[2].partition(",")[0])


def held(pid: int) -> tuple[int, int]:
    """Descriptors and private kilobytes of a process."""
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines()[1:])
    private = sum(int(fields[name].split()[0]) for name in ("Private_Clean", "Private_Dirty"))
    return len(os.listdir(f"/proc/{pid}/fd")), private


SLOW = [
    pytest.param(options, 200, marks=pytest.mark.slow)
    for options in ((), ("-t",), ("--init",), ("--root-emulation", "basic"), ("--root-emulation", "off"))
]


@pytest.mark.parametrize(("options", "starts"), [((), 100), *SLOW])
def test_many_starts_cost_nothing(
    pod: Pod, busybox: str, quick: dict[str, str], options: tuple[str, ...], starts: int
) -> None:
    script = "chown 5:5 /n; [ $n != 10 ] || until [ -e /go ]; do sleep 0.1; done; "
    script += f"[ $n -lt {starts + 1} ] || exec sleep 1000; exit 1"
    words = ("--restart", "always", "--network", "none", *options, busybox, "sh", "-c", COUNT + script)
    pod("run", "-d", "--name", "often", *words, env=quick).ok()
    until(lambda: restarts(pod, "often") == 9, 60, "some starts")
    supervisor = supervisor_of(pod)
    time.sleep(0.3)
    early = held(supervisor)
    pod("exec", "often", "touch", "/go").ok()
    until(lambda: restarts(pod, "often") == starts, 100, "all starts")
    assert supervisor_of(pod) == supervisor
    time.sleep(0.3)
    late = held(supervisor)
    assert late[0] <= early[0] + 4  # fewer while there is an emulator, which has what leads to it
    assert late[1] <= early[1] + 32  # pages of its code that are used now and then; less than 400 bytes a start


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        ("sometimes", "unknown policy 'sometimes'"),
        (":3", "no policy provided before colon"),
        ("on-failure:x", "maximum retry count must be an integer"),
        ("on-failure:-1", "maximum retry count cannot be negative"),
        ("always:3", "maximum retry count can only be used with 'on-failure'"),
    ],
)
def test_bad_policies_are_named(pod: Pod, busybox: str, policy: str, words: str) -> None:
    pod("run", "--restart", policy, busybox, "true").failed(125, "invalid restart policy", words)
    assert pod.containers() == []


def test_rm_and_restart_exclude_each_other(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "--restart", "always", busybox, "true").failed(
        125, "conflicting options: cannot specify both --restart and --rm"
    )
    pod("run", "--rm", "--restart", "no", busybox, "true").ok()
