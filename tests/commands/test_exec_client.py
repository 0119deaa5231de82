"""What becomes of exec's process when its client gets a signal, leaves or dies."""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until
from tests.support.terminal import Terminal


def _begin(pod: Pod, container: str, script: str) -> subprocess.Popen[bytes]:
    """A client whose process has said "ready"."""
    process = pod.start("exec", container, "sh", "-c", script)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


def _programs(pod: Pod, container: str) -> list[str]:
    """What runs in the container beside its first process and the one that looks.

    Zombies aside: that first one does not reap them.
    """
    look = 'read -r c <$p/comm && ! grep -q "^State:.Z" $p/status && echo "${p#/proc/} $c"'
    script = f"for p in /proc/[0-9]*; do {look}; done 2>/dev/null; :"
    lines = pod("exec", container, "sh", "-c", script).ok().splitlines()
    return [line.split()[1] for line in lines if line.split()[0] != "1"][:-1]


def _ends(pod: Pod, container: str, seconds: float = 8) -> None:
    until(lambda: _programs(pod, container) == [], seconds, "the process to end")


@pytest.mark.parametrize("name", ["INT", "TERM", "HUP", "USR1", "QUIT"])
def test_exec_signal_of_the_client_reaches_the_process(pod: Pod, sleeper: str, name: str) -> None:
    script = f"trap 'echo got; exit 7' {name}; echo ready; while :; do sleep 0.05; done"
    client = _begin(pod, sleeper, script)
    client.send_signal(getattr(signal, f"SIG{name}"))
    assert client.communicate(timeout=20)[0] == b"got\n"
    assert client.returncode == 7


def test_exec_interrupted_ends_with_130(pod: Pod, sleeper: str) -> None:
    client = pod.start("exec", sleeper, "sh", "-c", "echo ready; exec sleep 1000")
    assert client.stdout is not None
    client.stdout.readline()
    client.send_signal(signal.SIGINT)
    assert client.wait(20) == 130
    _ends(pod, sleeper)


def test_exec_client_killed_its_process_ends(pod: Pod, sleeper: str) -> None:
    """With what it started: they share a process group."""
    client = _begin(pod, sleeper, "echo ready; sleep 1000; true")
    assert sorted(_programs(pod, sleeper)) == ["sh", "sleep"]
    client.kill()
    client.wait(10)
    _ends(pod, sleeper)


def test_exec_client_killed_a_stopped_process_ends(pod: Pod, sleeper: str) -> None:
    client = _begin(pod, sleeper, "echo ready; kill -STOP $$")
    client.kill()
    client.wait(10)
    _ends(pod, sleeper)


@pytest.mark.slow
def test_exec_client_killed_who_ignores_sighup_is_killed(pod: Pod, sleeper: str) -> None:
    client = _begin(pod, sleeper, "trap '' HUP; echo ready; while :; do sleep 1; done")
    client.kill()
    client.wait(10)
    _ends(pod, sleeper, 20)


def test_exec_client_killed_what_left_its_session_goes_on(pod: Pod, sleeper: str) -> None:
    client = _begin(pod, sleeper, "setsid sleep 999 & sleep 0.1; echo ready; sleep 1000")
    client.kill()
    client.wait(10)
    until(lambda: _programs(pod, sleeper) == ["sleep"], 8, "the process to end")


def test_exec_whose_reader_leaves_ends(pod: Pod, sleeper: str) -> None:
    client = _begin(pod, sleeper, "echo ready; exec yes")
    assert client.stdout is not None
    client.stdout.close()
    assert client.wait(20) in (-signal.SIGPIPE, 141)
    _ends(pod, sleeper)


def test_exec_d_goes_on_without_a_client(pod: Pod, sleeper: str) -> None:
    pod("exec", "-d", sleeper, "sleep", "1000").ok()
    assert _programs(pod, sleeper) == ["sleep"]


def test_exec_detach_keys_let_it_go_on(pod: Pod, sleeper: str) -> None:
    terminal = pod.terminal("exec", "-it", "--detach-keys", "ctrl-a,x", sleeper, "sh")
    terminal.expect(rb"# ")
    terminal.send(b"\x01")
    terminal.send(b"x")
    terminal.expect(rb"read escape sequence\r\n")
    assert terminal.wait() == 1
    assert _programs(pod, sleeper) == ["sh"]


def test_exec_terminal_hung_up_ends_it(pod: Pod, sleeper: str) -> None:
    terminal = pod.terminal("exec", "-it", sleeper, "sh")
    terminal.expect(rb"# ")
    terminal.hang_up()
    _ends(pod, sleeper)


def test_exec_window_size_follows(pod: Pod, sleeper: str) -> None:
    terminal = pod.terminal("exec", "-it", sleeper, "sh", rows=30, columns=90)
    terminal.expect(rb"# ")
    terminal.resize(40, 77)
    until(lambda: _asks_size(terminal) == b"40 77", 10, "the new size")
    terminal.send(b"exit 3\r")
    assert terminal.wait() == 3


def _asks_size(terminal: Terminal) -> bytes:
    terminal.send(b"stty size\r")
    found = terminal.expect(rb"(\d+ \d+)\r\n")
    return found.group(1)


def test_exec_monitor_killed_ends_its_process_and_is_told(pod: Pod, sleeper: str) -> None:
    client = _begin(pod, sleeper, "echo ready; exec sleep 1000")
    (monitor,) = Path(f"/proc/{client.pid}/task/{client.pid}/children").read_text().split()
    os.kill(int(monitor), signal.SIGKILL)
    assert client.wait(20) == 125
    assert client.stderr is not None
    assert b"pod: " in client.stderr.read()
    _ends(pod, sleeper)
    assert pod.state(sleeper)["Running"]
