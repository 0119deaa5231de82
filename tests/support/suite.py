"""Prepares and runs the tests: ``python3 -m tests.support.suite [pytest arguments]``.

Started by root: makes the two users, builds the images for both, runs pytest as each of them. Started by a person:
builds what that person can and runs pytest as that person. The last line, "N passed, N failed, N skipped", is for all.
The interpreter is the one that runs this file; it must have pytest.
"""

from __future__ import annotations

import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile

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


def run_as(name: str, pytest: list[str]) -> tuple[int, dict[str, int]]:
    """:func:`run` as that user, with a folder for temporary files that is the run's own and gone afterwards.

    pytest's usual one is shared by all runs of a user, and every run tidies up after all the others.
    """
    folder = tempfile.mkdtemp(prefix=f"pod-suite-{name}-", dir="/var/tmp")
    shutil.chown(folder, name, pwd.getpwnam(name).pw_gid)
    try:
        return run([*users.as_user(name, [*pytest, f"--basetemp={folder}/t"])])
    finally:
        subprocess.run(users.as_user(name, ["chmod", "-R", "u+rwX", folder]), capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def main(arguments: list[str]) -> int:
    names: list[str | None] = [*users.ensure()] if os.getuid() == 0 else [None]
    prepare.fetch_programs()
    prepare.prepare(list(images.RECIPES), trees=os.getuid() == 0)
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *arguments]
    status = 0
    totals = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for name in names:
        sys.stdout.write(f"== tests as {name or 'this user'}\n")
        sys.stdout.flush()
        code, counts = run_as(name, pytest) if name else run(pytest)
        status = status or code
        for word in totals:
            totals[word] += counts.get(word, 0)
        totals["failed"] += counts.get("error", 0)
    sys.stdout.write(", ".join(f"{number} {word}" for word, number in totals.items()) + "\n")
    return status


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
