"""Medians, 90th percentiles and ratios as text."""

from __future__ import annotations

import statistics
from collections.abc import Mapping

from tests.bench.measure import Subject


def percentile(values: list[float], share: float) -> float:
    """The smallest value that at least ``share`` (0..1) of all are not above."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, max(0, int(len(ordered) * share + 0.999999) - 1))]


def render(title: str, subjects: list[Subject], bases: list[str]) -> list[str]:
    """One table, times in ms; a ratio column of medians of wall time for each of ``bases`` that took part."""
    measured = [subject for subject in subjects if subject.samples]
    medians = {subject.name: statistics.median(s.wall for s in subject.samples) for subject in measured}
    known = [base for base in bases if base in medians]
    lines = [title, _row(["", "median", "p90", "CPU", "rounds", *(f"x {base.split()[0]}" for base in known)])]
    for subject in sorted(measured, key=lambda each: medians[each.name]):
        walls = [sample.wall for sample in subject.samples]
        cpu = statistics.median(sample.cpu for sample in subject.samples)
        cells = [
            subject.name,
            *(f"{1000 * value:.1f}" for value in (medians[subject.name], percentile(walls, 0.9), cpu)),
            str(len(walls)),
            *(f"{medians[subject.name] / medians[base]:.2f}" for base in known),
        ]
        lines.append(_row(cells))
    return lines


START_GOALS = {"python3 -I -S -c pass": 1.6, "crun": 1.0, "podman": 0.1}
"""Most that a warm start may take, as a share of the peer's median."""


def verdicts(subjects: list[Subject], goals: Mapping[str, float]) -> list[str]:
    """Whether the medians of pod meet the goals, shares of a peer's; a line each."""
    medians = {each.name: statistics.median(s.wall for s in each.samples) for each in subjects if each.samples}
    lines = []
    for peer, most in goals.items():
        if peer in medians and "pod" in medians:
            ratio = medians["pod"] / medians[peer]
            lines.append(f"  goal <= {most} x {peer.split()[0]}: {ratio:.2f}, {'met' if ratio <= most else 'NOT met'}")
    return lines


def _row(cells: list[str]) -> str:
    return "  " + cells[0].ljust(24) + "".join(cell.rjust(10) for cell in cells[1:])
