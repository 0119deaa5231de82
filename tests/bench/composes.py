"""An application of five small services beside podman-compose: brought up, again with nothing to do, and taken down.
And the memory that many services take while they come up.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.measure import Subject
from tests.bench.peers import Bench, MissingPeer, crun_works, ready

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = {
    "up": ("up -d of five services", 0.15),
    "again": ("up -d with nothing to do", 0.2),
    "down": ("down of five services", 0.3),
}
"""By case: what it is, and the most that pod may take of podman-compose's time."""
SERVICES = 5
CROWD = 50
MOST_CROWD = 120.0
"""MiB that the command and all its processes may have at the same time while so many come up."""


def _services(image: str, count: int) -> str:
    service = f"{{image: '{image}', command: sleep 1000, network_mode: none, stop_signal: SIGKILL}}"
    return "services:\n" + "".join(f"  service{number}: {service}\n" for number in range(count))


class Applications:
    """The same file for everyone who can read it."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.missing: list[str] = []
        image = bench.registry.name("busybox:latest")
        folder = bench.scratch / "application"
        folder.mkdir()
        (folder / "compose.yaml").write_text(_services(image, SERVICES))
        bench.pod("pull", "-q", image, timeout=300).ok()
        words = ["compose", "-f", str(folder / "compose.yaml")]
        self._others: list[tuple[str, list[str], dict[str, str]]] = [
            ("pod", bench.pod.argv(*words), bench.pod.environ()),
        ]
        try:
            self._others.append(("podman-compose", self._podman_compose(folder, image), bench.environ))
        except (MissingPeer, subprocess.SubprocessError, OSError) as error:
            self.missing.append(f"podman-compose: {error}")

    def _podman_compose(self, folder: Path, image: str) -> list[str]:
        program = self._bench.program("podman-compose")
        podman = self._bench.podman("podman-application")
        ready([*podman, "pull", "--quiet", "--tls-verify=false", image], self._bench)
        run = "--cgroups=disabled --pull=never" if crun_works() else "--pull=never"
        wrapper = folder / "podman"
        wrapper.write_text("#!/bin/sh\nexec " + " ".join(podman) + ' "$@"\n')
        wrapper.chmod(0o755)
        words = [program, "--podman-path", str(wrapper), f"--podman-run-args={run}"]
        argv = [*words, "-f", str(folder / "compose.yaml")]
        for verb in (["up", "-d"], ["down"]):  # whether it can at all
            ready([*argv, *verb], self._bench)
        return argv

    def subjects(self, case: str) -> list[Subject]:
        """"up": after a down; "again": of what is up; "down": after an up."""
        made = []
        for name, argv, environ in self._others:
            up, down = self._runner([*argv, "up", "-d"], environ), self._runner([*argv, "down"], environ)
            if case == "up":
                made.append(Subject(name, [*argv, "up", "-d"], environ, after=down))
            elif case == "again":
                up()
                made.append(Subject(name, [*argv, "up", "-d"], environ))
            else:
                made.append(Subject(name, [*argv, "down"], environ, before=up))
        return made

    def _runner(self, argv: list[str], environ: dict[str, str]) -> Callable[[], None]:
        def run() -> None:
            subprocess.run(argv, env=environ, check=True, capture_output=True, timeout=120)

        return run

    def crowd(self) -> list[str]:
        """Lines on the memory of ``up -d`` of few services, and of many."""
        lines = ["compose: memory of up -d and all its processes"]
        for count in (SERVICES, CROWD):
            folder = self._bench.scratch / f"crowd-{count}"
            folder.mkdir()
            image = self._bench.registry.name("busybox:latest")
            (folder / "compose.yaml").write_text(_services(image, count))
            argv = self._bench.pod.argv("compose", "-f", str(folder / "compose.yaml"))
            environ = self._bench.pod.environ()
            seconds, most, processes = _watched([*argv, "up", "-d"], environ)
            self._runner([*argv, "down"], environ)()
            lines.append(f"  {count:3} services: {most:6.1f} MiB, {processes} processes, {seconds:.2f} s")
            if count == CROWD:
                lines.append(f"  goal <= {MOST_CROWD:.0f} MiB: {'met' if most <= MOST_CROWD else 'missed'}")
        return lines

    def end(self) -> None:
        """Nothing of it stays up."""
        for _, argv, environ in self._others:
            subprocess.run([*argv, "down"], env=environ, check=False, capture_output=True, timeout=120)


def _watched(argv: list[str], environ: dict[str, str]) -> tuple[float, float, int]:
    """Runs it; (seconds, the most MiB that its session had at one time, in how many processes).

    Proportional sizes: what forked processes share counts once. Supervisors have sessions of their own.
    """
    begin = time.perf_counter()
    process = subprocess.Popen(
        argv, env=environ, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        start_new_session=True,
    )  # fmt: skip
    most, count = 0, 0
    while process.poll() is None:
        sizes = [size for size in map(_proportional, _session(process.pid)) if size]
        most, count = max(most, sum(sizes)), max(count, len(sizes))
        time.sleep(0.01)
    seconds = time.perf_counter() - begin
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, argv)
    return seconds, most / 1024, count


def _session(leader: int) -> list[str]:
    return [name for name in os.listdir("/proc") if name.isdigit() and _is_of(name, leader)]


def _is_of(name: str, leader: int) -> bool:
    try:
        return os.getsid(int(name)) == leader
    except OSError:
        return False


def _proportional(name: str) -> int:
    """KiB; 0 for a process that has gone."""
    try:
        text = Path(f"/proc/{name}/smaps_rollup").read_text()
    except OSError:
        return 0
    return int(text.partition("Pss:")[2].split()[0]) if "Pss:" in text else 0
