"""The emulator stopped, killed or without room while calls wait: they end, the container can be used or ended."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import emulation
from tests.support.podcli import Pod, until

HERE = Path(__file__).parent
pytestmark = pytest.mark.no_sub_ids


@pytest.fixture
def pod(_session_pod: Pod) -> Iterator[Pod]:
    """Not the one of this folder, which has no registry: this needs a Debian."""
    yield _session_pod
    _session_pod.tidy()


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return emulation.build(HERE / "emulation_calls.c", tmp_path_factory.getbasetemp())


@pytest.fixture
def name(pod: Pod, attacks: Path) -> Iterator[str]:
    mount = f"{attacks}:/attacks:ro"
    argv = ("run", "-d", "--name", "kills", "--root-emulation=full", "-v", mount, pod.image("debian:12"))
    pod(*argv, "sleep", "600").ok()
    pod("exec", "kills", "true").ok()
    yield "kills"
    pod("rm", "-f", "kills").ok()


def waiting(pod: Pod, name: str) -> list[int]:
    """The container's processes of /attacks."""
    init = pod.inspect(name)["State"]["Pid"]
    space = os.readlink(f"/proc/{init}/ns/pid")
    found = []
    for entry in os.listdir("/proc"):
        try:
            inside = entry.isdigit() and os.readlink(f"/proc/{entry}/ns/pid") == space
            if inside and Path(f"/proc/{entry}/comm").read_text() == "attacks\n":
                found.append(int(entry))
        except OSError:
            continue
    return found


def ask(pod: Pod, name: str) -> tuple[subprocess.Popen[bytes], int]:
    """A process of the container in the middle of a call that the stopped emulator does not answer."""
    asking = pod.start("exec", "-i", name, "/attacks", "one")
    assert asking.stdin is not None
    assert asking.stdout is not None
    assert asking.stdout.readline() == b"ready\n"
    os.kill(emulation.emulator(pod, name), signal.SIGSTOP)
    asking.stdin.write(b"go\n")
    (pid,) = waiting(pod, name)
    until(lambda: Path(f"/proc/{pid}/syscall").read_text().startswith("92 "), 10, "the call")
    return asking, pid


def test_call_when_its_process_is_killed_before_the_answer_then_nobody_hangs(pod: Pod, name: str) -> None:
    asking, pid = ask(pod, name)
    os.kill(pid, signal.SIGKILL)
    assert asking.wait(timeout=20) == 137
    os.kill(emulation.emulator(pod, name), signal.SIGCONT)
    assert pod("exec", name, "stat", "-c", "%u:%g", "/f").ok() == "0:0\n"


def test_call_when_the_emulator_goes_on_then_it_is_answered(pod: Pod, name: str) -> None:
    asking, _ = ask(pod, name)
    time.sleep(0.2)
    os.kill(emulation.emulator(pod, name), signal.SIGCONT)
    assert asking.communicate(timeout=20)[0] == b"done\n"
    assert pod("exec", name, "stat", "-c", "%u:%g", "/f").ok() == "11:12\n"


def test_call_when_the_emulator_is_killed_then_it_fails_and_the_container_can_be_stopped(pod: Pod, name: str) -> None:
    asking, _ = ask(pod, name)
    os.kill(emulation.emulator(pod, name), signal.SIGKILL)
    assert asking.communicate(timeout=20)[0] == b"Function not implemented\n"
    assert pod.inspect(name)["State"]["Status"] == "running"
    pod("exec", name, "true").failed(125, "emulator")
    started = time.monotonic()
    pod("stop", "-t", "1", name).ok()
    assert time.monotonic() - started < 20
    pod("start", name).ok()
    assert pod("exec", name, "stat", "-c", "%U:%G", "/etc/shadow").ok() == "root:shadow\n"


def test_container_when_the_emulator_is_stopped_then_it_can_be_killed(pod: Pod, name: str) -> None:
    asking, _ = ask(pod, name)
    started = time.monotonic()
    pod("kill", name).ok()
    assert asking.wait(timeout=20) == 137
    pod("start", name).ok()
    pod("exec", name, "true").ok()
    assert time.monotonic() - started < 20


def test_sidecar_when_the_disk_is_full_then_calls_say_so_and_what_was_recorded_stays(pod: Pod, attacks: Path) -> None:
    """A limit on the size of files stands for the disk: the sidecar is the emulator's only file. It tears a record."""
    mount = f"{attacks}:/attacks:ro"
    words = pod.argv("create", "--name", "full", "--root-emulation=full", "-v", mount, pod.image("debian:12"))
    run = {"env": pod.environ(), "capture_output": True, "text": True, "timeout": 60}
    assert subprocess.run([*words, "/attacks", "links"], check=False, **run).returncode == 0
    try:
        limit = ["prlimit", "--fsize=300020"]  # the helper itself is a file of 230 kB in memory
        done = subprocess.run([*limit, *pod.argv("start", "-a", "full")], check=False, **run)
        assert done.stdout == "No space left on device, 0 wrong, some made 1\n", done.stderr
        for words in (limit, []):
            done = subprocess.run([*words, *pod.argv("start", "-a", "full")], check=False, **run)
            assert done.stdout == "No such file or directory, 0 wrong, some made 1\n", done.stderr
    finally:
        pod("rm", "-f", "full").ok()
