"""Every system call of pod's commands gone wrong: SIGKILL right before it, and each error that it can give.

After each the command has said what happened, the next commands work, and the store is what it was: nothing half made
can be seen, nothing is left. `make test` does a fixed sample; `make test-faults` (POD_FAULTS=all) every call that
changes something and every tenth of the others, and writes the table of docs/reliability.md.
"""

from __future__ import annotations

import errno
import sys

import pytest

from tests.support import leaks
from tests.support.fault_cases import CASES, Case, World
from tests.support.fault_sample import EVERY, Injection, chosen, injections, left_over, note, note_total
from tests.support.faulter import Faulter

WHOLE = 10
"""After one in so many faults all of the next commands are tried; after the others the store is compared."""
TRIES = 3
"""Threads and what waits for others do not always make the same calls."""


def disturb(world: World, faulter: Faulter, case: Case, one: Injection, whole: bool) -> str:
    """One fault; what the command said, or "missed" where the call did not come this time."""
    for _ in range(TRIES):
        world.prepare(case)
        outcome = faulter.disturbed(world.pod, world.argv(case), one.call, one.fault)
        verdict = world.judge(case, one.call, one.fault, outcome, one.starting)
        world.heal(whole=whole)
        if outcome.hit:
            return verdict
    return "missed"


@pytest.mark.x86_64
@pytest.mark.parametrize(
    "name", [pytest.param(name, marks=pytest.mark.split_cgroups if "limited" in name else ()) for name in CASES]
)
def test_command_when_a_call_goes_wrong_then_it_says_so_and_nothing_is_left(
    world: World, faulter: Faulter, name: str
) -> None:
    case = CASES[name]
    world.prepare(case)
    world.once(case)  # the first time Python keeps what it has compiled
    world.heal(whole=True)
    world.prepare(case)
    calls, outcome = faulter.calls(world.pod, world.argv(case))
    assert outcome.code == 0, outcome
    world.heal(whole=False)
    possible = injections(calls)
    wanted = chosen(possible, name, case.sample)
    assert len(wanted) >= min(case.sample, 4)
    note_total(name, possible)
    wanted = left_over(wanted, name)
    problems = []
    missed = []
    for number, one in enumerate(wanted, 1):
        try:
            verdict = disturb(world, faulter, case, one, number % WHOLE == 0)
            problem = ""
        except AssertionError as error:
            verdict, problem = "failed", str(error)
            problems.append(f"{one}: {problem}")
            world.begin_again()
        if verdict == "missed":
            missed.append(str(one))
        note(name, one, verdict, problem)
        if EVERY and number % 100 == 0:
            sys.stderr.write(f"{name}: {number} of {len(wanted)}, {len(missed)} missed, {len(problems)} failed\n")
    assert not problems, f"{len(problems)} of {len(wanted)}:\n" + "\n\n".join(problems[:20])
    # Which of several threads or processes makes a file, sends one, or removes one, is chance.
    share = 2 if name in ("pull", "push", "load", "import", "commit", "system prune", "system reset") else 10
    assert len(missed) <= 2 + len(wanted) // share, f"of {len(wanted)} calls these did not come again: {missed[:20]}"


@pytest.mark.x86_64
def test_run_when_its_record_cannot_be_written_then_it_does_not_run(world: World, faulter: Faulter) -> None:
    command = ("run", "-d", "--name", "subject", "--network", "none", "IMAGE", "sleep", "1000")
    case = Case(command, "image", r"\w+\n", 125, 1)
    calls, _ = faulter.calls(world.pod, world.argv(case))
    world.heal(whole=False)
    (record, *_) = [call for call in calls if call.name == "renameat" and call.target.endswith("/state.json")]
    one = Injection(record, errno.ENOSPC, starting=False)
    world.prepare(case)
    outcome = faulter.disturbed(world.pod, world.argv(case), one.call, one.fault)
    assert outcome.hit
    assert outcome.code == 125, outcome
    assert "state.json: no space left on device" in outcome.err, outcome
    assert world.pod("ps", "-q").ok() == ""
    assert not leaks.processes(world.pod.root)
    world.heal(whole=False)


@pytest.mark.x86_64
def test_exec_when_closing_the_helper_that_it_has_read_fails_then_it_works(world: World, faulter: Faulter) -> None:
    case = CASES["exec"]
    world.prepare(case)
    calls, _ = faulter.calls(world.pod, world.argv(case))
    (closed, *_) = [call for call in calls if call.name == "close" and call.target.endswith("/pod-helper")]
    outcome = faulter.disturbed(world.pod, world.argv(case), closed, errno.EIO)
    assert outcome.hit
    assert (outcome.code, outcome.out) == (0, "works\n"), outcome
    world.heal(whole=False)
