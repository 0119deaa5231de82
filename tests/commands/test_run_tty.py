"""`pod run -it` on a real terminal."""

from __future__ import annotations

import os

from tests.support.podcli import Pod


def test_run_it_gives_a_terminal_of_that_size(pod: Pod, busybox: str) -> None:
    terminal = pod.terminal(
        "run", "--rm", "-it", busybox, "sh", "-c", "tty; stty size; echo $TERM", rows=33, columns=99
    )
    terminal.expect(rb"/dev/(pts/0|console)")
    terminal.expect(rb"33 99")
    terminal.expect(rb"xterm")
    assert terminal.wait() == 0


def test_run_it_is_raw_outside_while_it_runs_and_as_before_after(pod: Pod, busybox: str) -> None:
    terminal = pod.terminal("run", "--rm", "-it", busybox, "sh", "-c", "echo ready; read line; echo got:$line")
    before = terminal.attributes()
    terminal.expect(rb"ready")
    assert terminal.raw()
    terminal.send(b"typed\r")
    terminal.expect(rb"got:typed")
    assert terminal.wait() == 0
    assert terminal.attributes() == before


def test_run_it_follows_the_window(pod: Pod, busybox: str) -> None:
    script = "trap 'stty size' WINCH; echo ready; while :; do sleep 0.1; done"
    terminal = pod.terminal("run", "--rm", "-it", "--init", busybox, "sh", "-c", script)
    terminal.expect(rb"ready")
    terminal.resize(41, 123)
    terminal.expect(rb"41 123")
    terminal.send(b"\x03")
    assert terminal.wait() == 130


def test_run_it_control_c_reaches_the_program(pod: Pod, busybox: str) -> None:
    script = "trap 'echo interrupted; exit 9' INT; echo ready; while :; do sleep 0.1; done"
    terminal = pod.terminal("run", "--rm", "-it", busybox, "sh", "-c", script)
    terminal.expect(rb"ready")
    terminal.send(b"\x03")
    terminal.expect(rb"interrupted")
    assert terminal.wait() == 9


def test_run_it_shell_answers_and_exits_with_its_status(pod: Pod, busybox: str) -> None:
    terminal = pod.terminal("run", "--rm", "-it", busybox)
    terminal.expect(rb"# ")
    terminal.send(b"echo $((40 + 2))\r")
    terminal.expect(rb"\n42\r")
    terminal.send(b"exit 3\r")
    assert terminal.wait() == 3


def test_run_it_control_d_ends_the_shell(pod: Pod, busybox: str) -> None:
    terminal = pod.terminal("run", "--rm", "-it", busybox)
    terminal.expect(rb"# ")
    terminal.send(b"\x04")
    assert terminal.wait() == 0


def test_run_it_much_output_arrives_whole(pod: Pod, busybox: str) -> None:
    script = "i=0; while [ $i -lt 5000 ]; do echo line $i; i=$((i+1)); done; echo the end"
    terminal = pod.terminal("run", "--rm", "-it", busybox, "sh", "-c", script)
    terminal.expect(rb"the end")
    assert terminal.wait() == 0
    assert terminal.seen.count(b"line ") == 5000


def test_run_t_output_has_carriage_returns(pod: Pod, busybox: str) -> None:
    assert pod("run", "--rm", "-t", busybox, "echo", "x").ok().encode() == b"x\r\n"


def test_run_it_without_a_terminal_is_refused(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "-it", busybox, "true", stdin=b"").failed(125, "not a tty")


def test_run_it_detach_keys_leave_it_running(pod: Pod, busybox: str) -> None:
    terminal = pod.terminal("run", "-it", "--name", "left", busybox)
    terminal.expect(rb"# ")
    terminal.send(b"\x10\x11")
    assert terminal.wait() == 0
    assert pod.state("left")["Running"]


def test_run_it_closed_window_leaves_it_running(pod: Pod, busybox: str) -> None:
    terminal = pod.terminal("run", "-it", "--name", "closed", busybox, "sh", "-c", "echo ready; sleep 1000")
    terminal.expect(rb"ready")
    terminal.hang_up()
    os.waitpid(terminal.pid, 0)
    terminal._status = 0
    assert pod.state("closed")["Running"]


def test_run_it_terminal_is_not_the_callers(pod: Pod, busybox: str) -> None:
    """TIOCSTI and friends must not reach the terminal of the person: the container has a pty of its own."""
    terminal = pod.terminal("run", "--rm", "-it", busybox, "sh", "-c", "stat -c %t:%T /dev/console /dev/tty; echo done")
    terminal.expect(rb"done")
    assert terminal.wait() == 0
