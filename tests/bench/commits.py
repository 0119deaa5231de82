"""commit of a container that wrote 60 000 small files, and rmi of the image it makes, beside podman."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path

from tests.bench.measure import Subject
from tests.bench.peers import Bench, MissingPeer

GOAL = 0.3
GOAL_REMOVAL = 0.05
_NAME = "commits"
_SCRIPT = "mkdir /many && tar -xzf /many.tar.gz -C /many"


def subjects(bench: Bench, image: str, files: Path) -> tuple[list[Subject], list[str]]:
    """Everyone has such a container, stopped; the image of the round before is gone before each."""
    words = ["--name", _NAME, "-v", f"{files}:/many.tar.gz:ro", image, "sh", "-c", _SCRIPT]
    pod = bench.pod
    pod("run", "--network", "none", *words, timeout=300).ok()
    argv = pod.argv("commit", _NAME, "committed:1")
    made = [Subject("pod", argv, pod.environ(), before=lambda: _without(pod.argv(), pod.environ()))]
    missing = []
    try:
        made += _podman(bench, image, words)
    except (MissingPeer, subprocess.SubprocessError, OSError) as error:
        missing.append(f"podman: {error}")
    return made, missing


def _podman(bench: Bench, image: str, words: list[str]) -> list[Subject]:
    podman = bench.podman("podman-commit")
    pull = [*podman, "pull", "--quiet", "--tls-verify=false", image]
    for argv in (pull, [*podman, "run", "--network", "none", *words]):
        subprocess.run(argv, env=bench.environ, check=True, capture_output=True, timeout=600)
    argv = [*podman, "commit", "--quiet", _NAME, "committed:1"]
    return [Subject("podman", argv, bench.environ, before=lambda: _without(podman, bench.environ))]


def removals(committed: list[Subject]) -> list[Subject]:
    """Until the command returns, of those who ``committed``; the image is made, and unpacked, again before each."""
    found = []
    for one in committed:
        program = one.argv[: one.argv.index("commit")]
        _without(program, one.environ)  # else the next has the same layer, which stays then
        unpacked = [*program, "run", "--rm", "--network", "none", "committed:1", "true"]

        def there(one: Subject = one, unpacked: list[str] = unpacked) -> None:
            for argv in (one.argv, unpacked):
                subprocess.run(argv, env=one.environ, check=True, capture_output=True, timeout=600)

        found.append(Subject(one.name, [*program, "rmi", "committed:1"], one.environ, before=there))
    return found


def _without(program: list[str], environ: Mapping[str, str]) -> None:
    argv = [*program, "rmi", "-f", "committed:1"]
    subprocess.run(argv, env=environ, timeout=300, capture_output=True, check=False)
