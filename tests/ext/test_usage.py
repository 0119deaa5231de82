"""What containers use, counted over processes (ext/src/process/usage.h): beside readings of this test's own."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from pod.core.rundir import process_start
from pod.ext import process

TICK = os.sysconf("SC_CLK_TCK")
BELOW = [("-p", "-f"), ("-m",)]
"""A world of its own pids; one of the caller's pids and its own mounts."""


@contextmanager
def world(script: str, *kinds: str) -> Iterator[int]:
    """The first process of namespaces of its own, which runs ``script`` to its end or the test's."""
    child = subprocess.Popen(["unshare", "-U", "-r", *kinds, "sh", "-c", script], start_new_session=True)
    try:
        yield until(lambda: first_of(child.pid, forks="-f" in kinds))
    finally:
        os.killpg(child.pid, signal.SIGKILL)
        child.wait(10)


def first_of(pid: int, *, forks: bool) -> int:
    """What sh has become, or the child that is sh; 0 as long as it is neither."""
    pids = children(pid) if forks else [pid]
    return next((one for one in pids if Path(f"/proc/{one}/comm").read_text() == "sh\n"), 0)


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def family(pid: int) -> list[int]:
    return [pid, *(one for child in children(pid) for one in family(child))]


def until(look: Callable[[], int], seconds: float = 10.0) -> int:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        found = look()
        if found:
            return found
        time.sleep(0.01)
    raise AssertionError("it never came")


def usage(*pids: int, whole: bool = True) -> list[tuple[int, ...] | None]:
    return process.usage([(pid, process_start(pid), 0, 0, False) for pid in pids], whole)


def number(path: str, name: str) -> int:
    return next(int(line.split()[1]) for line in Path(path).read_text().splitlines() if line.startswith(name))


@pytest.mark.parametrize("kinds", BELOW, ids=" ".join)
def test_usage_when_there_are_several_processes_then_the_sum_of_all(kinds: tuple[str, ...]) -> None:
    with world("sleep 100 & (sleep 100; true) & wait", *kinds) as first:
        until(lambda: len(family(first)) == 4)
        pids = family(first)
        (found,) = usage(first)
        assert found is not None
        at, cpu, threads, memory, read, written, received, sent = found
        assert abs(at / 1e9 - time.monotonic()) < 5
        assert 0 < cpu < 5e9
        assert threads == 4
        assert (received, sent) == (0, 0), "the caller's own network"
        shares = sum(number(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in pids) * 1024
        assert abs(memory - shares) <= 0.05 * shares + 16384
        assert read == sum(number(f"/proc/{pid}/io", "read_bytes:") for pid in pids)
        assert written == sum(number(f"/proc/{pid}/io", "write_bytes:") for pid in pids)
        assert sorted(one[0] for one in process.members(first, process_start(first))) == sorted(pids)


def test_usage_when_a_program_is_busy_then_its_time_and_that_of_children_that_ended() -> None:
    script = "timeout 0.3 sh -c 'while :; do :; done'; while :; do :; done"
    with world(script, "-p", "-f") as first:
        until(lambda: time.sleep(0.5) is None and not children(first))
        before, after = usage(first, whole=False), (time.sleep(0.5), usage(first, whole=False))[1]
        assert before[0] is not None
        assert after[0] is not None
        assert 0.05 < (after[0][1] - before[0][1]) / (after[0][0] - before[0][0]) <= 1.05
        fields = Path(f"/proc/{first}/stat").read_text().rpartition(") ")[2].split()
        own, ended = (sum(map(int, fields[at : at + 2])) / TICK for at in (11, 13))
        assert ended > 0.05
        assert after[0][1] / 1e9 == pytest.approx(own + ended, abs=0.2 + 0.1 * (own + ended))
        assert after[0][3:] == (0, 0, 0, 0, 0), "not asked for"


def test_usage_when_many_are_asked_for_then_each_gets_its_own() -> None:
    """More than enough for a thread more."""
    with world("sleep 100", "-p", "-f") as one, world("sleep 100 & sleep 100 & wait", "-p", "-f") as other:
        until(lambda: len(family(other)) == 3)
        found = usage(*[one, other] * 150)
        assert [numbers and numbers[2] for numbers in found] == [len(family(one)), 3] * 150


def test_usage_when_a_process_came_in_then_it_and_its_children_count() -> None:
    with world("sleep 100", "-p", "-f") as first:
        inside = ["nsenter", f"--target={first}", "-U", "-p", "--preserve-credentials", "sh", "-c", "sleep 100; true"]
        entered = subprocess.Popen(inside)
        try:
            until(lambda: len(process.members(first, process_start(first))) >= 3)
            (found,) = usage(first)
            assert found is not None
            assert found[2] == len(family(first)) + 2
        finally:
            for pid in family(entered.pid):
                os.kill(pid, signal.SIGKILL)
            entered.wait(10)


def test_usage_when_it_is_another_process_by_now_then_nothing() -> None:
    with world("sleep 100", "-p", "-f") as first:
        start, own = process_start(first), process_start(os.getpid())
        asked = [
            (first, start + 1, 0, 0, False), (1 << 22, 1, 0, 0, False), (first, start, os.getpid(), own + 1, False),
            (first, start, os.getpid(), own, True), (first, start, 0, 0, False),
        ]  # fmt: skip
        found = process.usage(asked, True)
        assert [numbers is not None for numbers in found] == [False, False, False, True, True]
        assert process.members(first, start + 1) == []
    assert process.usage([], True) == []


def test_usage_when_the_first_process_is_a_zombie_then_nothing() -> None:
    child = subprocess.Popen(["true"])
    until(lambda: "State:\tZ" in Path(f"/proc/{child.pid}/status").read_text())
    fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(") ")[2].split()
    assert process.usage([(child.pid, int(fields[19]), 0, 0, False)], True) == [None]
    child.wait()


def test_usage_when_a_name_has_brackets_then_it_is_read_all_the_same(tmp_path: Path) -> None:
    program = tmp_path / "a) R 1 (x"
    program.symlink_to("/bin/sleep")
    with world(f"sleep 1; exec '{program}' 100", "-p", "-f") as first:
        until(lambda: Path(f"/proc/{first}/comm").read_text() == "a) R 1 (x\n")
        (found,) = usage(first)
        assert found is not None
        assert found[2] == 1
