"""How the suite is spread over processes: never a surprise for who asks for one."""

from __future__ import annotations

import os

import pytest

from tests.support import suite

MANY = {0, 1, 2, 3}


@pytest.fixture(autouse=True)
def _four_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: MANY)


def test_spread_when_there_are_processors_then_each_user_has_a_share() -> None:
    assert suite.spread(["-q"], 1) == ["-n", "4", "--dist", "loadfile"]
    assert suite.spread(["-q"], 2) == ["-n", "2", "--dist", "loadfile"]
    assert suite.spread(["--dist", "load", "tests/faults"], 1) == ["-n", "4"]
    assert suite.spread(["-m", "not slow"], 4) == []


@pytest.mark.parametrize("word", ["-s", "-x", "--maxfail=3", "--pdb", "-n1", "--numprocesses=2"])
def test_spread_when_somebody_says_otherwise_then_so(word: str) -> None:
    assert suite.spread(["-q", word], 1) == []
