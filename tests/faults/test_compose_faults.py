"""``compose up`` and ``down`` with SIGKILL between two system calls of any of their processes: the next command
completes, and ``down -v`` leaves nothing.

`make test-faults` tries 200 moments of the calls that change something, of each kind some; `make test` a few.
"""

from __future__ import annotations

import sys

import pytest

from tests.support import fault_errnos, netd
from tests.support.fault_compose import CASES, Applications, Case
from tests.support.fault_sample import EVERY, Injection, in_turn, injections, left_over, note, note_total
from tests.support.faulter import Faulter

TRIES = 3
"""Which of several containers comes first is chance."""


def disturb(applications: Applications, faulter: Faulter, case: Case, one: Injection, *, other: bool) -> str:
    """One kill; what the command said, or "missed" where the call did not come this time."""
    if one.call.role == "pod-emulator":
        other = case.command[0] == "up"
    for _ in range(TRIES):
        applications.prepare(case)
        outcome = faulter.disturbed(
            applications.pod, applications.argv(case), one.call, one.fault, applications.environ(case.wanted)
        )
        verdict = applications.judge(one.call, outcome)
        applications.heal(case, verdict, other=other, sure=one.call.role.startswith("python"))
        if outcome.hit:
            return verdict
    return "missed"


@pytest.mark.x86_64
@pytest.mark.parametrize("name", CASES)
def test_application_when_a_process_is_killed_then_the_next_command_completes(
    applications: Applications, faulter: Faulter, name: str
) -> None:
    case = CASES[name]
    applications.prepare(case)
    calls, outcome = faulter.calls(applications.pod, applications.argv(case), applications.environ(case.wanted))
    assert outcome.code == 0, outcome
    applications.heal(case, "done", other=False)
    possible = [one for one in injections(calls) if one.call.changes and not one.fault]
    wanted = in_turn(possible, name)[: case.whole if EVERY else case.sample]
    note_total(name, possible)
    problems, missed = [], []
    for number, one in enumerate(left_over(wanted, name), 1):
        verdict, problem = "failed", ""
        try:
            verdict = disturb(applications, faulter, case, one, other=number % 3 == 0)
        except AssertionError as error:
            problem = str(error)
            problems.append(f"{one}: {problem}")
            applications.begin_again()
        if verdict == "missed":
            missed.append(str(one))
        note(name, one, verdict, problem)
        if EVERY and number % 20 == 0:
            sys.stderr.write(f"{name}: {number} of {len(wanted)}, {len(missed)} missed, {len(problems)} failed\n")
    assert {fault_errnos.name(one.fault) for one in wanted} == {"SIGKILL"}
    assert not problems, f"{len(problems)} of {len(wanted)}:\n" + "\n\n".join(problems[:20])
    assert len(missed) <= 2 + len(wanted) // 4, f"of {len(wanted)} calls these did not come again: {missed[:20]}"


@pytest.mark.x86_64
def test_up_when_who_holds_the_networks_is_killed_then_the_next_one_starts_them_anew(
    applications: Applications, faulter: Faulter
) -> None:
    case = CASES["compose up"]
    assert not netd.left(applications.pod.root, netd.ENDS + 5)  # so that it is this command's
    calls, _ = faulter.calls(applications.pod, applications.argv(case), applications.environ(case.wanted))
    applications.heal(case, "done", other=True)
    assert not netd.left(applications.pod.root, netd.ENDS + 5)
    (first, *_) = [call for call in calls if call.role == "pod-holder" and call.name == "write"]
    outcome = faulter.disturbed(applications.pod, applications.argv(case), first, 0, applications.environ(case.wanted))
    assert outcome.hit
    verdict = applications.judge(first, outcome)
    assert verdict in ("refused", "done")
    applications.heal(case, verdict, other=False)


@pytest.mark.x86_64
def test_up_when_killed_before_a_secret_with_an_owner_is_there_then_the_next_one_puts_it_there(
    applications: Applications, faulter: Faulter
) -> None:
    case = CASES["compose up"]
    calls, _ = faulter.calls(applications.pod, applications.argv(case), applications.environ(case.wanted))
    applications.heal(case, "done", other=True)
    made = [call for call in calls if call.role.startswith("python") and call.target == "store/containers/#/staged"]
    assert made
    argv, environ = applications.argv(case), applications.environ(case.wanted)
    outcome = faulter.disturbed(applications.pod, argv, made[0], 0, environ)
    assert outcome.hit
    applications.heal(case, applications.judge(made[0], outcome), other=False)
