"""Clients of a container that came later: keys, signals, many of them, one that never reads."""

from __future__ import annotations

import signal
import time

import pytest

from tests.support.podcli import Pod, until


def _talker(pod: Pod, image: str, script: str, *flags: str) -> None:
    pod("run", "-d", "--name", "talker", *flags, image, "sh", "-c", script).ok()


def test_attach_detach_keys_of_the_configuration_leave_and_come_back(pod: Pod, busybox: str) -> None:
    (pod.home / ".docker").mkdir(exist_ok=True)
    (pod.home / ".docker/config.json").write_text('{"detachKeys": "ctrl-x,x"}')
    try:
        _talker(pod, busybox, "exec sh", "-i", "-t")
        for _ in range(2):
            terminal = pod.terminal("attach", "talker", rows=20, columns=70)
            terminal.send(b"stty size\r")
            terminal.expect(rb"20 70")
            terminal.send(b"\x18x")
            terminal.expect(rb"read escape sequence\r\n")
            assert terminal.wait() == 1
        terminal = pod.terminal("attach", "--detach-keys", "ctrl-a", "talker")
        terminal.send(b"echo a\x18xb; exit 4\r")
        assert terminal.wait() == 4
    finally:
        (pod.home / ".docker/config.json").unlink()


def test_attach_no_stdin_keeps_the_input_to_itself(pod: Pod, busybox: str) -> None:
    script = "while [ ! -e /go ]; do sleep 0.05; done; echo said; read -t 1 line; echo got $line"
    _talker(pod, busybox, script, "-i")
    client = pod.start("attach", "--no-stdin", "talker")
    assert client.stdin is not None
    client.stdin.write(b"typed\n")
    time.sleep(0.3)
    pod("exec", "talker", "touch", "/go").ok()
    assert client.communicate(timeout=20)[0] == b"said\ngot\n"


@pytest.mark.parametrize("proxied", [True, False])
def test_attach_passes_signals_on_unless_told_not_to(pod: Pod, busybox: str, proxied: bool) -> None:
    script = "trap 'echo got; exit 9' TERM; while :; do echo tick; sleep 0.05; done"
    _talker(pod, busybox, script)
    client = pod.start("attach", f"--sig-proxy={str(proxied).lower()}", "talker")
    assert client.stdout is not None
    assert client.stdout.readline() == b"tick\n"
    client.send_signal(signal.SIGTERM)
    out = client.communicate(timeout=20)[0]
    assert (client.returncode, out.endswith(b"got\n")) == ((9, True) if proxied else (-signal.SIGTERM, False))
    assert pod.state("talker")["Running"] is not proxied


def test_attach_ten_clients_at_once_see_all(pod: Pod, busybox: str) -> None:
    script = "while [ ! -e /go ]; do sleep 0.05; done; seq 20000; exit 3"
    _talker(pod, busybox, script)
    clients = [pod.start("attach", "talker") for _ in range(10)]
    (pid,) = [pod.state("talker")["Pid"]]
    assert pid > 0
    until(lambda: all(_is_client(client.pid) for client in clients), 30, "the clients")
    time.sleep(0.3)
    pod("exec", "talker", "touch", "/go").ok()
    expected = "".join(f"{number}\n" for number in range(1, 20001)).encode()
    for client in clients:
        assert client.communicate(timeout=30)[0] == expected
        assert client.returncode == 3


def _is_client(pid: int) -> bool:
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        return file.read().startswith(b"pod\0attach\0")


@pytest.mark.slow
def test_attach_client_that_never_reads_is_dropped(pod: Pod, busybox: str) -> None:
    """After ten seconds; the container and the others go on."""
    _talker(pod, busybox, "while [ ! -e /go ]; do sleep 0.05; done; seq 300000; exit 3")
    deaf, other = pod.start("attach", "talker"), pod.start("attach", "talker")
    until(lambda: _is_client(deaf.pid) and _is_client(other.pid), 30, "the clients")
    time.sleep(0.3)
    pod("exec", "talker", "touch", "/go").ok()
    expected = "".join(f"{number}\n" for number in range(1, 300001)).encode()
    assert other.communicate(timeout=60)[0] == expected
    assert other.returncode == 3
    deaf.kill()


def test_attach_to_a_terminal_wants_one(pod: Pod, busybox: str) -> None:
    _talker(pod, busybox, "exec sleep 1000", "-t")
    pod("attach", "talker").failed(1, "the input device is not a TTY", "hint: --no-stdin")


def test_attach_bad_keys_are_said(pod: Pod, busybox: str) -> None:
    _talker(pod, busybox, "exec sleep 1000")
    pod("attach", "--detach-keys", "ctrl-", "talker").failed(125, "invalid detach keys (ctrl-)", "hint:")
    pod("exec", "--detach-keys", "x,,y", "talker", "true").failed(125, "invalid detach keys (x,,y)", "hint:")
