"""An application of five small services beside podman-compose: brought up, again with nothing to do, and taken down."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.measure import Subject
from tests.bench.peers import Bench, MissingPeer, crun_works

if TYPE_CHECKING:
    from collections.abc import Callable

CASES = {
    "up": ("up -d of five services", 0.15),
    "again": ("up -d with nothing to do", 0.2),
    "down": ("down of five services", 0.3),
}
"""By case: what it is, and the most that pod may take of podman-compose's time."""
SERVICES = 5


class Applications:
    """The same file for everyone who can read it."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self.missing: list[str] = []
        image = bench.registry.name("busybox:latest")
        folder = bench.scratch / "application"
        folder.mkdir()
        service = f"{{image: '{image}', command: sleep 1000, network_mode: none, stop_signal: SIGKILL}}"
        services = "".join(f"  service{number}: {service}\n" for number in range(SERVICES))
        (folder / "compose.yaml").write_text(f"services:\n{services}")
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
        pull = [*podman, "pull", "--quiet", "--tls-verify=false", image]
        subprocess.run(pull, env=self._bench.environ, check=True, capture_output=True, timeout=300)
        run = "--cgroups=disabled --pull=never" if crun_works() else "--pull=never"
        wrapper = folder / "podman"
        wrapper.write_text("#!/bin/sh\nexec " + " ".join(podman) + ' "$@"\n')
        wrapper.chmod(0o755)
        words = [program, "--podman-path", str(wrapper), f"--podman-run-args={run}"]
        argv = [*words, "-f", str(folder / "compose.yaml")]
        for verb in (["up", "-d"], ["down"]):  # whether it can at all
            subprocess.run([*argv, *verb], env=self._bench.environ, check=True, capture_output=True, timeout=120)
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

    def end(self) -> None:
        """Nothing of it stays up."""
        for _, argv, environ in self._others:
            subprocess.run([*argv, "down"], env=environ, check=False, capture_output=True, timeout=120)
