"""Health checks as images and flags give them: merged, judged, written into the plan, read back."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pod.core.container import health, phase
from pod.core.engine import Engine
from pod.core.runtime import plan
from tests.unit.core.container import conftest as made


@pytest.mark.parametrize(
    ("nanoseconds", "text"),
    [
        (0, "0s"), (1, "1ns"), (1500, "1.5µs"), (250_000_000, "250ms"), (10**9, "1s"), (1_500_000_000, "1.5s"),
        (30 * 10**9, "30s"), (90 * 10**9, "1m30s"), (3600 * 10**9, "1h0m0s"), (3661 * 10**9 + 1, "1h1m1.000000001s"),
    ],
)  # fmt: skip
def test_go_duration_is_written_as_go_writes_it(nanoseconds: int, text: str) -> None:
    assert health.go_duration(nanoseconds) == text


@pytest.mark.parametrize(
    ("config", "argv"),
    [
        ({}, []),
        ({"Healthcheck": None}, []),
        ({"Healthcheck": {"Test": ["NONE"]}}, []),
        ({"Healthcheck": {"Test": ["CMD"]}}, []),
        ({"Healthcheck": {"Test": ["CMD-SHELL"]}}, []),
        ({"Healthcheck": {"Test": ["CMD", "a", "b c"]}}, ["a", "b c"]),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "a b"]}}, ["/bin/sh", "-c", "a b"]),
        ({"Healthcheck": {"Test": ["CMD-SHELL", "a"]}, "Shell": ["/bin/bash", "-xc"]}, ["/bin/bash", "-xc", "a"]),
    ],
)
def test_command_of_a_check(config: dict[str, Any], argv: list[str]) -> None:
    assert health.command(config) == argv


def test_merge_takes_from_the_image_what_the_flags_do_not_say() -> None:
    image = {"Test": ["CMD", "x"], "Interval": 5, "Retries": 2}
    assert health.merge(None, image) == image
    assert health.merge({"Retries": 9}, image) == {**image, "Retries": 9}
    assert health.merge({"Test": ["NONE"]}, image)["Test"] == ["NONE"]  # type: ignore[index]
    assert health.merge({"Retries": 9}, None) == {"Retries": 9}
    assert health.merge(None, None) is None


def test_plan_has_dockers_defaults_in_milliseconds() -> None:
    writer = plan.PlanWriter()
    health.write_plan(writer, {"Healthcheck": {"Test": ["CMD", "x"]}}, 5, 6)
    values = plan.parse(writer.finish("0" * 32))
    numbers = [int.from_bytes(values["HEALTH"][at : at + 8], "little") for at in range(0, 72, 8)]
    assert numbers == [5, 6, 0, 0, 30000, 5000, 0, 30000, 3]
    assert values["HEALTH_LATE"] == b"Health check exceeded timeout (30s)\0"
    writer = plan.PlanWriter()
    check = {"Test": ["CMD", "x"], "Interval": 1, "Timeout": 1, "StartPeriod": 1, "StartInterval": 1, "Retries": 1}
    health.write_plan(writer, {"Healthcheck": check}, 5, 6)
    values = plan.parse(writer.finish("0" * 32))
    numbers = [int.from_bytes(values["HEALTH"][at : at + 8], "little") for at in range(32, 72, 8)]
    assert numbers == [1, 1, 0, 1, 1], "an image's nanoseconds do not make a busy loop"


@pytest.mark.parametrize("text", ["", "{", "[]", '{"version": 1}', '{"version":1,"Log":5,"FailingStreak":"x"}'])
def test_health_of_a_damaged_file_is_that_of_none(engine: Engine, text: str) -> None:
    image = {"Healthcheck": {"Test": ["CMD", "true"]}}
    one = made.put(engine, made.record(image=image), made.running_state())
    with open(one.directory + "/health.json", "w") as file:
        file.write(text)
    assert phase.health(one) == {"Status": "starting", "FailingStreak": 0, "Log": []}


def test_health_of_what_ended_unseen_is_unhealthy(engine: Engine) -> None:
    image = {"Healthcheck": {"Test": ["CMD", "true"]}}
    one = made.put(engine, made.record(image=image), made.running_state(supervisorStart=1, pidStart=1))
    assert phase.health(one) is None
    with open(one.directory + "/health.json", "w") as file:
        json.dump({"version": 1, "Status": "healthy", "FailingStreak": 0, "Log": []}, file)
    assert phase.health(one) == {"Status": "unhealthy", "FailingStreak": 0, "Log": []}
