"""SIGKILL of the client, of the supervisor, of both: `ps -a` tells the truth afterwards and `rm` cleans up."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until

# How PID 1 runs: as it is; after a change of uid (which clears its parent-death signal); after it cleared that itself.
PLAIN = ("busybox:latest", ("sleep", "1000"))
OTHER_UID = ("debian:12", ("setpriv", "--reuid", "1000", "sleep", "1000"))
CLEARED = ("debian:12", ("setpriv", "--pdeathsig", "clear", "sleep", "1000"))
PROGRAMS = [
    pytest.param(PLAIN, id="plain"),
    pytest.param(OTHER_UID, id="changed-uid", marks=pytest.mark.image("debian:12")),
    pytest.param(CLEARED, id="cleared-pdeathsig", marks=pytest.mark.image("debian:12")),
]


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def command_of(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""


def foreground(
    pod: Pod, program: tuple[str, tuple[str, ...]], *options: str
) -> tuple[subprocess.Popen[bytes], int, int]:
    """A run in the foreground: its client, the pid of its supervisor, the pid of its first process."""
    image, words = program
    client = pod.start("run", "--name", "subject", *options, pod.image(image), *words)
    until(lambda: pod("inspect", "-f", "{{.State.Status}}", "subject").out.strip() == "running", 30, "it to run")
    pid = pod.state("subject")["Pid"]
    until(lambda: command_of(pid).startswith(b"sleep\0"), 20, "the program to be executed")
    return client, parent(pid), pid


def expect_ended(pod: Pod, pid: int) -> None:
    """The next commands see an ended container, its process is gone, and a plain rm removes it."""
    until(lambda: "Up" not in pod("ps", "-a", "--format", "{{.Status}}").out, 20, "ps to tell the truth")
    until(lambda: not alive(pid), 10, "the container's process to end")
    assert pod("ps", "-q").ok() == ""
    state = pod.state("subject")
    assert (state["Running"], state["Status"]) == (False, "exited")
    pod("rm", "subject").ok()
    assert pod.containers() == []


@pytest.mark.parametrize("program", PROGRAMS)
def test_client_killed_the_container_goes_on(pod: Pod, program: tuple[str, tuple[str, ...]]) -> None:
    client, supervisor, pid = foreground(pod, program)
    client.kill()
    client.wait(10)
    assert alive(pid)
    assert alive(supervisor)
    assert pod("ps", "--format", "{{.Names}} {{.Status}}").ok().startswith("subject Up")
    pod("rm", "subject").failed(1, "running")
    pod("rm", "-f", "subject").ok()
    until(lambda: not alive(pid) and not alive(supervisor), 10, "both to end")


@pytest.mark.parametrize("program", PROGRAMS)
def test_supervisor_killed_the_record_tells_so(pod: Pod, program: tuple[str, tuple[str, ...]]) -> None:
    client, supervisor, pid = foreground(pod, program)
    os.kill(supervisor, signal.SIGKILL)
    assert client.wait(20) != 0
    expect_ended(pod, pid)


@pytest.mark.parametrize("program", PROGRAMS)
def test_both_killed_the_record_tells_so(pod: Pod, program: tuple[str, tuple[str, ...]]) -> None:
    client, supervisor, pid = foreground(pod, program)
    client.kill()
    os.kill(supervisor, signal.SIGKILL)
    client.wait(10)
    expect_ended(pod, pid)


def test_supervisor_of_a_detached_one_killed(pod: Pod, sleeper: str) -> None:
    pid = pod.state(sleeper)["Pid"]
    os.kill(parent(pid), signal.SIGKILL)
    until(lambda: not alive(pid), 20, "the container to end")
    assert not pod.state(sleeper)["Running"]
    pod("rm", sleeper).ok()


def test_client_with_rm_killed_the_container_is_removed_at_its_end(pod: Pod) -> None:
    client, _, _ = foreground(pod, PLAIN, "--rm")
    client.kill()
    client.wait(10)
    pod("kill", "subject").ok()
    until(lambda: pod.containers() == [], 20, "the container to be removed")


def test_both_killed_with_rm_the_next_command_removes_it(pod: Pod) -> None:
    client, supervisor, pid = foreground(pod, PLAIN, "--rm")
    client.kill()
    os.kill(supervisor, signal.SIGKILL)
    client.wait(10)
    until(lambda: not alive(pid), 20, "the container to end")
    pod("rm", "-f", "subject")
    assert pod.containers() == []


def test_first_process_killed_from_outside_gives_137(pod: Pod) -> None:
    client, _, pid = foreground(pod, PLAIN)
    os.kill(pid, signal.SIGKILL)
    assert client.wait(20) == 137
    assert pod.state("subject")["ExitCode"] == 137
