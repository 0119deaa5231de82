"""What a supervisor costs while its container runs: memory, and that many may run at once."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until

IDLE_KB, LOGGING_KB = 150, 400
"""PSS of a supervisor without root emulation. Measured: 136 to 140, and 300 to 308."""


def supervisors(pod: Pod) -> list[int]:
    found = []
    for path in (pod.root / "containers").glob("*/state.json"):
        found.append(int(json.loads(path.read_text())["supervisor"]))
    return found


def pss(pid: int) -> int:
    """Kilobytes (proc(5), smaps_rollup)."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("no Pss")


@pytest.mark.parametrize("options", [(), ("-t",), ("--restart", "always"), ("-i",)])
def test_idle_supervisor_is_small(pod: Pod, busybox: str, options: tuple[str, ...]) -> None:
    words = ("--root-emulation", "off", "--network", "none", *options, busybox, "sleep", "1000")
    for name in ("one", "two", "three"):
        pod("run", "-d", "--name", name, *words).ok()
    time.sleep(0.3)
    assert sorted(pss(pid) for pid in supervisors(pod))[1] <= IDLE_KB


def test_supervisor_that_logs_stays_small(pod: Pod, busybox: str) -> None:
    script = "sleep 1; yes 'some line of a program that logs, neither short nor long' | head -n 200000; echo end; "
    script += "exec sleep 1000"
    pod("run", "-d", "--name", "busy", "--root-emulation", "off", "--network", "none", busybox, "sh", "-c", script).ok()
    (supervisor,) = supervisors(pod)
    time.sleep(0.7)  # by then it has let go of the code that it started with (docs/processes.md)
    most = 0
    deadline = time.monotonic() + 60
    while "end" not in pod("logs", "-n", "1", "busy").out:
        most = max(most, pss(supervisor))
        assert time.monotonic() < deadline
    assert max(most, pss(supervisor)) <= LOGGING_KB


@pytest.mark.slow
def test_two_hundred_detached_containers_at_once(pod: Pod, busybox: str) -> None:
    count = 200
    for number in range(count):
        pod("run", "-d", "--name", f"n{number}", "--network", "none", busybox, "sleep", "1000").ok()
    assert len(pod("ps", "-q").ok().split()) == count
    sizes = sorted(pss(pid) for pid in supervisors(pod))
    assert len(sizes) == count
    assert sizes[count // 2] <= IDLE_KB
    names = [f"n{number}" for number in range(count)]
    assert pod("exec", "n17", "echo", "in").ok() == "in\n"
    assert pod("stop", "-t", "0", *names, timeout=300).ok().split() == names
    assert pod("start", *names, timeout=300).ok().split() == names
    assert pod("rm", "-f", *names, timeout=300).ok().split() == names
    until(lambda: pod.containers() == [], 20, "all to be gone")
