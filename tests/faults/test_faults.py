"""Every system call of pod's commands gone wrong: SIGKILL right before it, and each error that it can give.

After each the command has said what happened, the next commands work, and the store is what it was: nothing half made
can be seen, nothing is left. `make test` does a fixed sample; `make test-faults` (POD_FAULTS=all) every call that
changes something and every tenth of the others, and writes the table of docs/reliability.md.
"""

from __future__ import annotations

import errno
import json
import os
import random
import sys
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from tests.support import fault_errnos, leaks, tools
from tests.support.fault_cases import CASES, Case, World
from tests.support.faulter import Call, Faulter

SEED = 7
EVERY = os.environ.get("POD_FAULTS") == "all"
PART, PARTS = (int(word) for word in os.environ.get("POD_FAULTS_PART", "1/1").split("/"))
"""Which part of the whole, of how many."""
ONLY = frozenset(os.environ.get("POD_FAULTS_ONLY", "").split())
"""Names of the faults that are tried ("SIGKILL ENOSPC"); all if empty."""
RESULTS = os.environ.get("POD_FAULTS_RESULTS", "")
"""Where a line for each fault goes; of a whole run those that have one there are not tried again."""
OTHERS = int(os.environ.get("POD_FAULTS_OTHERS", "10"))
"""Of the calls that change nothing one in so many is tried; 0: none."""
WHOLE = 10
"""After one in so many faults all of the next commands are tried; after the others the store is compared."""

SHELLS = ("dash", "sh", "pod.pyz")
"""Names of the processes that are no pod yet."""
TRIES = 3
"""Threads and what waits for others do not always make the same calls."""


class Injection(NamedTuple):
    call: Call
    fault: int
    starting: bool

    def __str__(self) -> str:
        call = self.call
        return f"{fault_errnos.name(self.fault)} at {call.role}/{call.process} {call.name} {call.target} #{call.number}"


def injections(calls: list[Call]) -> list[Injection]:
    """All that are to be tried."""
    begun = False
    found = []
    others = 0
    for call in calls:
        begun |= call.process == "0" and call.target.startswith("store/")
        starting = call.role in SHELLS or (call.process == "0" and not begun)
        if call.role == "faulter":  # the tracer's own, before there is a command
            continue
        others += not call.changes
        if call.changes or (OTHERS and others % OTHERS == 0):
            found += [Injection(call, fault, starting) for fault in fault_errnos.faults(call)]
    return found


def key(name: str, one: Injection) -> list[Any]:
    """What a line of the result file says of which fault it was; the process' name may come later than the call."""
    call = one.call
    return [user_kind(), name, call.process, call.name, call.target, call.number, fault_errnos.name(one.fault)]


def left_over(wanted: list[Injection], name: str) -> list[Injection]:
    """Those that an earlier run did not come to, or failed at."""
    path = Path(f"{RESULTS}.{user_kind()}")
    if not (EVERY and RESULTS and path.exists()):
        return wanted
    lines = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    done = [line["key"] for line in lines if "key" in line and line["verdict"] != "failed"]
    return [one for one in wanted if key(name, one) not in done]


def chosen(all_of_them: list[Injection], name: str, count: int) -> list[Injection]:
    """All or a part of them, or a fixed choice; each kind of call and fault has its turn before any comes twice."""
    pool = [one for one in all_of_them if EVERY or one.call.changes]
    pool = [one for one in pool if not ONLY or fault_errnos.name(one.fault) in ONLY]
    random.Random(f"{SEED}-{name}").shuffle(pool)
    seen: Counter[tuple[str, str, int]] = Counter()
    turns = []
    for place, one in enumerate(pool):
        kind = (one.call.role, one.call.name, one.fault)
        seen[kind] += 1
        turns.append((seen[kind], place))
    order = [pool[place] for _, place in sorted(turns)]
    if not EVERY:
        return order[:count]
    return order[len(order) * (PART - 1) // PARTS : len(order) * PART // PARTS]


def user_kind() -> str:
    return "range" if tools.sub_ids() else "single"


def note_total(name: str, possible: list[Injection]) -> None:
    """How many there are, in the result file."""
    if RESULTS:
        calls = {one.call for one in possible}
        entry = {"user": user_kind(), "case": name, "faults": len(possible), "calls": len(calls)}
        entry["changing"] = sum(call.changes for call in calls)
        with open(f"{RESULTS}.{user_kind()}", "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")


def note(name: str, one: Injection, verdict: str, problem: str = "") -> None:
    """A line of the result file."""
    if RESULTS:
        kind = user_kind()
        call = one.call
        entry = {"user": kind, "case": name, "role": call.role, "call": call.name, "object": call.target}
        entry |= {"fault": fault_errnos.name(one.fault), "verdict": verdict, "key": key(name, one)}
        with open(f"{RESULTS}.{kind}", "a", encoding="utf-8") as file:
            file.write(json.dumps({**entry, "changes": call.changes, "number": call.number, "problem": problem}) + "\n")


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
    faulter.calls(world.pod, world.argv(case))  # the first time Python keeps what it has compiled
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
