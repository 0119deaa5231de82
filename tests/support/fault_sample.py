"""Which faults are tried, in which order, and the file of what came of them."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from tests.support import fault_errnos, tools
from tests.support.faulter import Call

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

SHELLS = ("dash", "sh", "pod.pyz")
"""Names of the processes that are no pod yet."""


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
    """All or a part of them, or a fixed choice."""
    pool = [one for one in all_of_them if EVERY or one.call.changes]
    order = in_turn([one for one in pool if not ONLY or fault_errnos.name(one.fault) in ONLY], name)
    if not EVERY:
        return order[:count]
    return order[len(order) * (PART - 1) // PARTS : len(order) * PART // PARTS]


def in_turn(pool: list[Injection], name: str) -> list[Injection]:
    """Mixed, always in the same way: each kind of call and fault has its turn before any comes twice.

    The place of each is its own, whichever others there are: no two runs of a command make quite the same calls.
    """
    pool = sorted(pool, key=lambda one: _lot(one, name))
    seen: Counter[tuple[str, str, int]] = Counter()
    turns = []
    for place, one in enumerate(pool):
        kind = (one.call.role, one.call.name, one.fault)
        seen[kind] += 1
        turns.append((seen[kind], place))
    return [pool[place] for _, place in sorted(turns)]


def _lot(one: Injection, name: str) -> bytes:
    """What it is sorted by; not by its process, whose number depends on what others do."""
    call = one.call
    words = f"{SEED}-{name}-{call.role}-{call.name}-{call.target}-{call.number}-{one.fault}"
    return hashlib.sha256(words.encode()).digest()


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
