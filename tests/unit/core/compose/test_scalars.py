"""Scalars of YAML, and Go's durations, sizes and numbers."""

from __future__ import annotations

import pytest

from pod.core.compose import scalars

pytestmark = pytest.mark.pure


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("", None), ("~", None), ("Null", None), ("nULL", "nULL"), ("true", True), ("TRUE", True), ("yes", "yes"),
        ("0", 0), ("-0", 0), ("+5", 5), ("010", 8), ("0o10", 8), ("0x1F", 31), ("0b11", 3), ("1_000", 1000),
        ("08", 8.0), ("1.5", 1.5), (".5", 0.5), ("1.", 1.0), ("1e3", 1000.0), ("1.2.3", "1.2.3"), ("0x", "0x"),
        ("1-2", "1-2"), ("-", "-"), (".", "."), ("9223372036854775808", 1 << 63),
        ("18446744073709551616", float(1 << 64)),
        ("2024-01-02", "2024-01-02 00:00:00 +0000 UTC"), ("2024-13-02", "2024-13-02"),
        ("2024-01-02T03:04:05.5Z", "2024-01-02 03:04:05.5 +0000 UTC"), ("9" * 1000, "9" * 1000),
    ],
)  # fmt: skip
def test_plain_when_read_then_as_yaml_v3_reads_it(text: str, value: object) -> None:
    found = scalars.plain(text)
    assert found == value
    assert type(found) is type(value)


@pytest.mark.parametrize(
    ("value", "text"),
    [(1.0, "1"), (1.5, "1.5"), (1e21, "1e+21"), (1e20, "100000000000000000000"), (1e-4, "0.0001"), (1e-7, "1e-07"),
     (0.1, "0.1"), (-2.5e-9, "-2.5e-09"), (0.0, "0"), (123456.789, "123456.789"), (1.25e22, "1.25e+22")],
)  # fmt: skip
def test_shown_when_a_float_then_as_go_prints_it(value: float, text: str) -> None:
    assert scalars.shown(value) == text


@pytest.mark.parametrize(
    ("text", "nanoseconds", "shown"),
    [("1m30s", 90_000_000_000, "1m30s"), ("90s", 90_000_000_000, "1m30s"), ("1.5h", 5_400_000_000_000, "1h30m0s"),
     ("0", 0, "0s"), ("1500ms", 1_500_000_000, "1.5s"), ("20ms", 20_000_000, "20ms"), ("3us", 3000, "3µs"),
     ("-1s", -1_000_000_000, "-1s"), ("100h", 360_000_000_000_000, "100h0m0s"), ("1ns", 1, "1ns")],
)  # fmt: skip
def test_duration_when_read_and_written_then_as_go_does(text: str, nanoseconds: int, shown: str) -> None:
    assert scalars.duration(text) == nanoseconds
    assert scalars.duration_text(nanoseconds) == shown


@pytest.mark.parametrize("text", ["", "5", "s", "1 s", "1d", "1s ", "1m30", "--1s", "9" * 300 + "h", "1.2.3s"])
def test_duration_when_none_then_none(text: str) -> None:
    assert scalars.duration(text) is None


@pytest.mark.parametrize(
    ("text", "size"),
    [("512m", 512 << 20), ("1.5gb", 3 << 29), ("10 KiB", 10 << 10), ("7", 7), ("2T", 2 << 40), ("1k", 1024)],
)
def test_size_when_read_then_bytes(text: str, size: int) -> None:
    assert scalars.size(text) == size


@pytest.mark.parametrize("text", ["", "-1", "1x", "m", "1  m", "1mm", "9" * 30 + "p"])
def test_size_when_none_then_none(text: str) -> None:
    assert scalars.size(text) is None


@pytest.mark.parametrize("value", [0.1, 0.5, 1.25, 3.0, 1e-3, 123.456])
def test_narrow_when_a_float32_then_its_shortest_text(value: float) -> None:
    assert scalars.narrow(value) == value
