"""Signals sent to a foreground `pod run`."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from tests.support.podcli import Pod, until

TRAP = "trap 'echo got {0}; exit 7' {0}; echo ready; while :; do sleep 0.05; done"


def started(pod: Pod, *arguments: str) -> subprocess.Popen[bytes]:
    """A run whose program has said "ready"."""
    process = pod.start("run", *arguments)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize("name", ["TERM", "INT", "HUP", "USR1", "QUIT"])
def test_run_forwards_signals(pod: Pod, busybox: str, name: str) -> None:
    process = started(pod, "--rm", busybox, "sh", "-c", TRAP.format(name))
    process.send_signal(getattr(signal, f"SIG{name}"))
    out, _ = process.communicate(timeout=20)
    assert (out, process.returncode) == (f"got {name}\n".encode(), 7)


def test_run_sig_proxy_false_leaves_the_container_running(pod: Pod, busybox: str) -> None:
    process = started(pod, "--sig-proxy=false", "--name", "unproxied", busybox, "sh", "-c", TRAP.format("TERM"))
    process.send_signal(signal.SIGTERM)
    process.wait(20)
    assert pod.state("unproxied")["Running"]


def test_run_ended_by_its_client_is_removed(pod: Pod, busybox: str) -> None:
    process = started(pod, "--rm", busybox, "sh", "-c", TRAP.format("TERM"))
    process.terminate()
    process.wait(20)
    until(lambda: pod.containers() == [], 10, "the container to be removed")


def test_run_stopped_and_continued_client_goes_on(pod: Pod, busybox: str) -> None:
    process = started(pod, "--rm", "-i", busybox, "sh", "-c", "echo ready; read line; echo got $line")
    os.kill(process.pid, signal.SIGSTOP)
    os.kill(process.pid, signal.SIGCONT)
    out, _ = process.communicate(b"word\n", timeout=20)
    assert (out, process.returncode) == (b"got word\n", 0)


def test_run_stop_signal_is_what_stop_sends(pod: Pod, busybox: str) -> None:
    options = ("-d", "--name", "stopper", "--stop-signal", "USR1")
    pod("run", *options, busybox, "sh", "-c", TRAP.format("USR1")).ok()
    until(lambda: "ready" in pod("logs", "stopper").out, 20, "the trap")
    pod("stop", "stopper").ok()
    assert pod.state("stopper")["ExitCode"] == 7
    assert "got USR1" in pod("logs", "stopper").ok()
