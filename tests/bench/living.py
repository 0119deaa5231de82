"""Containers that live, beside podman: `run -d`, `rm` of many files, `ps` of many containers."""

from __future__ import annotations

import subprocess
from collections.abc import Callable

from tests.bench.measure import Subject
from tests.bench.peers import Bench, crun_works
from tests.support import tools

GOALS = {"run -d": 0.15, "rm": 0.05, "ps": 0.2}
"""Most that pod may take, as shares of podman's medians."""
FILES = 60000
CONTAINERS = 200
_FILL = f"mkdir /many && cd /many && seq {FILES} | xargs touch"


class Engine:
    """One of both engines: how its command begins, and its options for a container without a network."""

    def __init__(self, name: str, argv: list[str], environ: dict[str, str], options: list[str], image: str) -> None:
        self.name = name
        self.argv = argv
        self.environ = environ
        self.options = ["--network", "none", *options]
        self.image = image

    def __call__(self, *words: str) -> None:
        """An unmeasured step; what stays behind of it must not hold our pipes."""
        null = subprocess.DEVNULL
        argv = [*self.argv, *words]
        subprocess.run(argv, env=self.environ, stdin=null, stdout=null, stderr=null, check=True, timeout=300)

    def subject(self, words: list[str], before: Callable[[], None] | None, after: Callable[[], None] | None) -> Subject:
        return Subject(self.name, [*self.argv, *words], self.environ, before=before, after=after)


def engines(bench: Bench) -> list[Engine]:
    """pod and, where it is installed, podman, each with busybox in its store."""
    found = [Engine("pod", bench.pod.argv(), bench.pod.environ(), [], bench.pod.image("busybox:latest"))]
    if tools.find("podman"):
        image = bench.registry.name("busybox:latest")
        options = ["--pull", "never", *(["--cgroups=disabled"] if crun_works() else [])]
        podman = Engine("podman", bench.podman(), bench.environ, options, image)
        podman("pull", "--quiet", "--tls-verify=false", image)
        found.append(podman)
    return found


def detached(bench: Bench) -> list[Subject]:
    """`run -d` until it has printed the id."""

    def subject(engine: Engine) -> Subject:
        words = ["run", "-d", "--name", "living", *engine.options, engine.image, "sleep", "100"]
        return engine.subject(words, None, lambda: engine("rm", "-f", *_now(engine), "living"))

    return [subject(engine) for engine in engines(bench)]


def removals(bench: Bench) -> list[Subject]:
    """`rm` of a container that wrote many files, until it returns; the deletion may go on behind."""

    def subject(engine: Engine) -> Subject:
        fill = ["run", "--name", "many", *engine.options, engine.image, "sh", "-c", _FILL]
        return engine.subject(["rm", "many"], lambda: engine(*fill), None)

    return [subject(engine) for engine in engines(bench)]


def listings(bench: Bench) -> tuple[list[Subject], Callable[[], None]]:
    """`ps -a` of many containers, and what removes them afterwards."""
    both = engines(bench)
    for engine in both:
        for number in range(CONTAINERS):
            engine("create", "--name", f"listed-{number}", *engine.options, engine.image, "true")

    def clear() -> None:
        names = [f"listed-{number}" for number in range(CONTAINERS)]
        for engine in both:
            engine("rm", "-f", *_now(engine), *names)

    return [engine.subject(["ps", "-a"], None, None) for engine in both], clear


def _now(engine: Engine) -> list[str]:
    """podman waits ten seconds for a `sleep` to heed SIGTERM, unless told otherwise."""
    return ["--time", "0"] if engine.name == "podman" else []
