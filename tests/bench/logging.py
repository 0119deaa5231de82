"""CPU time of who writes a container's log: pod's supervisor beside conmon (k8s-file), on the same disk.

conmon is driven by hand, by a runtime of a few lines of shell that starts the same writer: podman's own share is not in
its numbers, nor pod's Python in ours.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

from tests.bench import peers

LINE = "2026-11-21 INFO some.module.name: request 12345 handled in 17 ms for user alice with status 200"
GOAL = 0.5

_RUNTIME = """#!/bin/sh
while [ $# -gt 0 ]; do [ "$1" = --pid-file ] && file=$2; shift; done
setsid sh -c "sleep 1; $WRITER; sleep 1000" </dev/null &
printf %s $! >"$file"
"""


class Sample(NamedTuple):
    """CPU seconds."""

    user: float
    system: float


def _cpu(pid: int) -> Sample:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    tick = os.sysconf("SC_CLK_TCK")
    return Sample(int(fields[11]) / tick, int(fields[12]) / tick)


def _quiet(pid: int) -> Sample:
    """Once it has used no CPU time for two seconds, after it used some."""
    last, since = _cpu(pid), time.monotonic()
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        time.sleep(0.2)
        now = _cpu(pid)
        if now != last:
            last, since = now, time.monotonic()
        elif sum(now) > 0.1 and time.monotonic() - since > 2:
            break
    return last


def _writer(megabytes: int) -> str:
    return f"yes '{LINE}' | head -c {megabytes}000000"


def pod(bench: peers.Bench, megabytes: int, *flags: str) -> Sample:
    """Of the supervisor, whose log is rotated unless ``flags`` say otherwise."""
    image = bench.pod.image("busybox:latest")
    script = f"sleep 1; {_writer(megabytes)}; sleep 1000"
    container = bench.pod("run", "-d", "--network", "none", *flags, image, "sh", "-c", script).ok().strip()
    try:
        folder = Path(bench.pod.inspect(container)["LogPath"]).parent
        return _quiet(int(json.loads((folder / "state.json").read_text())["supervisor"]))
    finally:
        bench.pod("rm", "-f", container)


def conmon(bench: peers.Bench, megabytes: int) -> Sample:
    """Of conmon, which does not rotate."""
    folder = Path(tempfile.mkdtemp(prefix="conmon-", dir=bench.scratch))
    runtime = folder / "runtime"
    runtime.write_text(_RUNTIME)
    runtime.chmod(0o755)
    (folder / "bundle").mkdir()
    argv = [bench.program("conmon"), "--api-version", "1", "-c", "bench", "-u", "bench", "-n", "bench", "-r"]
    argv += [str(runtime), "-b", str(folder / "bundle"), "-p", str(folder / "pid"), "-P", str(folder / "conmon")]
    argv += ["--exit-dir", str(folder), "--socket-dir-path", str(folder), "-l", f"k8s-file:{folder}/log"]
    subprocess.run(
        argv, env={**bench.environ, "WRITER": _writer(megabytes)}, check=True, timeout=30, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 10
    while not (folder / "pid").exists() and time.monotonic() < deadline:
        time.sleep(0.05)
    try:
        return _quiet(int((folder / "conmon").read_text()))
    finally:
        os.killpg(os.getpgid(int((folder / "pid").read_text())), signal.SIGKILL)
        shutil.rmtree(folder, ignore_errors=True)


def run(bench: peers.Bench, rounds: int, megabytes: int = 1000) -> list[str]:
    """The table's lines: medians of ``rounds`` rounds, taken in turn."""
    cases: dict[str, Callable[[], Sample]] = {
        "conmon k8s-file": lambda: conmon(bench, megabytes),
        "pod": lambda: pod(bench, megabytes),
        "pod, not rotated": lambda: pod(bench, megabytes, "--log-opt", "max-size=-1"),
    }
    found: dict[str, list[Sample]] = {name: [] for name in cases}
    for _ in range(rounds):
        for name, measure in cases.items():
            found[name].append(measure())
    title = f"logs: {megabytes} MB of lines of {len(LINE) + 1} bytes, load {os.getloadavg()[0]:.1f}"
    lines = [f"{title} (CPU s: user, system, x conmon)"]
    base = statistics.median(sum(sample) for sample in found["conmon k8s-file"])
    for name, samples in found.items():
        user, system = (statistics.median(part) for part in zip(*samples))
        ratio = statistics.median(sum(sample) for sample in samples) / base
        lines.append(f"  {name.ljust(24)}{user:10.2f}{system:10.2f}{ratio:10.2f}")
    ratio = statistics.median(sum(sample) for sample in found["pod"]) / base
    lines.append(f"  goal <= {GOAL} x conmon: {ratio:.2f}, {'met' if ratio <= GOAL else 'NOT met'}")
    return lines
