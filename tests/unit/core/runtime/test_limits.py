"""Limits as files and values, where they are pure."""

from __future__ import annotations

from typing import Any

import pytest

from pod.core import cgroups
from pod.core.runtime import limits

MB = 1 << 20


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ({"Memory": 64 * MB}, [("memory.max", str(64 * MB)), ("-memory.swap.max", str(64 * MB))]),
        ({"Memory": 64 * MB, "MemorySwap": -1}, [("memory.max", str(64 * MB)), ("-memory.swap.max", "max")]),
        ({"Memory": 8 * MB, "MemorySwap": 9 * MB}, [("memory.max", str(8 * MB)), ("-memory.swap.max", str(MB))]),
        ({"MemoryReservation": 8 * MB}, [("memory.low", str(8 * MB))]),
    ],
)
def test_memory_files_when_version_2_then_swap_is_what_is_beyond(
    host: dict[str, Any], wanted: list[tuple[str, str]]
) -> None:
    assert limits.memory_files(cgroups.V2, host) == wanted
    assert limits.memory_files(cgroups.SCOPE, host) == wanted


def test_memory_files_when_version_1_then_memory_comes_before_its_sum_with_swap() -> None:
    host = {"Memory": 64 * MB, "MemorySwap": 96 * MB, "MemorySwappiness": 0, "OomKillDisable": True}
    assert limits.memory_files(cgroups.V1, host) == [
        ("memory.limit_in_bytes", str(64 * MB)),
        ("-memory.memsw.limit_in_bytes", str(96 * MB)),
        ("memory.swappiness", "0"),
        ("memory.oom_control", "1"),
    ]


@pytest.mark.parametrize(
    ("host", "wanted"),
    [
        ({"NanoCpus": 1_500_000_000}, [("cpu.max", "150000 100000")]),
        ({"CpuQuota": 20000, "CpuPeriod": 50000}, [("cpu.max", "20000 50000")]),
        ({"CpuPeriod": 50000}, [("cpu.max", "max 50000")]),
        ({"CpuShares": 2}, [("cpu.weight", "1")]),
        ({"CpuShares": 1024}, [("cpu.weight", "39")]),
        ({"CpuShares": 262144}, [("cpu.weight", "10000")]),
    ],
)
def test_processor_files_when_version_2_then_one_line_each(host: dict[str, Any], wanted: list[tuple[str, str]]) -> None:
    assert limits.processor_files(cgroups.V2, host) == wanted


def test_processor_files_when_version_1_then_period_comes_first() -> None:
    assert limits.processor_files(cgroups.V1, {"NanoCpus": 500_000_000, "CpuShares": 512}) == [
        ("cpu.cfs_period_us", "100000"),
        ("cpu.cfs_quota_us", "50000"),
        ("cpu.shares", "512"),
    ]


@pytest.mark.parametrize(("text", "wanted"), [("0", {0}), ("0-2,5", {0, 1, 2, 5}), ("3,1", {1, 3})])
def test_parse_set_when_a_list_then_its_numbers(text: str, wanted: set[int]) -> None:
    assert limits.parse_set(text) == wanted


@pytest.mark.parametrize("text", ["", "a", "3-1", "-1", "1-", "0-99999999999", "٣", "1,,2"])
def test_parse_set_when_no_list_then_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is no list of numbers"):
        limits.parse_set(text)


@pytest.mark.parametrize(
    ("host", "wanted"),
    [({}, 0.0), ({"NanoCpus": 250_000_000}, 0.25), ({"CpuQuota": 150000}, 1.5), ({"CpuQuota": -1}, 0)],
)
def test_processors_when_asked_then_how_many(host: dict[str, Any], wanted: float) -> None:
    assert limits.processors(host) == wanted
