"""Whose turn a test is: nothing falls to nobody."""

from __future__ import annotations

import pytest

from tests.support import turns

PARTS = ("commands", "hostile")
NAMES = [f"tests/{part}/test_{number}.py::test_it[é-{number}]" for part in PARTS for number in range(200)]


@pytest.mark.parametrize("name", NAMES[::40])
def test_turn_is_of_one_kind_of_user(name: str) -> None:
    assert turns.is_other(name, {"built"}, sub_ids=True) is not turns.is_other(name, {"built"}, sub_ids=False)


def test_turns_fall_to_both_kinds() -> None:
    with_ids = sum(not turns.is_other(name, set(), sub_ids=True) for name in NAMES)
    assert 150 < with_ids < 250


@pytest.mark.parametrize("sub_ids", [True, False])
def test_turn_is_everybodys_where_it_must_be(sub_ids: bool) -> None:
    assert not any(turns.is_other(name, {"alike"}, sub_ids=sub_ids) for name in NAMES)
    assert not any(turns.is_other(name, {"no_sub_ids"}, sub_ids=sub_ids) for name in NAMES)
    names = [f"{begin}x[{case}]" for begin in turns.BOTH for case in range(20)]
    assert not any(turns.is_other(name, set(), sub_ids=sub_ids) for name in names)
