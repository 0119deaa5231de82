"""SIGKILL of pod's processes right before each of their system calls that change something.

After each: the next command tells the truth, the container starts, runs a program, stops and goes, and nothing of it is
left. `make test` does a fixed sample; `make test-faults` (POD_FAULTS=all) every call.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support import compilers, leaks, places
from tests.support.podcli import Pod, until

SEED = 6
NAME = "subject"
EVERY = os.environ.get("POD_FAULTS") == "all"


class Case(NamedTuple):
    """A command that is disturbed. ``depth``: of its processes the one that dies (tests/support/faulter.c)."""

    command: tuple[str, ...]
    depth: int
    running: bool  # before the command
    sample: int  # how many calls `make test` tries


CASES = {
    "start": Case(("start", NAME), 0, False, 1),
    "start-client": Case(("start", NAME), 1, False, 1),
    "start-supervisor": Case(("start", NAME), 2, False, 2),
    "stop-client": Case(("stop", "-t", "0", NAME), 0, True, 1),
    "exec-client": Case(("exec", NAME, "true"), 0, True, 1),
    "exec-monitor": Case(("exec", NAME, "true"), 1, True, 1),
    "rm-client": Case(("rm", NAME), 0, False, 1),
    "rm-emptier": Case(("rm", NAME), 2, False, 1),
    "rm-force-client": Case(("rm", "-f", NAME), 0, True, 1),
}


class Outcome(NamedTuple):
    """What the tracer told."""

    calls: int
    killed: bool
    call: int
    status: int


class Faulter:
    """The tracer, built once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        source = places.REPOSITORY / "tests/support/faulter.c"
        self.program = compilers.build(compilers.host(), source, folder / "faulter")

    def argv(self, pod: Pod, depth: int, number: int, when: str, command: tuple[str, ...]) -> list[str]:
        return [str(self.program), str(self.folder / "out"), str(depth), str(number), when, *pod.argv(*command)]

    def run(self, pod: Pod, depth: int, number: int, command: tuple[str, ...]) -> Outcome:
        """The command with its NUMBERth call made impossible; 0 only counts them."""
        with subprocess.Popen(
            self.argv(pod, depth, number, "whole" if depth == 2 and command[0] == "rm" else "now", command),
            env=pod.environ(), cwd=pod.home, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        ) as process:  # fmt: skip
            try:
                process.wait(60)
            except subprocess.TimeoutExpired:
                process.kill()
                raise AssertionError(f"{command}, call {number}: it hangs") from None
        return self.outcome()

    def outcome(self) -> Outcome:
        calls, killed, call, status = (int(word) for word in (self.folder / "out").read_text().split())
        return Outcome(calls, bool(killed), call, status)


@pytest.fixture(scope="module")
def faulter(tmp_path_factory: pytest.TempPathFactory) -> Faulter:
    return Faulter(tmp_path_factory.mktemp("faulter"))


def make(pod: Pod, image: str, *, running: bool) -> None:
    verb = ("run", "-d") if running else ("create",)
    pod(*verb, "--name", NAME, "--network", "none", "-v", "/anonymous", image, "sleep", "1000").ok()


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False


def check(pod: Pod, what: str) -> None:
    """What people do next: it is told truly, starts, works, stops and goes."""
    listed = pod("ps", "-a", "--format", "{{.Names}}")
    assert listed.code == 0, f"{what}: {listed!r}"
    if NAME in listed.out.split():
        state = pod.state(NAME)
        assert state["Running"] == alive(state["Pid"]) if state["Pid"] else not state["Running"], f"{what}: {state}"
        if not state["Running"]:
            started = pod("start", NAME)
            assert started.code == 0, f"{what}: {started!r}"
        done = pod("exec", NAME, "echo", "works")
        assert (done.code, done.out) == (0, "works\n"), f"{what}: {done!r}"
        assert pod("stop", "-t", "0", NAME).code == 0, what
        removed = pod("rm", "-v", NAME)
        assert removed.code == 0, f"{what}: {removed!r}"
    else:
        pod("rm", NAME).failed(1, "no such container")
        pod("volume", "prune", "-f").ok()
    # A name whose container has just gone may be one that is being made: ps takes it away after two seconds.
    until(lambda: pod("ps", "-a").code == 0 and not leaks.left(pod.root), 20, f"{what}: everything to go")
    until(lambda: not list((pod.root / "trash").iterdir()), 15, f"{what}: the trash to be emptied")


def numbers(total: int, sample: int, name: str) -> list[int]:
    """Which calls are tried: every one, or a fixed choice."""
    if EVERY:
        return list(range(1, total + 1))
    return sorted(random.Random(f"{SEED}-{name}").sample(range(1, total + 1), min(sample, total)))


@pytest.mark.x86_64
@pytest.mark.parametrize("name", sorted(CASES))
def test_container_when_a_process_is_killed_at_a_call_then_all_goes_on(
    pod: Pod, busybox: str, faulter: Faulter, name: str
) -> None:
    case = CASES[name]
    make(pod, busybox, running=case.running)
    counted = faulter.run(pod, case.depth, 0, case.command)
    # Of the trash little is left for this emptier where that of an earlier test is still at work.
    assert counted.calls > (0 if name == "rm-emptier" else 3), counted
    check(pod, f"{name}, undisturbed")
    for number in numbers(counted.calls, case.sample, name):
        make(pod, busybox, running=case.running)
        outcome = faulter.run(pod, case.depth, number, case.command)
        check(pod, f"{name}, before call {number} of {counted.calls} (system call {outcome.call})")


@pytest.mark.x86_64
def test_supervisor_when_killed_at_a_call_while_it_is_stopped_then_all_goes_on(
    pod: Pod, busybox: str, faulter: Faulter
) -> None:
    total = 0
    chosen = [0]
    while chosen:
        number = chosen.pop(0)
        make(pod, busybox, running=False)
        argv = faulter.argv(pod, 2, number, "later", ("start", NAME))
        with subprocess.Popen(argv, env=pod.environ(), cwd=pod.home, stdout=subprocess.DEVNULL) as tracer:
            try:
                pod.wait_for(NAME, "running")
                tracer.send_signal(signal.SIGUSR1)
                stopped = pod("stop", "-t", "0", NAME)
                assert "Traceback" not in stopped.err
                tracer.wait(30)
            finally:
                tracer.kill()
        outcome = faulter.outcome()
        check(pod, f"stop, supervisor before call {number} (system call {outcome.call})")
        if not number:
            total = outcome.calls
            assert total > 3
            chosen = numbers(total, 1, "stop-supervisor")


@pytest.mark.x86_64
def test_volume_rm_when_killed_at_a_call_then_all_goes_on(pod: Pod, busybox: str, faulter: Faulter) -> None:
    pod("volume", "create", "vol").ok()
    others = set(os.listdir(pod.root / "volumes")) - {"vol"}
    total = faulter.run(pod, 0, 0, ("volume", "rm", "vol")).calls
    assert total > 0
    for number in numbers(total, 1, "volume-rm"):
        pod("volume", "create", "vol").ok()
        faulter.run(pod, 0, number, ("volume", "rm", "vol"))
        names = pod("volume", "ls", "-q").ok().split()
        if "vol" in names:
            pod("run", "--rm", "--network", "none", "-v", "vol:/v", busybox, "touch", "/v/f").ok()
            pod("volume", "rm", "vol").ok()
        pod("volume", "create", "vol").ok()
        pod("volume", "rm", "vol").ok()
        assert set(os.listdir(pod.root / "volumes")) == others
