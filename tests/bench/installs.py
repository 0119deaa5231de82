"""The installation of tests/commands/test_root_emulation_installs.py as a case: what root emulation costs it.

The peer is pod itself with sub-ids, which only another user has: root's run starts both users and sets one beside the
other, by the file that ``--results`` names.
"""

from __future__ import annotations

import statistics
from pathlib import Path

from tests.bench.measure import Subject
from tests.bench.peers import Bench
from tests.support import images, installed, mirror, tools

DEBIAN = "12"
GOAL = 1.15
"""Most processor time with a single id, as a share of that with sub-ids."""


def subjects(bench: Bench) -> tuple[list[Subject], list[str]]:
    """pod alone; the packages come from the cache that the first round fills."""
    suite = images.SUITES[DEBIAN]
    reason = mirror.lacking(suite)
    if reason:
        return [], [f"mirror: {reason}"]
    folder = bench.scratch / "install"
    folder.mkdir()
    script = mirror.INSTALL.replace("PACKAGES", " ".join(installed.PACKAGES))
    try:
        image = bench.pod.image(f"debian:{DEBIAN}")
    except AssertionError as error:
        return [], [f"debian:{DEBIAN}: {error}"]
    argv = bench.pod.argv("run", "--rm", "--init", *mirror.options(suite, folder), image, "sh", "-ec", script)
    # The supervisor, whose time has that of all programs and of the emulator, removes thousands of files at last.
    return [Subject("pod", argv, bench.pod.environ(), linger=60)], []


def note(results: Path, measured: list[Subject]) -> None:
    """Appends "range|single SECONDS" for the comparison."""
    for subject in measured:
        if subject.samples:
            cpu = statistics.median(sample.cpu for sample in subject.samples)
            with results.open("a") as file:
                file.write(f"{'range' if tools.sub_ids() else 'single'} {cpu:.3f}\n")


def compare(results: Path) -> list[str]:
    """The line that sets both users side by side; none unless both were measured."""
    found = dict(line.split() for line in results.read_text().splitlines())
    if set(found) != {"range", "single"}:
        return []
    ratio = float(found["single"]) / float(found["range"])
    verdict = "met" if ratio <= GOAL else "NOT met"
    return [f"install, CPU with a single id / with sub-ids: {ratio:.2f} (goal <= {GOAL}: {verdict})"]
