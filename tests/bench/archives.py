"""save and load of a Debian image beside podman, buildah and skopeo, from and to stores of their own."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path

from tests.bench.measure import Subject
from tests.bench.peers import Bench, MissingPeer, put_aside
from tests.support import podcli

GOALS = {"save": 0.3, "load": 0.35, "rmi": 0.05}
NAME = "debian:12"


class Archives:
    """Everyone has the image; ``archive`` is what pod saved, docker's form."""

    def __init__(self, bench: Bench) -> None:
        self._bench = bench
        self._image = bench.pod.image(NAME)
        self.archive = bench.scratch / "saved.tar"
        bench.pod("save", "-o", str(self.archive), self._image, timeout=300).ok()
        self.missing: list[str] = []
        self._others: list[tuple[str, list[str], list[str]]] = []
        source, target = f"docker-archive:{self.archive}", "docker-archive:OUT"
        for name, load, save in (
            ("podman", ["load", "-q", "-i", str(self.archive)], ["save", "-q", "-o", "OUT", self._image]),
            ("buildah", ["pull", "-q", source], ["push", "-q", self._image, target]),
        ):
            try:
                program = bench.podman() if name == "podman" else self._buildah()
                self._run([*program, *load])
            except MissingPeer as error:
                self.missing.append(str(error))
                continue
            self._others.append((name, [*program, *load], [*program, *save]))

    def _buildah(self) -> list[str]:
        base = self._bench.scratch / "archives-buildah"
        options = ["--storage-driver", "overlay", "--storage-opt", "overlay.ignore_chown_errors=true"]
        return [self._bench.program("buildah"), "--root", f"{base}/root", "--runroot", f"{base}/run", *options]

    def _run(self, argv: list[str]) -> None:
        done = subprocess.run(argv, env=self._bench.environ, timeout=300, capture_output=True, text=True, check=False)
        if done.returncode != 0:
            raise MissingPeer(f"{argv[0]}: {done.stderr.strip()[-200:]}")

    def saves(self) -> list[Subject]:
        """To a file that is not there yet."""
        out = self._bench.scratch / "out.tar"

        def gone() -> None:
            out.unlink(missing_ok=True)

        pod = self._bench.pod
        subjects = [Subject("pod", pod.argv("save", "-o", str(out), self._image), pod.environ(), before=gone)]
        for name, _, save in self._others:
            argv = [word.replace("OUT", str(out)) for word in save]
            subjects.append(Subject(name, argv, self._bench.environ, before=gone))
        return subjects

    def loads(self) -> list[Subject]:
        """Into a store that has nothing yet; those of the rounds before stay on the disk (peers.put_aside)."""
        bench = self._bench
        pod = podcli.Pod(Path(tempfile.mkdtemp(prefix="pod-load-", dir=bench.scratch)), bench.registry.name)
        argv = pod.argv("load", "-i", str(self.archive))
        subjects = [Subject("pod", argv, pod.environ(), before=lambda: put_aside(pod.root))]
        for name, load, _ in self._others:
            base = bench.scratch / ("podman" if name == "podman" else "archives-buildah")
            fresh = bench.scratch / f"{name}-load"
            words = [word.replace(str(base), str(fresh)) for word in load]
            subjects.append(Subject(name, words, bench.environ, before=lambda fresh=fresh: put_aside(fresh)))
        target = bench.scratch / "skopeo-load"
        skopeo = [bench.program("skopeo"), "copy", "-q", f"docker-archive:{self.archive}", f"dir:{target}"]
        subjects.append(Subject("skopeo (no unpacking)", skopeo, bench.environ, before=lambda: put_aside(target)))
        return subjects

    def removals(self) -> list[Subject]:
        """Until the command returns; the image is loaded again before each."""
        pod = self._bench.pod

        def there() -> None:
            pod("load", "-q", "-i", str(self.archive), timeout=300).ok()

        subjects = [Subject("pod", pod.argv("rmi", "-f", self._image), pod.environ(), before=there)]
        for name, load, _ in self._others:
            program = load[: load.index("load" if name == "podman" else "pull")]
            argv = [*program, "rmi", "-f", self._image]
            subjects.append(Subject(name, argv, self._bench.environ, before=lambda load=load: self._run(load)))
        return subjects
