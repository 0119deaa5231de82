"""`pod exec` in a running container."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.podcli import Pod, until


def test_exec_runs_beside_the_program(pod: Pod, sleeper: str) -> None:
    done = pod("exec", sleeper, "sh", "-c", "echo out; echo err >&2; cat /proc/1/cmdline | tr '\\0' ' '")
    assert (done.code, done.out, done.err) == (0, "out\nsleep 1000 ", "err\n")


@pytest.mark.parametrize("status", [0, 1, 42, 255])
def test_exec_ends_with_the_programs_own_status(pod: Pod, sleeper: str, status: int) -> None:
    assert pod("exec", sleeper, "sh", "-c", f"exit {status}").code == status


def test_exec_missing_program_ends_with_127(pod: Pod, sleeper: str) -> None:
    pod("exec", sleeper, "no-such-program").failed(127, "no-such-program")


def test_exec_not_executable_ends_with_126(pod: Pod, sleeper: str) -> None:
    pod("exec", sleeper, "/etc/not-executable").failed(126, "/etc/not-executable")


def test_exec_ended_by_signal_gives_128_plus_it(pod: Pod, sleeper: str) -> None:
    assert pod("exec", sleeper, "sh", "-c", "kill -9 $$").code == 137


def test_exec_i_passes_stdin(pod: Pod, sleeper: str) -> None:
    assert pod("exec", "-i", sleeper, "cat", stdin=b"typed\n").ok() == "typed\n"


def test_exec_without_i_has_an_empty_stdin(pod: Pod, sleeper: str) -> None:
    assert pod("exec", sleeper, "wc", "-c", stdin=b"not for it").ok().strip() == "0"


def test_exec_options_shape_the_program(pod: Pod, sleeper: str) -> None:
    script = "id -u; pwd; echo $A"
    done = pod("exec", "-u", "web", "-w", "/srv", "-e", "A=b", sleeper, "sh", "-c", script)
    assert done.ok() == "1000\n/srv\nb\n"


def test_exec_nothing_after_the_container_is_ours(pod: Pod, sleeper: str) -> None:
    assert pod("exec", sleeper, "echo", "-it", "--help").ok() == "-it --help\n"


def test_exec_has_the_containers_environment(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "env", "-e", "COLOUR=red", "-w", "/srv", busybox, "sleep", "1000").ok()
    assert pod("exec", "env", "sh", "-c", "echo $COLOUR; pwd").ok() == "red\n/srv\n"


def test_exec_is_in_the_same_namespaces(pod: Pod, sleeper: str) -> None:
    script = "for n in user mnt pid ipc uts net cgroup; do readlink /proc/self/ns/$n; readlink /proc/1/ns/$n; done"
    links = pod("exec", sleeper, "sh", "-c", script).ok().split()
    assert len(links) == 14
    assert links[0::2] == links[1::2]


def test_exec_has_the_containers_limits(pod: Pod, busybox: str) -> None:
    options = ("--cap-drop", "ALL", "--cap-add", "CHOWN", "--security-opt", "no-new-privileges")
    pod("run", "-d", "--name", "bound", *options, busybox, "sleep", "1000").ok()
    script = "grep -E '^(CapEff|NoNewPrivs|Seccomp):' /proc/self/status"
    fields = dict(line.split(":\t") for line in pod("exec", "bound", "sh", "-c", script).ok().splitlines())
    assert (int(fields["CapEff"], 16), fields["NoNewPrivs"], fields["Seccomp"]) == (1, "1", "2")


def test_exec_privileged_has_all_capabilities(pod: Pod, sleeper: str) -> None:
    text = pod("exec", "--privileged", sleeper, "grep", "CapEff", "/proc/self/status").ok()
    assert int(text.split()[1], 16) & (1 << 21)


def test_exec_it_is_a_terminal(pod: Pod, sleeper: str) -> None:
    terminal = pod.terminal("exec", "-it", sleeper, "sh", rows=30, columns=90)
    terminal.expect(rb"# ")
    terminal.send(b"stty size; tty\r")
    terminal.expect(rb"30 90")
    terminal.expect(rb"/dev/pts/\d")
    terminal.send(b"exit 6\r")
    assert terminal.wait() == 6


def test_exec_d_returns_at_once(pod: Pod, sleeper: str) -> None:
    assert pod("exec", "-d", sleeper, "sh", "-c", "echo x > /tmp/by-exec; sleep 1000").ok() == ""
    script = "for i in $(seq 100); do test -s /tmp/by-exec && exit 0; sleep 0.05; done; exit 1"
    assert pod("exec", sleeper, "sh", "-c", script).code == 0


def test_exec_in_an_ended_container_is_refused(pod: Pod, busybox: str) -> None:
    pod("run", "--name", "over", busybox, "true").ok()
    pod("exec", "over", "true").failed(1, "not running", "hint:")


def test_exec_and_attach_wait_for_no_container_that_is_about_to_restart(pod: Pod, busybox: str) -> None:
    container = pod("run", "-d", "--name", "again", "--restart", "always", busybox, "false").ok().strip()
    until(lambda: pod.inspect("again")["RestartCount"] >= 6, 30, "a long pause")  # three seconds
    until(lambda: bool(pod.state("again")["Restarting"]), 10, "the pause")
    words = f"Container {container} is restarting, wait until the container is running"
    pod("exec", "again", "true").failed(1, words, "hint:")
    pod("attach", "again").failed(1, "You cannot attach to a restarting container, wait until it is running", "hint:")


def test_exec_user_or_folder_that_is_not_there_ends_with_126(pod: Pod, sleeper: str) -> None:
    pod("exec", "-u", "nobody-here", sleeper, "true").failed(126, "unable to find user nobody-here")
    pod("exec", "-w", "/etc/passwd/x", sleeper, "true").failed(126, "/etc/passwd/x")
    pod("exec", "-w", "/not/there", sleeper, "true").failed(126, "/not/there")
    assert pod("diff", sleeper).ok() == "", "only the first process' folder is made"


def test_exec_without_command_is_said(pod: Pod, sleeper: str) -> None:
    """A wrong number of arguments is status 1, a bad flag 125: so it is in docker/cli."""
    pod("exec", sleeper).failed(1, "requires at least 2 arguments", "hint:")


def test_exec_sees_the_end_of_its_container(pod: Pod, sleeper: str) -> None:
    process = pod.start("exec", sleeper, "sh", "-c", "echo ready; sleep 1000")
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    pod("rm", "-f", sleeper).ok()
    assert process.wait(20) == 137


def test_exec_many_times_leaves_nothing(pod: Pod, sleeper: str) -> None:
    for number in range(20):
        assert pod("exec", sleeper, "echo", str(number)).ok() == f"{number}\n"
    listed = pod("exec", sleeper, "sh", "-c", "ls -d /proc/[0-9]*").ok().split()
    assert len(listed) <= 4


@pytest.mark.nsenter
@pytest.mark.not_root
def test_nsenter_enters_by_the_pid_of_inspect(pod: Pod, sleeper: str) -> None:
    """What docs/troubleshooting says works: util-linux's nsenter with the pid that inspect gives."""
    pid = str(pod.state(sleeper)["Pid"])
    flags = ["-U", "--preserve-credentials", "-m", "-p", "-u", "-i", "-n"]
    program = tools.find("nsenter")
    assert program is not None
    argv = [program, "-t", pid, *flags, "/bin/sh", "-c", "cat /proc/1/cmdline; hostname"]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=30, check=False, cwd="/")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("sleep\0001000\0")


def test_host_shows_the_namespaces_of_the_pid(pod: Pod, sleeper: str) -> None:
    pid = pod.state(sleeper)["Pid"]
    status = Path(f"/proc/{pid}/status").read_text()
    assert "NSpid:" in status
    assert status.split("NSpid:")[1].split("\n")[0].split()[-1] == "1"
    assert os.path.isdir(f"/proc/{pid}/ns")


def test_exec_beside_init_works_and_init_hides_the_callers_environment(pod: Pod, busybox: str) -> None:
    words = ("-d", "--init", "--name", "with-init", busybox, "sleep", "1000")
    pod("run", *words, env={"SECRET_OF_THE_CALLER": "x"}).ok()
    done = pod("exec", "with-init", "sh", "-c", "cat /proc/1/comm; tr '\\0' ' ' </proc/1/cmdline; cat /proc/1/environ")
    assert done.out == "docker-init\ndocker-init reap 2 "
    assert "denied" in done.err
    pod("exec", "-u", "1000", "with-init", "id", "-u").ok()
