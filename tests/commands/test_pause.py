"""``pause`` and ``unpause``: nothing of a container runs in between."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import podcli, tools
from tests.support.podcli import Pod, Result

TICKS = 'trap "echo term; exit 7" TERM; i=0; while :; do i=$((i+1)); echo $i >/count; sleep 0.02; done'


def ticking(pod: Pod, image: str, *flags: str) -> str:
    name = pod("run", "-d", "--network", "none", *flags, image, "sh", "-c", TICKS).ok().strip()
    podcli.until(lambda: count(pod, name) > 0, 10, "it to run")
    return name


def count(pod: Pod, name: str) -> int:
    """How far it has come, by the file that it writes."""
    folder = pod.root / "containers" / name
    for place in ("upper", "rootfs"):
        path = folder / place / "count"
        if path.exists():
            return int(path.read_text() or 0)
    return 0


def stands(pod: Pod, name: str) -> bool:
    before = count(pod, name)
    time.sleep(0.2)
    return count(pod, name) == before


def goes_on(pod: Pod, name: str) -> None:
    """Waits until it has come further: a machine may be busy with others."""
    before = count(pod, name)
    podcli.until(lambda: count(pod, name) != before, 20, "it to go on")


def halted(pod: Pod, name: str) -> bool:
    """Whether all of it is stopped by signals, or frozen, for where the tests run in a cgroup that can be."""
    if states(pod, name) <= {"T", "Z", "D"}:
        return True
    path = Path(f"/proc/{pod.state(name)['Pid']}/cgroup").read_text().rpartition("0::")[2].strip()
    events = Path(f"{tools.cgroup_root()}{path}/cgroup.events")
    return path.rpartition("/")[2].startswith("pod-") and "frozen 1" in events.read_text()


def states(pod: Pod, name: str) -> set[str]:
    """The state letters of its processes, seen from outside: those of its pid namespace."""
    pid = pod.state(name)["Pid"]
    own = os.stat(f"/proc/{pid}/ns/pid").st_ino
    found = set()
    for entry in filter(str.isdigit, os.listdir("/proc")):
        try:
            if os.stat(f"/proc/{entry}/ns/pid").st_ino == own:
                found.add(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[0])
        except OSError:
            continue
    return found


def test_pause_when_it_runs_then_nothing_of_it_does_until_unpause(pod: Pod, busybox: str) -> None:
    name = ticking(pod, busybox, "--name", "ticks")
    client = pod.start("exec", name, "sh", "-c", "while :; do echo exec; sleep 0.01; done")
    assert client.stdout is not None
    assert client.stdout.readline() == b"exec\n"
    assert pod("pause", "ticks").ok() == "ticks\n"
    assert stands(pod, name)
    assert halted(pod, name)
    state = pod.state(name)
    assert (state["Status"], state["Running"], state["Paused"]) == ("paused", True, True)
    assert pod("ps", "--format", "{{.Status}}|{{.State}}").ok().strip().endswith(" (Paused)|paused")
    assert pod("ps", "-q", "--filter", "status=paused").ok().strip() == name[:12]
    assert client.poll() is None
    assert pod("unpause", "ticks").ok() == "ticks\n"
    goes_on(pod, name)
    assert client.stdout.readline() == b"exec\n"
    assert pod.state(name)["Status"] == "running"
    events = [json.loads(line)["Action"] for line in (pod.root / "events").read_text().splitlines() if name in line]
    assert [word for word in events if "pause" in word] == ["pause", "unpause"]


def test_pause_when_it_cannot_be_then_docker_says_so_and_others_are(pod: Pod, busybox: str) -> None:
    name = ticking(pod, busybox)
    made = pod("create", busybox, "true").ok().strip()
    pod("pause", made).failed(1, f"container {made} is not running")
    pod("unpause", name).failed(1, f"Container {name} is not paused")
    pod("unpause", made).failed(1, f"Container {made} is not paused")
    result = pod("pause", "no-such", name)
    result.failed(1, "No such container: no-such")
    assert result.out == name + "\n"
    pod("pause", name).failed(1, f"container {name} is already paused")
    pod("exec", name, "true").failed(1, "is paused, unpause the container before exec")
    pod("pause").failed(1, "requires at least 1 argument")


@pytest.mark.parametrize("flags", [("--init",), ("--root-emulation", "basic"), ("-u", "1000"), ("-t",)], ids=str)
def test_pause_of_any_kind_of_container(pod: Pod, busybox: str, flags: tuple[str, ...]) -> None:
    if flags[0] == "-u":
        flags = (*flags, "--tmpfs", "/nothing")
    name = pod("run", "-d", "--network", "none", *flags, busybox, "sh", "-c", "while :; do echo .; done").ok().strip()
    pod("pause", name).ok()
    assert halted(pod, name)
    pod("unpause", name).ok()
    assert not halted(pod, name)


def test_pause_of_one_with_the_hosts_pids_is_refused_with_the_reason(pod: Pod, busybox: str) -> None:
    name = ticking(pod, busybox, "--pid", "host")
    if pod("pause", name).code == 0:
        pytest.skip("capability signals: the tests run in a cgroup that can be frozen")
    pod("pause", name).failed(1, f"Cannot pause container {name}", "no processes of its own")
    goes_on(pod, name)
    assert pod.state(name)["Paused"] is False


@pytest.mark.parametrize("words", [("rm", "-f"), ("kill",), ("stop", "-t", "20")], ids=lambda words: words[0])
def test_pause_does_not_keep_a_container_from_its_end(pod: Pod, busybox: str, words: tuple[str, ...]) -> None:
    name = ticking(pod, busybox)
    pod("pause", name).ok()
    pod(*words, name).ok()
    if words[0] == "rm":
        assert pod.containers() == []
        return
    state = pod.state(name)
    assert (state["Status"], state["Paused"]) == ("exited", False)
    assert state["ExitCode"] == (137 if words[0] == "kill" else 7)
    pod("start", name).ok()
    goes_on(pod, name)


def test_pause_when_the_supervisor_is_killed_then_nothing_is_left(pod: Pod, busybox: str) -> None:
    name = ticking(pod, busybox)
    pod("pause", name).ok()
    record = json.loads((pod.root / "containers" / name / "state.json").read_text())
    os.kill(record["supervisor"], signal.SIGKILL)
    pod.wait_for(name, "exited")
    assert pod.state(name)["Paused"] is False
    pod("rm", name).ok()
    assert pod.leftovers() == []


def test_pause_of_one_that_a_policy_starts_again_is_over_with_its_process(pod: Pod, busybox: str) -> None:
    name = ticking(pod, busybox, "--restart", "always")
    pod("pause", name).ok()
    os.kill(pod.state(name)["Pid"], signal.SIGKILL)
    podcli.until(lambda: pod.inspect(name)["RestartCount"] == 1 and pod.state(name)["Running"], 10, "the next start")
    assert pod.state(name)["Paused"] is False
    goes_on(pod, name)
    pod("pause", name).ok()
    pod("stop", "-t", "10", name).ok()
    assert pod.state(name)["ExitCode"] == 7


def test_pause_holds_health_checks(pod: Pod, busybox: str) -> None:
    name = ticking(pod, busybox, "--health-cmd", "true", "--health-interval", "50ms")
    podcli.until(lambda: pod.state(name)["Health"]["Status"] == "healthy", 10, "it to be healthy")
    pod("pause", name).ok()
    before = pod.state(name)["Health"]
    time.sleep(0.5)
    assert pod.state(name)["Health"] == before
    pod("unpause", name).ok()
    podcli.until(lambda: bool(pod.state(name)["Health"] != before), 10, "another result")


@pytest.fixture
def delegated(pod: Pod) -> Iterator[Path]:
    """A cgroup that is this user's, and that this user's processes may go to: see tests/support/suite.py."""
    path = tools.delegated_cgroup()
    assert path is not None
    folder = path / f"test-{os.getpid()}"
    folder.mkdir()
    yield folder
    pod.tidy()
    podcli.until(lambda: not (folder / "cgroup.procs").read_text(), 10, "its processes to end")
    folder.rmdir()


@pytest.mark.delegated_cgroup
@pytest.mark.parametrize("flags", [(), ("--pid", "host")], ids=["own-pids", "host-pids"])
def test_pause_where_there_is_a_freezer_then_it_is_used(
    pod: Pod, busybox: str, delegated: Path, flags: tuple[str, ...]
) -> None:
    # One of them has ended and is never asked for: it can neither be moved nor frozen.
    command = f"(true & exec sleep 1000) & {TICKS}"
    words = pod.argv("run", "-d", "--network", "none", *flags, busybox, "sh", "-c", command)
    script = f'echo $$ >"{delegated}/cgroup.procs"; exec "$@"'
    done = subprocess.run(
        ["sh", "-c", script, "sh", *words], env=pod.environ(), capture_output=True, text=True, timeout=60, check=False
    )
    name = Result(words, done.returncode, done.stdout, done.stderr).ok().strip()
    podcli.until(lambda: count(pod, name) > 0, 10, "it to run")
    for _ in range(2):
        pod("pause", name).ok()
        assert stands(pod, name)
        (frozen,) = [path for path in delegated.iterdir() if path.is_dir()]
        assert str(pod.state(name)["Pid"]) in (frozen / "cgroup.procs").read_text().split()
        assert "frozen 1" in (frozen / "cgroup.events").read_text()
        assert Path(f"/proc/{pod.state(name)['Pid']}/stat").read_text().rpartition(")")[2].split()[0] != "T"
        pod("unpause", name).ok()
        goes_on(pod, name)
        assert not [path for path in delegated.iterdir() if path.is_dir()]
    pod("pause", name).ok()
    pod("rm", "-f", name).ok()
    podcli.until(lambda: not [path for path in delegated.iterdir() if path.is_dir()], 10, "the folder to go")
