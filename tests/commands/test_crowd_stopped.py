"""A process of pod's that was stopped (SIGSTOP), also with a lock in its hands, holds up nobody for long."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.podcli import Pod, Result, until
from tests.support.registry import Registry

LONG = 20.0
"""Seconds for what takes two or three on a machine that has nothing else to do; a lock is given up after 60."""

HOLDER = """\
import fcntl, os, signal, sys
held = [os.open(path, os.O_RDWR | os.O_CREAT, 0o600) for path in sys.argv[1:]]
for fd in held:
    fcntl.flock(fd, fcntl.LOCK_EX)
os.write(1, b"!")
os.kill(os.getpid(), signal.SIGSTOP)
"""


@contextlib.contextmanager
def stopped_with(*locks: Path) -> Iterator[int]:
    """A process that has these files locked and is stopped; its pid."""
    argv = [sys.executable, "-c", HOLDER, *map(str, locks)]
    with subprocess.Popen(argv, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.read(1) == b"!"
            yield process.pid
        finally:
            process.kill()


def quick(pod: Pod, *words: str, seconds: float = LONG) -> Result:
    begin = time.monotonic()
    done = pod(*words, timeout=120)
    assert time.monotonic() - begin < seconds, done
    return done


def run_dir(pod: Pod) -> Path:
    pointer = pod.run_pointer()
    return pointer.resolve()


@pytest.mark.alike
def test_images_when_who_has_their_locks_is_stopped_then_all_commands_go_on(fresh_pod: Pod) -> None:
    name = fresh_pod.image("busybox:latest")
    locks = run_dir(fresh_pod) / "locks"
    (layer,) = [path for path in (fresh_pod.root / "layers").glob("*/*") if not path.name.startswith(".")]
    (blob,) = [path for path in locks.iterdir() if path.name.startswith("layer-")]
    with stopped_with(locks / "images", locks / "index", locks / "names", blob):
        quick(fresh_pod, "tag", name, "other:1").ok()
        quick(fresh_pod, "rmi", "other:1").ok()
        quick(fresh_pod, "rmi", name).ok()
        assert not layer.exists()
        quick(fresh_pod, "pull", "-q", name).ok()
        assert quick(fresh_pod, "run", "--rm", "--network", "none", name, "echo", "in").ok() == "in\n"
        shutil.move(layer, fresh_pod.root / "trash" / "layer")  # run has to unpack it
        assert quick(fresh_pod, "run", "--rm", "--network", "none", name, "echo", "in").ok() == "in\n"
        assert len(quick(fresh_pod, "images", "-q").ok().split()) == 1


@pytest.mark.alike
def test_first_command_of_a_boot_when_who_made_the_run_directory_is_stopped_then_it_goes_on(
    fresh_pod: Pod, registry: Registry
) -> None:
    (fresh_pod.root / "cache/run").mkdir(parents=True)
    with stopped_with(fresh_pod.root / "cache/run/.lock"):
        quick(fresh_pod, "pull", "-q", registry.name("busybox:latest")).ok()
    assert run_dir(fresh_pod).is_dir()


def test_container_when_who_has_its_lock_is_stopped_then_others_are_listed_and_it_is_said(
    pod: Pod, sleeper: str, busybox: str
) -> None:
    identity = pod.inspect(sleeper)["Id"]
    supervisor = _supervisor(pod, identity)
    with stopped_with(run_dir(pod) / "c" / identity[:32] / "lock") as holder:
        os.kill(supervisor, signal.SIGKILL)
        until(lambda: not Path(f"/proc/{supervisor}").exists(), 10, "the supervisor to end")
        assert "sleeper" in quick(pod, "ps", "-a").ok()
        assert quick(pod, "run", "--rm", "--network", "none", busybox, "echo", "in").ok() == "in\n"
        quick(pod, "rm", "-f", sleeper).failed(1, f"held by process {holder}, which is stopped", f"kill -CONT {holder}")
    quick(pod, "rm", "-f", sleeper).ok()


def _supervisor(pod: Pod, identity: str) -> int:
    return int(json.loads((pod.root / "containers" / identity / "state.json").read_text())["supervisor"])


@pytest.mark.parametrize("words", [("stop", "-t", "0"), ("kill",), ("rm", "-f")])
def test_supervisor_when_stopped_then_the_container_can_be_ended(
    pod: Pod, sleeper: str, words: tuple[str, ...]
) -> None:
    supervisor = _supervisor(pod, pod.inspect(sleeper)["Id"])
    os.kill(supervisor, signal.SIGSTOP)
    assert "Up" in quick(pod, "ps").ok()
    quick(pod, *words, sleeper).ok()
    assert "Up" not in quick(pod, "ps").ok()


def test_client_when_stopped_then_its_container_can_be_ended_and_others_start(pod: Pod, busybox: str) -> None:
    client = pod.start("run", "--rm", "--name", "held", "--network", "none", busybox, "sleep", "1000")
    until(lambda: "held" in pod("ps", "--format", "{{.Names}}").out, 20, "the container to run")
    client.send_signal(signal.SIGSTOP)
    assert quick(pod, "run", "--rm", "--network", "none", busybox, "echo", "in").ok() == "in\n"
    quick(pod, "rm", "-f", "held").ok()
    assert quick(pod, "ps", "-aq").ok() == ""


@pytest.mark.slow
@pytest.mark.image("debian:12")
@pytest.mark.parametrize("who", ["downloads", "unpacks"])
def test_pull_when_another_was_stopped_in_the_middle_then_it_ends_well(
    fresh_pod: Pod, registry: Registry, who: str
) -> None:
    name = registry.name("debian:12")
    fresh_pod("images").ok()
    first = fresh_pod.start("pull", "-q", name)
    until(lambda: bool(list(fresh_pod.root.glob("layers/*/.*/diff/*"))), 30, "a layer to be unpacked")
    children = Path(f"/proc/{first.pid}/task/{first.pid}/children").read_text().split()
    stopped = first.pid if who == "downloads" else int(children[0])
    os.kill(stopped, signal.SIGSTOP)
    quick(fresh_pod, "pull", "-q", name, seconds=3 * LONG).ok()
    assert quick(fresh_pod, "run", "--rm", "--network", "none", name, "echo", "in").ok() == "in\n"
    os.kill(stopped, signal.SIGCONT)
    assert first.wait(60) == 0
    fresh_pod("rmi", name).ok()
    assert not [*fresh_pod.root.glob("layers/*/*"), *fresh_pod.root.glob("blobs/sha256/*")]
