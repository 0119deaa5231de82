"""Builds of small RUNs, of what was built before, and of a large COPY, beside buildah and podman."""

from __future__ import annotations

import itertools
import os
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

from tests.bench.measure import Subject
from tests.bench.peers import Bench, MissingPeer, crun_works

if TYPE_CHECKING:
    from collections.abc import Callable

GOALS = {"steps": 0.25, "cached": 0.1, "copy": 0.4}
FILES = 60000
_STEPS = 10


class Builds:
    """A context for each case, and everyone who can build here; all have the base image."""

    def __init__(self, bench: Bench, image: str) -> None:
        self._bench = bench
        self.missing: list[str] = []
        self._folder = bench.scratch / "build-contexts"
        steps = "".join(f"RUN echo {number} >/step-{number}\n" for number in range(_STEPS))
        self._write("steps", f"FROM {image}\nARG ROUND\n{steps}")
        self._write("copy", f"FROM {image}\nCOPY . /many/\n")
        for number in range(FILES):
            if number % 100 == 0:
                os.makedirs(self._folder / "copy" / str(number))
            (self._folder / "copy" / str(number - number % 100) / f"{number}").write_text(f"file {number}\n")
        bench.pod("pull", "-q", image, timeout=300).ok()
        self._others: list[tuple[str, list[str]]] = []
        for name, program, pull in (
            ("buildah", self._buildah, ["pull", "-q", "--tls-verify=false", image]),
            ("podman", lambda: bench.podman("podman-build"), ["pull", "-q", "--tls-verify=false", image]),
        ):
            try:
                argv = program()
                subprocess.run([*argv, *pull], env=bench.environ, check=True, capture_output=True, timeout=300)
                words = ["bud", "--layers", "--pull-never"] if name == "buildah" else ["build", "--pull=never"]
                self._others.append((name, [*argv, *words, "-q", "--network", "none"]))
            except (MissingPeer, subprocess.SubprocessError, OSError) as error:
                self.missing.append(f"{name}: {error}")

    def _write(self, name: str, text: str) -> None:
        (self._folder / name).mkdir(parents=True)
        (self._folder / name / "Dockerfile").write_text(text)
        (self._folder / name / ".dockerignore").write_text("Dockerfile\n.dockerignore\n")

    def _buildah(self) -> list[str]:
        base = self._bench.scratch / "buildah-build"
        argv = [self._bench.program("buildah"), "--root", str(base / "root"), "--runroot", str(base / "run")]
        return [*argv, "--storage-driver", "overlay", "--storage-opt", "overlay.ignore_chown_errors=true"]

    def subjects(self, case: str) -> list[Subject]:
        """"steps": each time anew; "cached": all of it is known; "copy": files that nobody has seen."""
        folder = self._folder / ("copy" if case == "copy" else "steps")
        before = None
        if case == "steps":
            before = self._other_steps(folder / "Dockerfile")
        elif case == "copy":
            before = self._other_file(folder)
        pod = self._bench.pod
        argv = pod.argv("build", "-q", "--network", "none", str(folder))
        made = [Subject("pod", argv, pod.environ(), before=before)]
        runtime = ["--runtime", "crun" if crun_works() else "runc"]
        for name, words in self._others:
            more = runtime if name == "buildah" else []
            made.append(Subject(name, [*words, *more, str(folder)], self._bench.environ, before=before))
        return made

    def _other_steps(self, file: Path) -> Callable[[], None]:
        rounds = itertools.count()
        text = file.read_text()

        def write() -> None:
            file.write_text(text.replace("RUN echo ", f"RUN echo {next(rounds)} "))

        return write

    def _other_file(self, folder: Path) -> Callable[[], None]:
        rounds = itertools.count()

        def write() -> None:
            (folder / "other").write_text(f"{next(rounds)}\n")

        return write
