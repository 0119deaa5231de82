"""core/image/history: what a configuration tells of its making, true or not."""

from __future__ import annotations

from typing import Any

import pytest

from pod.core.engine import Engine
from pod.core.image import history, pull
from pod.core.oci import platform
from tests.unit.core.image.conftest import Built, Pusher, archive

HOST = platform.host().architecture


def told(engine: Engine, pusher: Pusher, *layers: bytes, **config: Any) -> list[tuple[Any, ...]]:
    built = Built(*layers, architecture=HOST, **config)
    image = pull.pull(engine, pusher.image("team/told", "v1", built))
    found = history.steps(engine, image)
    assert all(step.id == (image.id if step is found[0] else "<missing>") for step in found)
    return [(step.created_by, step.size, step.comment, step.created) for step in found]


def test_steps_when_some_are_empty_then_sizes_are_of_the_right_layers(engine: Engine, pusher: Pusher) -> None:
    steps = [
        {"created": "2024-01-31T12:00:00Z", "created_by": "ADD one", "comment": "c"},
        {"created": "2024-01-31T13:00:00+01:00", "created_by": "ENV x", "empty_layer": True},
        {"created": "2024-01-31T12:00:00.5Z", "created_by": "ADD two"},
    ]
    one, two = archive(one="1"), archive(two="2", three="x" * 20000)
    noon = 1706702400 * 10**9
    assert told(engine, pusher, one, two, history=steps) == [
        ("ADD two", len(two), "", noon + 5 * 10**8),
        ("ENV x", 0, "", noon),
        ("ADD one", len(one), "c", noon),
    ]


def test_steps_when_nothing_is_told_then_one_for_each_layer(engine: Engine, pusher: Pusher) -> None:
    one, two = archive(one="1"), archive(two="2")
    assert told(engine, pusher, one, two) == [("", len(two), "", None), ("", len(one), "", None)]


@pytest.mark.parametrize(
    "value",
    [
        5, "x", {}, [5, None, "x", []], [{"created_by": 5, "created": {}, "comment": [], "empty_layer": "yes"}] * 3,
        [{"created": "9999-99-99T99:99:99Z"}], [{"created": "-5"}], [{"empty_layer": True}], [{}] * 9,
    ],
)  # fmt: skip
def test_steps_when_history_is_nonsense_then_every_layer_is_there(engine: Engine, pusher: Pusher, value: Any) -> None:
    one = archive(one="1")
    found = told(engine, pusher, one, history=value)
    assert sum(size for _, size, _, _ in found) == len(one)
    assert all(by == comment == "" and created is None for by, _, comment, created in found)


def test_steps_when_history_is_huge_then_the_newest(engine: Engine, pusher: Pusher) -> None:
    steps = [{"created_by": str(number), "empty_layer": True} for number in range(30000)]
    found = told(engine, pusher, archive(one="1"), history=steps)
    assert len(found) == history.MAX_STEPS
    assert [by for by, _, _, _ in found[:3]] == ["", "29999", "29998"]
