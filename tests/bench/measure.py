"""One process, timed from spawn to end, with the CPU time of it and of everything that it left behind."""

from __future__ import annotations

import ctypes
import os
import random
import time
from collections.abc import Callable, Mapping
from pathlib import Path

_PR_SET_CHILD_SUBREAPER = 36
LINGER = 0.25
"""Seconds that are given to what outlives the command (a supervisor on its way out) before the next round."""


class Failed(Exception):
    """A measured command ended badly: its numbers would be of an error path."""


class Sample:
    """One round: seconds of wall clock and of CPU (user and system together)."""

    __slots__ = ("wall", "cpu")

    def __init__(self, wall: float, cpu: float) -> None:
        self.wall = wall
        self.cpu = cpu


class Subject:
    """Who is measured: its command, and what is made ready (unmeasured) before each round."""

    __slots__ = ("name", "argv", "environ", "before", "after", "linger", "samples")

    def __init__(
        self,
        name: str,
        argv: list[str],
        environ: Mapping[str, str],
        *,
        before: Callable[[], None] | None = None,
        after: Callable[[], None] | None = None,
        linger: float = LINGER,
    ) -> None:
        self.name = name
        self.argv = argv
        self.environ = dict(environ)
        self.before = before
        self.after = after
        self.linger = linger
        self.samples: list[Sample] = []


def adopt_orphans() -> None:
    """Makes this process the reaper of its descendants, so that their CPU time can be had (prctl(2))."""
    ctypes.CDLL(None).prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)


def run(subject: Subject, log: Path) -> Sample:
    """One round of one subject, its output in ``log``."""
    if subject.before:
        subject.before()
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, "/dev/null", os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, "/dev/null", os.O_WRONLY, 0),
        (os.POSIX_SPAWN_OPEN, 2, str(log), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600),
    ]
    begin = time.perf_counter()
    pid = os.posix_spawn(subject.argv[0], subject.argv, subject.environ, file_actions=actions)
    _, status, usage = os.wait4(pid, 0)
    wall = time.perf_counter() - begin
    cpu = usage.ru_utime + usage.ru_stime + _linger(subject.linger)
    if subject.after:
        subject.after()
    if status != 0:
        words = log.read_text(errors="replace").strip()[-300:]
        raise Failed(f"{subject.name}: status {os.waitstatus_to_exitcode(status)}: {words}")
    return Sample(wall, cpu)


def _linger(seconds: float) -> float:
    """CPU time of orphans that end soon after the command did: the first within ``seconds``, others soon after it."""
    cpu = 0.0
    deadline = time.perf_counter() + seconds
    while time.perf_counter() < deadline:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            break
        if pid:
            cpu += usage.ru_utime + usage.ru_stime
            deadline = time.perf_counter() + LINGER
        else:
            time.sleep(0.001)
    return cpu


def interleave(subjects: list[Subject], rounds: int, log: Path) -> list[str]:
    """A warm-up round, then ``rounds`` rounds of all in turn; who fails is left out. Returns why.

    Each round has another order, the same in each run: whose predecessor leaves the caches cold, or the kernel with
    something to take away, is to be somebody else the next time.
    """
    left_out = []
    for number in range(rounds + 1):
        for subject in random.Random(number).sample(subjects, len(subjects)):
            try:
                sample = run(subject, log)
            except (Failed, OSError) as error:
                left_out.append(str(error))
                subjects.remove(subject)
                continue
            if number:
                subject.samples.append(sample)
    return left_out
