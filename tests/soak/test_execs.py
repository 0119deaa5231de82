"""A great many execs in one container leave no process, descriptor, memory or file behind.

1000 of them in `make test`, 10 000 in `make soak` (POD_SOAK_EXECS); a hundred where Python takes part in each.
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from tests.support import podcli
from tests.support.podcli import Pod

WORKERS = 3
GROWTH = 512
"""kB by which supervisor and emulator may grow."""


def _count() -> int:
    built = podcli.command()[0].endswith("pod.pyz")
    return int(os.environ.get("POD_SOAK_EXECS", "1000" if built else "100"))


class Caller:
    """One of several who call at the same time, each with a way of its own to end."""

    def __init__(self, pod: Pod, container: str, seed: int) -> None:
        self.pod = pod
        self.container = container
        self.chance = random.Random(seed)
        self.environ = pod.environ()

    def run(self, count: int) -> int:
        for _ in range(count):
            self.once()
        return count

    def once(self) -> None:
        kind = self.chance.randrange(100)
        if kind < 70:
            self._expect(0, self.container, "true")
        elif kind < 85:
            self._expect(7, "-i", self.container, "sh", "-c", "read line; exit $line", stdin=b"7\n")
        elif kind < 92:
            self._expect(0, "-d", self.container, "true")
        elif kind < 93:
            self._expect(127, self.container, "no-such-program")
        elif kind < 96:
            self._expect(137, self.container, "sh", "-c", "kill -9 $$")
        else:
            self._killed()

    def _expect(self, code: int, *words: str, stdin: bytes = b"") -> None:
        done = subprocess.run(
            self.pod.argv("exec", *words), env=self.environ, input=stdin, capture_output=True, timeout=60, check=False
        )
        assert done.returncode == code, (words, done)

    def _killed(self) -> None:
        argv = self.pod.argv("exec", self.container, "sleep", "999")
        process = subprocess.Popen(argv, env=self.environ, stdin=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(self.chance.uniform(0, 0.02))
        process.send_signal(signal.SIGKILL)
        process.wait(10)


def _status(pid: int) -> dict[str, int]:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    fields = dict(line.split(":", 1) for line in lines)
    return {name: int(fields[name].split()[0]) for name in ("FDSize", "VmRSS", "Threads")}


def _children(pid: int) -> list[int]:
    return sorted(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def _files(pod: Pod) -> list[str]:
    """All of the store and of its run directory, but for the events."""
    roots = [pod.root, *(path.resolve() for path in (pod.root / "cache/run").glob("[!.]*"))]
    found: list[str] = []
    for root in roots:
        for folder, folders, names in os.walk(root):
            folders[:] = [name for name in folders if name not in ("layers", "blobs")]
            found += [f"{folder}/{name}" for name in names if not name.startswith("events")]
    return sorted(found)


def _observe(pod: Pod, container: str) -> dict[str, Any]:
    identity = pod.inspect(container)["Id"]
    supervisor = json.loads((pod.root / "containers" / identity / "state.json").read_text())["supervisor"]
    family = [supervisor, *_children(supervisor)]
    return {"family": family, "files": _files(pod), "status": [_status(pid) for pid in family]}


def _alone(pod: Pod, container: str) -> bool:
    shown = pod("exec", container, "sh", "-c", "echo /proc/[0-9]*").ok().split()
    states = [pod("exec", container, "sh", "-c", f"grep State {path}/status", timeout=20).out for path in shown]
    return [state for state in states if state and "zombie" not in state][1:] == []


def test_execs_by_the_thousand_leave_nothing(pod: Pod, sleeper: str) -> None:
    callers = [Caller(pod, sleeper, seed) for seed in range(WORKERS)]
    for caller in callers:
        caller.run(12)  # what the first ones make stays: an emulator, prepared execs
    podcli.until(lambda: _alone(pod, sleeper), 20, "the first to end")
    before = _observe(pod, sleeper)
    with ThreadPoolExecutor(WORKERS) as pool:
        done = list(pool.map(lambda caller: caller.run(_count() // WORKERS), callers))
    assert sum(done) >= _count() - WORKERS
    podcli.until(lambda: _alone(pod, sleeper), 20, "all of them to end")
    after = _observe(pod, sleeper)
    assert after["family"] == before["family"]
    assert after["files"] == before["files"]
    for then, now in zip(before["status"], after["status"]):
        assert now["FDSize"] == then["FDSize"]
        assert now["Threads"] == then["Threads"]
        assert now["VmRSS"] - then["VmRSS"] < GROWTH, (then, now)
