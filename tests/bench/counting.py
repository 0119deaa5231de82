"""`stats --no-stream` of many containers: pod's of an ordinary user beside podman's of root, which has no stats of
containers without control groups, and as an ordinary user none on hosts with version 1.

Root holds podman's containers and measures both; a process of the user's (``hold``) has pod's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.bench.measure import Subject
from tests.bench.peers import PYTHON, Bench, MissingPeer
from tests.support import layers, places, tools, users

CONTAINERS = 200
GOAL = 0.2
"""Most that pod may take, as a share of podman's median."""
_LIMITS = ("--ulimit", "nofile=1024:1024", "--ulimit", "nproc=2000:2000")
"""podman's own ask for more than root may have in some machines."""


def hold(bench: Bench) -> None:
    """Makes the user's containers, tells how they are asked about, and waits for the end of the input."""
    image = bench.pod.image("busybox:latest")
    for _ in range(CONTAINERS):
        bench.pod("run", "-d", "--network", "none", image, "sleep", "10000").ok()
    words = {"argv": bench.pod.argv("stats", "--no-stream"), "environ": bench.pod.environ()}
    sys.stdout.write(json.dumps(words) + "\n")
    sys.stdout.flush()
    sys.stdin.read()


@contextmanager
def held_by(name: str, scratch: str) -> Iterator[list[Subject]]:
    """The user's subjects: the first look, which has to wait for a second one, and those that follow."""
    argv = users.as_user(name, [PYTHON, "-m", "tests.bench", "--hold", "--scratch", scratch])
    process = subprocess.Popen(
        argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=places.REPOSITORY
    )
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        if not line:
            raise MissingPeer(f"pod of {name}: no containers")
        told = json.loads(line)
        variables = [f"{key}={value}" for key, value in told["environ"].items()]
        user = users.as_user(name, [])
        words = [*user[: user.index("-i") + 1], *variables, *told["argv"]]
        first = Subject("pod, the first look", words, {}, before=_forget(told["environ"]))
        yield [Subject("pod", words, {}, before=_rest), first]
    finally:
        process.stdin.close()
        process.wait(300)


def _rest() -> None:
    """A tenth of a second after a look the next one need not wait; podman waits for nothing."""
    time.sleep(0.2)


def _forget(environ: dict[str, str]) -> Callable[[], None]:
    """Nobody has looked before."""

    def forget() -> None:
        for pointer in Path(environ["POD_ROOT"], "cache/run").iterdir():
            if pointer.is_symlink():
                (pointer.resolve() / "looks").unlink(missing_ok=True)

    return forget


@contextmanager
def podman(scratch: Path) -> Iterator[Subject]:
    """Root's containers, in groups of version 1. MissingPeer where they cannot be."""
    program = tools.find("podman")
    if program is None:
        raise MissingPeer("podman: not installed")
    scratch.mkdir()
    argv = [program, "--root", str(scratch / "root"), "--runroot", str(scratch / "run"), "--runtime", "runc"]
    argv += ["--storage-driver", "overlay", "--cgroup-manager", "cgroupfs", "--events-backend", "none"]
    layers.busybox(scratch / "busybox.tar")
    log = scratch / "log"

    def do(*words: str) -> None:
        with log.open("wb") as file:
            null = subprocess.DEVNULL
            done = subprocess.run([*argv, *words], stdin=null, stdout=file, stderr=file, timeout=600, check=False)
        if done.returncode:
            raise MissingPeer(f"podman: {log.read_text(errors='replace').strip()[-300:]}")

    try:
        do("import", str(scratch / "busybox.tar"), "bench:1")
        for _ in range(CONTAINERS):
            do("run", "-d", "--network", "none", *_LIMITS, "localhost/bench:1", "sleep", "10000")
        yield Subject("podman", [*argv, "stats", "--no-stream"], {"PATH": tools.SEARCH})
    finally:
        subprocess.run([*argv, "rm", "-af", "-t", "0"], stdout=subprocess.DEVNULL, timeout=900, check=False)
        tools.remove_tree(scratch)
