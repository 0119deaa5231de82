"""Prepares and runs the tests: ``python3 -m tests.support.suite [pytest arguments]``.

Started by root: makes the two users, builds the images for both, runs pytest as each of them. Started by a person:
builds what that person can and runs pytest as that person. The last line, "N passed, N failed, N skipped", is for all.
The interpreter is the one that runs this file; it must have pytest.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys

from tests.support import images, places, prepare, users

_COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error)")


def run(argv: list[str]) -> tuple[int, dict[str, int]]:
    """One run of pytest, shown as it goes; its status and the counts of its closing line."""
    process = subprocess.Popen(
        argv, cwd=places.REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert process.stdout is not None
    last = ""
    for line in process.stdout:
        sys.stdout.write(line)
        sys.stdout.flush()
        if line.strip():
            last = line
    counts = {word: int(number) for number, word in _COUNTS.findall(last)}
    return process.wait(), counts


def main(arguments: list[str]) -> int:
    names: list[str | None] = [*users.ensure()] if os.getuid() == 0 else [None]
    prepare.prepare(list(images.RECIPES), trees=os.getuid() == 0)
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    status = 0
    totals = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for name in names:
        sys.stdout.write(f"== tests as {name or 'this user'}\n")
        code, counts = run(users.as_user(name, pytest) if name else pytest)
        status = status or code
        for word in totals:
            totals[word] += counts.get(word, 0)
        totals["failed"] += counts.get("error", 0)
    sys.stdout.write(", ".join(f"{number} {word}" for word, number in totals.items()) + "\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
