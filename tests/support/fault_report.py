"""Writes the tables of docs/reliability.md: ``python3 -m tests.support.fault_report RESULT…``, the files of a run."""

from __future__ import annotations

import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

from tests.support import places

PAGE = places.REPOSITORY / "docs/reliability.md"
BEGIN = "<!-- written by tests/support/fault_report.py -->"
END = "<!-- until here -->"
FAULTS = ("SIGKILL", "ENOSPC", "EDQUOT", "EIO", "EMFILE", "EINTR")
KINDS = {"range": "with sub-ids", "single": "with one id"}
ROLES = {"dash": "shell", "pod.pyz": "shell", "pod-helper": "prepared start", "memfd:pod": "client", "3": "client"}


def role(entry: dict[str, Any]) -> str:
    """The process in words."""
    name: str = entry["role"]
    return "Python" if name.startswith("python") else ROLES.get(name, name.removeprefix("pod-"))


def read(paths: list[str]) -> list[dict[str, Any]]:
    return [json.loads(line) for path in paths for line in Path(path).read_text(encoding="utf-8").splitlines()]


def table(entries: list[dict[str, Any]], kind: str) -> list[str]:
    """One user's: a row for each command and process."""
    mine = [entry for entry in entries if entry["user"] == kind]
    totals = {entry["case"]: entry for entry in mine if "faults" in entry}
    done = [entry for entry in mine if "fault" in entry]
    counts: Counter[tuple[str, str, str]] = Counter()
    calls: dict[tuple[str, str], set[tuple[str, str, int]]] = {}
    for entry in done:
        row = (entry["case"], role(entry))
        for column in ("fault", "verdict"):
            counts[row[0], row[1], entry[column]] += 1
        calls.setdefault(row, set()).add((entry["call"], entry["object"], entry["number"]))
    lines = [
        f"### A user {KINDS[kind]}",
        f"{len(done)} of {sum(total['faults'] for total in totals.values())} faults tried,"
        f" {sum(entry['changes'] for entry in done)} of them at calls that change something.",
        "",
        f"| command | process | calls | {' | '.join(FAULTS)} | did it | said so | killed | missed | not recovered |",
        "|--" * (len(FAULTS) + 8) + "|",
    ]
    for case, name in sorted(calls, key=lambda row: (list(totals).index(row[0]), row[1])):
        numbers = [str(len(calls[case, name]))]
        columns = (*FAULTS, "done", "refused", "killed", "missed", "failed")
        numbers += [str(counts[case, name, column] or "") for column in columns]
        lines.append(f"| `{case}` | {name} | {' | '.join(numbers)} |")
    return [*lines, ""]


def objects(entries: list[dict[str, Any]]) -> list[str]:
    """What was disturbed, by call: the most frequent objects of each."""
    seen: dict[str, Counter[str]] = {}
    faults: dict[str, set[str]] = {}
    for entry in entries:
        if "fault" in entry and entry["changes"]:
            seen.setdefault(entry["call"], Counter())[entry["object"][:60]] += 1
            faults.setdefault(entry["call"], set()).add(entry["fault"])
    lines = ["### By system call", "| call | faults | tried | such as |", "|--|--|--|--|"]
    for call in sorted(seen):
        names = " ".join(fault for fault in FAULTS if fault in faults[call])
        some = " ".join(f"`{name}`" for name, _ in seen[call].most_common(3) if name)
        lines.append(f"| `{call}` | {names} | {sum(seen[call].values())} | {some} |")
    return [*lines, ""]


def main(paths: list[str]) -> int:
    entries = read(paths)
    kinds = [kind for kind in KINDS if any(entry["user"] == kind for entry in entries)]
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    _, _, tail = rest.partition(END)
    tables = [line for kind in kinds for line in table(entries, kind)] + objects(entries)
    PAGE.write_text(f"{head}{BEGIN}\n" + "\n".join(tables) + f"{END}{tail}", encoding="utf-8")
    failed = sum(entry.get("verdict") == "failed" for entry in entries)
    sys.stdout.write(f"{PAGE.name}: {sum('fault' in entry for entry in entries)} faults, {failed} not recovered\n")
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
