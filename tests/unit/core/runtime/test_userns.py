"""Id maps: default, keep-id, custom, auto; and work in a forked child."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pod.core.engine import Engine
from pod.core.errors import HostUnsupported, UsageError
from pod.core.runtime import userns
from pod.core.runtime.userns import IdMap

U, G = os.geteuid(), os.getegid()


@pytest.fixture
def ranged(tmp_path: Path) -> Engine:
    """An engine of a user with 100000:65536."""
    engine = Engine({"POD_RUN_DIR": str(tmp_path)}, root=str(tmp_path / "store"))
    engine._idmap = IdMap(
        "range", "u100000-65536", [(0, U, 1), (1, 100000, 65536)], [(0, G, 1), (1, 200000, 65536)], "/n/u", "/n/g"
    )
    return engine


@pytest.fixture
def single(tmp_path: Path) -> Engine:
    engine = Engine({"POD_RUN_DIR": str(tmp_path)}, root=str(tmp_path / "store"))
    engine._idmap = IdMap("single", "single", [(0, U, 1)], [(0, G, 1)])
    return engine


def check(extents: list[tuple[int, int, int]]) -> None:
    """What the kernel asks: no overlap on either side."""
    for side in (0, 1):
        taken = sorted((extent[side], extent[side] + extent[2]) for extent in extents)
        assert all(low[1] <= high[0] for low, high in zip(taken, taken[1:])), extents


@pytest.mark.parametrize(
    ("place", "expected"),
    [
        (0, [(0, U, 1), (1, 100000, 65536)]),
        (1, [(0, 100000, 1), (1, U, 1), (2, 100001, 65535)]),
        (1000, [(0, 100000, 1000), (1000, U, 1), (1001, 101000, 64536)]),
        (65536, [(0, 100000, 65536), (65536, U, 1)]),
        (999999, [(0, 100000, 65536), (999999, U, 1)]),
    ],
)
def test_keep_id_map_puts_the_caller_at_its_place(
    ranged: Engine, place: int, expected: list[tuple[int, int, int]]
) -> None:
    made = userns.keep_id_map(ranged, place, 5)
    assert made.uids == expected
    check(made.uids)
    check(made.gids)
    assert made.key != ranged.idmap.key


def test_keep_id_map_over_several_ranges() -> None:
    base = [(0, U, 1), (1, 100000, 10), (11, 300000, 10)]
    for place in range(25):
        moved = userns._shift(base, place)
        check(moved)
        assert sum(count for _, _, count in moved) == 21
        assert [inside for inside, outside, _ in moved if outside == U] == [place]


def test_keep_id_map_when_single_then_that_id_alone(single: Engine) -> None:
    made = userns.keep_id_map(single, 1000, 1001)
    assert (made.kind, made.uids, made.gids) == ("single", [(1000, U, 1)], [(1001, G, 1)])


def test_custom_map_translates_intermediate_ids(ranged: Engine) -> None:
    made = userns.custom_map(ranged, ["0:1:1000", "1000:0:1", "2000:1001"], [])
    assert made.uids == [(0, 100000, 1000), (1000, U, 1), (2000, 101000, 1)]
    assert made.gids == [(0, 200000, 1000), (1000, G, 1), (2000, 201000, 1)]


def test_custom_map_when_own_id_is_left_out_then_it_lies_above(ranged: Engine) -> None:
    made = userns.custom_map(ranged, ["0:1:10"], ["0:0:11"])
    assert made.uids == [(0, 100000, 10), (10, U, 1)]
    assert made.gids == [(0, G, 1), (1, 200000, 10)]


def test_custom_map_when_maps_differ_then_so_do_their_keys(ranged: Engine) -> None:
    keys = {userns.custom_map(ranged, [f"0:{n}:10"], []).key for n in range(1, 40)}
    assert len(keys) == 39


@pytest.mark.parametrize(
    "spec",
    [
        *("", "0", "0:1:2:3", "a:0:1", "0:0:0", "0:-1:5", "0:1:65537", "0:70000:1", "²:0:1", "0:0:99999999999"),
        *(" 0:1:1", "0:1:"),
    ],
)  # fmt: skip
def test_custom_map_when_it_is_no_map_then_usage_error(ranged: Engine, spec: str) -> None:
    with pytest.raises(UsageError, match="map ids"):
        userns.custom_map(ranged, [spec], [])


def test_custom_map_when_root_is_not_mapped_then_usage_error(ranged: Engine) -> None:
    with pytest.raises(UsageError, match="0 is not mapped"):
        userns.custom_map(ranged, ["1:1:10"], [])


def test_custom_map_when_too_many_extents_then_usage_error(ranged: Engine) -> None:
    with pytest.raises(UsageError, match="extents"):
        userns.custom_map(ranged, [f"{n}:{n + 1}:1" for n in range(40)], [])


def test_custom_map_when_single_then_host_unsupported(single: Engine) -> None:
    with pytest.raises(HostUnsupported, match="no subordinate ids"):
        userns.custom_map(single, ["0:0:1"], [])


def test_auto_map_takes_the_first_free_block(ranged: Engine) -> None:
    assert userns.auto_map(ranged, set()).uids[0] == (0, 100000, 1024)
    assert userns.auto_map(ranged, {1}).uids[0] == (0, 101024, 1024)
    taken = set(range(1, 65537, 1024))
    assert userns.auto_map(ranged, taken - {64513}).uids[0] == (0, 164512, 1024)
    with pytest.raises(HostUnsupported, match="no block"):
        userns.auto_map(ranged, taken)


@pytest.mark.sub_ids
def test_call_mapped_when_the_child_raises_then_it_is_raised_here(tmp_path: Path) -> None:
    engine = Engine({"POD_RUN_DIR": str(tmp_path), "PATH": os.environ["PATH"]}, root=str(tmp_path / "store"))

    def fail() -> bytes:
        raise HostUnsupported("no", hint="yes")

    assert userns.call_mapped(engine, engine.idmap, lambda: b"x" * 200_000) == b"x" * 200_000
    with pytest.raises(HostUnsupported, match="no") as caught:
        userns.call_mapped(engine, engine.idmap, fail)
    assert caught.value.hint == "yes"


@pytest.mark.parametrize("answer", [["PodError", "m", None], ["LaunchFailed", "m", "h"], ["os", "m", None]])
def test_unpack_when_the_class_is_odd_then_a_plain_error(answer: list[Any]) -> None:
    assert type(userns._unpack(userns._pack(*answer))).__name__ == "PodError"
