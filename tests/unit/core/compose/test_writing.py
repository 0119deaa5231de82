"""Documents as YAML: what is written is read again as the same, and looks as Docker's."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pod.core.compose import document, writing

pytestmark = pytest.mark.pure
TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=12).filter(lambda text: "\r" not in text)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


def again(value: dict[str, Any]) -> Any:
    return document.read(writing.dump(value).encode(), "x")[0].data


@settings(max_examples=60, deadline=None, derandomize=True)
@given(st.dictionaries(TEXTS, VALUES, min_size=1, max_size=3))
def test_dump_when_read_again_then_the_same(value: dict[str, Any]) -> None:
    assert again(value) == value


@pytest.mark.parametrize(
    ("value", "text"),
    [
        ("x", "a: x\n"), ("", 'a: ""\n'), ("yes", 'a: "yes"\n'), ("1", 'a: "1"\n'), ("a: b", "a: 'a: b'\n"),
        ("it's", "a: it's\n"), ("*x", "a: '*x'\n"), ("1:30", 'a: "1:30"\n'), ("a\tb", 'a: "a\\tb"\n'),
        ("one\ntwo", "a: |-\n  one\n  two\n"), ("one\n", "a: |\n  one\n"), (None, "a: null\n"), ({}, "a: {}\n"),
        ([], "a: []\n"), ([1, {"b": [2]}], "a:\n  - 1\n  - b:\n      - 2\n"), (1.5, "a: 1.5\n"), (True, "a: true\n"),
        ("2024-01-02", 'a: "2024-01-02"\n'), ("😀", 'a: "\\U0001F600"\n'),
    ],
)  # fmt: skip
def test_dump_when_a_value_then_dockers_style(value: Any, text: str) -> None:
    assert writing.dump({"a": value}) == text
