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
    whole_files = ["--dist", "loadfile", "--no-loadscope-reorder"]
    assert suite.spread(["-q"], 1) == ["-n", "5", *whole_files]
    assert suite.spread(["-q"], 2) == ["-n", "3", *whole_files]
    assert suite.spread(["-m", "not slow"], 4) == ["-n", "2", *whole_files]
    assert suite.spread(["--dist", "load", "tests/faults"], 1) == ["-n", "5"]


def test_spread_when_there_is_one_processor_then_one_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {3})
    assert suite.spread(["-q"], 1) == []


@pytest.mark.parametrize("word", ["-s", "-x", "--maxfail=3", "--pdb", "-n1", "--numprocesses=2"])
def test_spread_when_somebody_says_otherwise_then_so(word: str) -> None:
    assert suite.spread(["-q", word], 1) == []
