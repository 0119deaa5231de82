"""Detached containers: ps, logs, stop, kill, rm, inspect."""

from __future__ import annotations

import time

import pytest

from tests.support.podcli import Pod, until


def test_run_d_prints_the_id_and_returns_at_once(pod: Pod, busybox: str) -> None:
    begin = time.monotonic()
    done = pod("run", "-d", "--name", "detached", busybox, "sleep", "1000")
    assert time.monotonic() - begin < 15
    assert done.ok().strip() == pod.inspect("detached")["Id"]
    assert len(done.out.strip()) == 64


def test_run_d_exec_failure_is_told_by_the_run(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--rm", busybox, "no-such-program").failed(127, "no-such-program")


def test_ps_shows_running_only_unless_told(pod: Pod, busybox: str, sleeper: str) -> None:
    pod("run", "--name", "ended", busybox, "sh", "-c", "exit 3")
    rows = pod("ps", "--format", "{{.Names}}|{{.Image}}|{{.Status}}").ok().splitlines()
    assert [row.split("|")[0] for row in rows] == [sleeper]
    assert rows[0].split("|")[1] == busybox
    assert rows[0].split("|")[2].startswith("Up ")
    rows = pod("ps", "-a", "--format", "{{.Names}}|{{.Status}}").ok().splitlines()
    assert [row.split("|")[0] for row in rows] == ["ended", sleeper]
    assert rows[0].split("|")[1].startswith("Exited (3) ")


def test_ps_table_is_dockers(pod: Pod, sleeper: str) -> None:
    header, row = pod("ps").ok().splitlines()
    assert header.split() == ["CONTAINER", "ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    assert row.startswith(pod.inspect(sleeper)["Id"][:12])
    assert '"sleep 1000"' in row
    assert row.split()[-1] == sleeper


def test_ps_q_and_no_trunc_give_ids(pod: Pod, sleeper: str) -> None:
    full = pod.inspect(sleeper)["Id"]
    assert pod("ps", "-q").ok().split() == [full[:12]]
    assert pod("ps", "-q", "--no-trunc").ok().split() == [full]


def test_containers_are_found_by_unambiguous_prefix(pod: Pod, sleeper: str) -> None:
    full = pod.inspect(sleeper)["Id"]
    for name in (full, full[:12], full[:4]):
        assert pod.inspect(name)["Id"] == full


def test_logs_give_each_stream_back(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "talker", busybox, "sh", "-c", "echo out; echo err >&2; printf 'no newline'").ok()
    pod.wait_for("talker", "exited")
    done = pod("logs", "talker")
    assert (done.code, done.out, done.err) == (0, "out\nno newline", "err\n")


def test_logs_of_a_foreground_run_are_kept_too(pod: Pod, busybox: str) -> None:
    pod("run", "--name", "spoken", busybox, "echo", "hello").ok()
    assert pod("logs", "spoken").ok() == "hello\n"


def test_logs_tail_and_timestamps(pod: Pod, busybox: str) -> None:
    pod("run", "--name", "counter", busybox, "seq", "1", "100").ok()
    assert pod("logs", "--tail", "2", "counter").ok() == "99\n100\n"
    stamp, word = pod("logs", "-t", "-n1", "counter").ok().split()
    assert (stamp[4], stamp[10], stamp[-1], word) == ("-", "T", "Z", "100")


def test_logs_follow_until_the_end(pod: Pod, busybox: str) -> None:
    script = "for i in 1 2 3; do echo $i; sleep 0.3; done"
    pod("run", "-d", "--name", "slow", busybox, "sh", "-c", script).ok()
    assert pod("logs", "-f", "slow").ok() == "1\n2\n3\n"


def test_logs_whole_lines_of_a_mebibyte(pod: Pod, busybox: str) -> None:
    script = "head -c 1048576 /dev/zero | tr '\\0' x; echo"
    pod("run", "--name", "wide", busybox, "sh", "-c", script).ok()
    assert pod("logs", "wide").ok() == "x" * (1 << 20) + "\n"


def test_stop_sends_term_and_waits(pod: Pod, busybox: str) -> None:
    script = "trap 'echo bye; exit 3' TERM; echo ready; while :; do sleep 0.05; done"
    pod("run", "-d", "--name", "polite", busybox, "sh", "-c", script).ok()
    until(lambda: "ready" in pod("logs", "polite").out, 20, "the trap")
    assert pod("stop", "polite").ok() == "polite\n"
    assert pod.state("polite")["ExitCode"] == 3
    assert pod("logs", "polite").ok() == "ready\nbye\n"


def test_stop_kills_after_its_time(pod: Pod, busybox: str) -> None:
    script = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
    pod("run", "-d", "--name", "stubborn", busybox, "sh", "-c", script).ok()
    until(lambda: "ready" in pod("logs", "stubborn").out, 20, "the trap")
    begin = time.monotonic()
    pod("stop", "-t", "1", "stubborn").ok()
    assert 0.9 < time.monotonic() - begin < 15
    assert pod.state("stubborn")["ExitCode"] == 137


def test_stop_twice_is_no_error(pod: Pod, sleeper: str) -> None:
    pod("stop", "-t0", sleeper).ok()
    pod("stop", sleeper).ok()


@pytest.mark.parametrize(("option", "code"), [((), 137), (("-s", "TERM"), 143), (("--signal=SIGUSR1",), 138)])
def test_kill_sends_the_signal(pod: Pod, busybox: str, option: tuple[str, ...], code: int) -> None:
    pod("run", "-d", "--init", "--name", "victim", busybox, "sleep", "1000").ok()
    assert pod("kill", *option, "victim").ok() == "victim\n"
    pod.wait_for("victim", "exited")
    assert pod.state("victim")["ExitCode"] == code


def test_kill_of_an_ended_one_is_refused(pod: Pod, busybox: str) -> None:
    pod("run", "--name", "over", busybox, "true").ok()
    pod("kill", "over").failed(1, "not running")


def test_rm_refuses_running_and_f_does_not(pod: Pod, sleeper: str) -> None:
    pod("rm", sleeper).failed(1, "running", "hint:")
    assert pod("rm", "-f", sleeper).ok() == f"{sleeper}\n"
    assert pod.containers() == []


def test_rm_goes_on_after_an_unknown_name(pod: Pod, busybox: str) -> None:
    pod("run", "--name", "one", busybox, "true").ok()
    done = pod("rm", "nobody", "one")
    assert (done.code, done.out) == (1, "one\n")
    assert pod.containers() == []


def test_rm_f_of_an_unknown_name_is_no_failure(pod: Pod) -> None:
    assert pod("rm", "-f", "nobody").code == 0


def test_run_d_rm_removes_itself(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--rm", "--name", "brief", busybox, "sleep", "0.3").ok()
    until(lambda: pod.containers() == [], 20, "the container to remove itself")


def test_inspect_has_dockers_fields(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "seen", "-e", "A=b", "-w", "/tmp", "-u", "web", busybox, "sleep", "1000").ok()
    document = pod.inspect("seen")
    assert document["State"]["Status"] == "running"
    assert document["State"]["Running"] is True
    assert document["State"]["Pid"] > 1
    assert document["Path"] == "sleep"
    assert document["Args"] == ["1000"]
    assert document["Image"].startswith("sha256:")
    config = document["Config"]
    assert config["Image"] == busybox
    assert "A=b" in config["Env"]
    assert (config["WorkingDir"], config["User"], config["Cmd"]) == ("/tmp", "web", ["sleep", "1000"])
    assert document["Created"].endswith("Z")
    assert document["HostConfig"]["AutoRemove"] is False


def test_inspect_format_is_a_go_template(pod: Pod, sleeper: str) -> None:
    text = '{{.Name}} {{.State.Status}} {{index .Args 0}} {{json .Args}} {{printf "%02d" .State.ExitCode}}'
    assert pod("inspect", "-f", text, sleeper).ok() == '/sleeper running 1000 ["1000"] 00\n'


def test_inspect_pid_is_a_process_of_the_host(pod: Pod, sleeper: str) -> None:
    pid = pod.state(sleeper)["Pid"]
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        assert file.read() == b"sleep\x001000\x00"


def test_container_groups_are_the_same_commands(pod: Pod, sleeper: str) -> None:
    assert pod("container", "ls", "-q").ok() == pod("ps", "-q").ok()
    assert pod("container", "list", "-q").ok() == pod("ps", "-q").ok()
    pod("container", "remove", "-f", sleeper).ok()


def test_twenty_containers_at_once(pod: Pod, busybox: str) -> None:
    started = [pod.start("run", "--rm", "--network", "none", busybox, "echo", str(n)) for n in range(20)]
    outputs = sorted(process.communicate(timeout=120)[0].decode().strip() for process in started)
    assert outputs == sorted(str(n) for n in range(20))
    assert [process.returncode for process in started] == [0] * 20
