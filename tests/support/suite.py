"""Prepares and runs the tests: ``python3 -m tests.support.suite [pytest arguments]``.

Started by root: makes the two users, builds the images for both, runs pytest as both at once. Started by a person:
builds what that person can and runs pytest as that person. The last line, "N passed, N failed, N skipped", is for all.
The interpreter is the one that runs this file; it must have pytest.
"""

from __future__ import annotations

import contextlib
import importlib.util
import os
import pwd
import re
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from typing import TextIO

from tests.support import images, places, prepare, users

_NONE_CHOSEN = 5
"""pytest's status then."""
_COUNTS = re.compile(r"(\d+) (passed|failed|skipped|error)")
_MOST = 8
"""Processes of pytest at once: more make the tests that are about time wait for each other."""
_IN_ONE = ("-s", "--capture", "--pdb", "-n", "--numprocesses", "-x", "--maxfail")
"""Words by which somebody wants one process, or says how many."""


def spread(arguments: list[str], users: int) -> list[str]:
    """Words that have each of so many users run its tests in one process more than it has processors, for tests wait
    too; whole files each, the many short ones at the end. None where there is one processor, or where ``arguments`` do
    not go with it.
    """
    processors = len(os.sched_getaffinity(0))
    if processors < 2 or any(word.startswith(_IN_ONE) for word in arguments) or not importlib.util.find_spec("xdist"):
        return []
    count = min(max(processors // users, 1) + 1, _MOST)
    return ["-n", str(count), *([] if "--dist" in arguments else ["--dist", "loadfile", "--no-loadscope-reorder"])]


def run(argv: list[str], out: TextIO) -> tuple[int, dict[str, int]]:
    """One run of pytest, written to ``out`` as it goes; its status and the counts of its closing line."""
    process = subprocess.Popen(
        argv, cwd=places.REPOSITORY, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace"
    )
    assert process.stdout is not None
    last = ""
    for line in process.stdout:
        out.write(line)
        out.flush()
        if line.strip():
            last = line
    counts = {word: int(number) for number, word in _COUNTS.findall(last)}
    return process.wait(), counts


def run_as(name: str, pytest: list[str], out: TextIO) -> tuple[int, dict[str, int]]:
    """:func:`run` as that user, with a folder for temporary files that is the run's own and gone afterwards.

    pytest's usual one is shared by all runs of a user, and every run tidies up after all the others.
    """
    folder = tempfile.mkdtemp(prefix=f"pod-suite-{name}-", dir="/var/tmp")
    shutil.chown(folder, name, pwd.getpwnam(name).pw_gid)
    try:
        with users.divided_cgroup(name) as words:
            return run([*words, *users.as_user(name, [*pytest, f"--basetemp={folder}/t"])], out)
    finally:
        subprocess.run(users.as_user(name, ["chmod", "-R", "u+rwX", folder]), capture_output=True, check=False)
        shutil.rmtree(folder, ignore_errors=True)


def only(pytest: list[str], marks: str) -> list[str]:
    """The same, of tests with such marks alone."""
    if "-m" not in pytest[3:]:
        return [*pytest, "-m", marks]
    place = pytest.index("-m", 3) + 1
    return [*pytest[:place], f"({pytest[place]}) and ({marks})", *pytest[place + 1 :]]


def shares(pytest: list[str], count: int) -> list[list[str]]:
    """What each of so many users runs. Of what is the same for all of them the first runs what starts processes, the
    last what does not, and what is marked ``pure``: both take about as long then.
    """
    if count == 1:
        return [pytest]
    middle = [only(pytest, "not alike")] * (count - 2)
    return [only(pytest, "not pure"), *middle, only(pytest, "pure or not alike")]


def run_side_by_side(names: list[str], pytest: list[str]) -> list[tuple[int, dict[str, int]]]:
    """:func:`run_as` of all users at once, for most tests wait for something; the first is shown as it goes, the
    others, each under its name, when they are done.
    """
    with contextlib.ExitStack() as held, ThreadPoolExecutor(len(names)) as pool:
        files = [held.enter_context(tempfile.TemporaryFile("w+")) for _ in names[1:]]
        sys.stdout.write(f"== tests as {', '.join(names)}, at once; those of {names[0]}:\n")
        sys.stdout.flush()
        parts = shares(pytest, len(names))
        runs = [pool.submit(run_as, *each) for each in zip(names, parts, (sys.stdout, *files))]
        results = [run.result() for run in runs]
        for name, file in zip(names[1:], files):
            sys.stdout.write(f"== tests as {name}\n")
            file.seek(0)
            shutil.copyfileobj(file, sys.stdout)
    return results


def run_as_root(pytest: list[str]) -> tuple[int, dict[str, int]]:
    """:func:`run` of what only root can do, which is nothing where the arguments choose other tests."""
    sys.stdout.write("== tests as root\n")
    sys.stdout.flush()
    with tempfile.TemporaryDirectory(prefix="pod-suite-root-", dir="/var/tmp") as folder:
        status, counts = run([*only(pytest, "root"), f"--basetemp={folder}/t"], sys.stdout)
    return (0 if status == _NONE_CHOSEN else status), counts


def main(arguments: list[str]) -> int:
    users_of_root = users.ensure() if os.getuid() == 0 else []
    prepare.fetch_programs()
    prepare.prepare(list(images.RECIPES), trees=os.getuid() == 0)
    several = spread(arguments, len(users_of_root) or 1)
    pytest = [sys.executable, "-m", "pytest", "-p", "no:cacheprovider", *several, *arguments]
    results = run_side_by_side(users_of_root, pytest) if users_of_root else [run(pytest, sys.stdout)]
    if users_of_root and not any("not slow" in argument for argument in arguments):
        results.append(run_as_root(pytest))
    totals = dict.fromkeys(("passed", "failed", "skipped"), 0)
    for _, counts in results:
        for word in totals:
            totals[word] += counts.get(word, 0)
        totals["failed"] += counts.get("error", 0)
    sys.stdout.write(", ".join(f"{number} {word}" for word, number in totals.items()) + "\n")
    return next((status for status, _ in results if status), 0)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
