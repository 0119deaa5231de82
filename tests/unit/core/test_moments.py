"""core/moments: times of strangers' documents and of options."""

from __future__ import annotations

import pytest

from pod.core import moments

NOW = 1_706_702_400.0  # 2024-01-31T12:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2024-01-31T12:00:00Z", "2024-01-31T12:00:00.000000000Z"),
        ("2024-01-31T12:00:00.123456789Z", "2024-01-31T12:00:00.123456789Z"),
        ("2024-01-31T12:00:00.5+02:30", "2024-01-31T09:30:00.500000000Z"),
        ("2024-02-29T23:59:60-01:00", "2024-03-01T01:00:00.000000000Z"),
        ("1970-01-01T00:00:00Z", "1970-01-01T00:00:00.000000000Z"),
        ("1969-12-31T23:59:59.9Z", "1969-12-31T23:59:59.900000000Z"),
        ("9999-12-31T23:59:59Z", "9999-12-31T23:59:59.000000000Z"),
        ("0001-01-02T00:00:00Z", "0001-01-02T00:00:00.000000000Z"),
    ],
)
def test_instant_of_rfc_3339(text: str, expected: str) -> None:
    found = moments.instant(text)
    assert found is not None
    assert moments.rfc3339(found) == expected


@pytest.mark.parametrize(
    "text",
    [
        None, 5, [], {}, "", "yesterday", "2024-01-31", "2024-01-31T12:00:00", "2024-13-31T12:00:00Z",
        "2024-01-32T12:00:00Z", "2024-01-31T24:00:00Z", "2024-01-31T12:61:00Z", "2024-01-31 12:00:00Z",
        "2024-01-31T12:00:00.Z", "2024-01-31T12:00:00+0100", "2024-01-31T12:00:00Z\x1b[2J", "²024-01-31T12:00:00Z",
        "2024-01-31T12:00:00." + "9" * 5000 + "Z", "0001-01-01T00:00:00Z", "0000-01-31T12:00:00Z",
        "2024-01-31T12:00:00+aa:00", "-024-01-31T12:00:00Z",
    ],
)  # fmt: skip
def test_instant_of_anything_else_is_none(text: object) -> None:
    assert moments.instant(text) is None


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1h30m", "2024-01-31T10:30:00.000000000Z"),
        ("2024-01-31T12:00:00Z", "2024-01-31T12:00:00.000000000Z"),
        ("1706702400.25", "2024-01-31T12:00:00.250000000Z"),
    ],
)
def test_parse_of_dockers_forms(text: str, expected: str) -> None:
    assert moments.rfc3339(moments.parse(text, NOW)) == expected


@pytest.mark.parametrize("text", ["", "soon", "1d", "1hh", "9" * 400 + "h", "9" * 400, "2024-13-01", "\0", "²s"])
def test_parse_of_anything_else_raises(text: str) -> None:
    with pytest.raises(ValueError, match=r".*"):
        moments.parse(text, NOW)
