"""Probes and their judgement by the supervisor's own code, while the wall clock jumps by days at each look."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pod.core.container import health
from pod.core.runtime import plan
from tests.support import compilers


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    sources = [str(compilers.SOURCES / name) for name in ("helper/health.c", "helper/health_probe.c")]
    sources += [str(compilers.SOURCES / f"helper/{name}.c") for name in ("frame", "text")]
    sources += [str(compilers.SOURCES / f"core/{name}.c") for name in ("plan", "err", "confine")]
    target = tmp_path_factory.mktemp("health") / "harness"
    source = Path(__file__).with_name("health_harness.c")
    return compilers.build(compilers.host(), source, target, *compilers.SANITIZE, *sources)


def told(harness: Path, folder: Path, seconds: float, words: list[str], **check: int) -> tuple[list[str], Any]:
    """What the harness counts, and health.json after it; durations in milliseconds."""
    times = {name: value if name == "Retries" else value * health.SHORTEST for name, value in check.items()}
    writer = plan.PlanWriter()
    writer.text("DIR", "/nowhere")
    health.write_plan(writer, {"Healthcheck": {"Test": ["CMD", "x"], **times}}, plan.EXEC | plan.PROBE, 0)
    (folder / "plan").write_bytes(writer.finish("0" * 32))
    done = subprocess.run(
        [str(harness), str(folder), str(folder / "plan"), str(seconds), *words],
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-3000:]
    lines = [line for line in done.stdout.splitlines() if not line.startswith("health_status")]
    return lines, json.loads((folder / "health.json").read_text())


def test_health_when_the_clock_jumps_then_probes_keep_their_pace(harness: Path, tmp_path: Path) -> None:
    said, found = told(harness, tmp_path, 2.1, [], Interval=200, Timeout=5000)
    assert 3 <= int(said[0].split()[0]) <= 10, "one in 200 ms, and no burst for a day that has passed"
    assert said[1] == "0 held"
    assert (found["Status"], found["FailingStreak"]) == ("healthy", 0)
    assert len(found["Log"]) <= 5
    assert len({entry["Start"][:6] for entry in found["Log"]}) > 1, "the clock did not jump"


def test_health_when_the_clock_jumps_then_a_timeout_is_neither_early_nor_late(harness: Path, tmp_path: Path) -> None:
    said, found = told(harness, tmp_path, 30, ["hang", "hang", "0", "stop"], Interval=50, Timeout=400, Retries=3)
    assert int(said[0].split()[0]) >= 3
    assert found["Status"] == "healthy"
    _, found = told(harness, tmp_path, 30, ["hang", "hang", "stop"], Interval=50, Timeout=300, Retries=2)
    assert found["Status"] == "unhealthy"
    assert {(entry["ExitCode"], entry["Output"]) for entry in found["Log"]} == {
        (-1, "Health check exceeded timeout (300ms)")
    }


def test_health_when_the_clock_jumps_then_the_start_period_holds(harness: Path, tmp_path: Path) -> None:
    pace = {"Interval": 50, "StartInterval": 50, "Retries": 1}
    _, found = told(harness, tmp_path, 30, ["1"] * 5 + ["stop"], StartPeriod=60000, **pace)
    assert (found["Status"], found["FailingStreak"]) == ("starting", 0)
    _, found = told(harness, tmp_path, 30, ["1"] * 12 + ["stop"], StartPeriod=300, **pace)
    assert found["Status"] == "unhealthy"


@pytest.mark.parametrize(
    ("words", "retries", "status", "streak"),
    [
        (["0", "1", "1"], 3, "healthy", 2),
        (["1", "1"], 3, "starting", 2),
        (["1", "1", "1"], 3, "unhealthy", 3),
        (["1", "1", "1", "0"], 3, "healthy", 0),
        (["1", "1", "0", "1"], 2, "healthy", 1),
    ],
)
def test_health_results_are_judged_as_docker_does(
    harness: Path, tmp_path: Path, words: list[str], retries: int, status: str, streak: int
) -> None:
    _, found = told(harness, tmp_path, 30, [*words, "stop"], Interval=20, Timeout=60000, Retries=retries)
    assert (found["Status"], found["FailingStreak"]) == (status, streak)
    assert [entry["ExitCode"] for entry in found["Log"]] == [int(word) for word in words]
