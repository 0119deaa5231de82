"""plan.bin, parsed back by a reader of the test's own; the tables equal those of the C headers."""

from __future__ import annotations

import re
import struct
from pathlib import Path

import pytest

from pod.core.runtime import plan

SOURCES = Path(__file__).parents[4] / "ext/src/core"
BUILD = "0123456789abcdef" * 2
TYPES = {"U64": plan.U64, "STR": plan.STR, "STRV": plan.STRV, "BLOB": plan.BLOB}


def parse(data: bytes) -> dict[str, bytes]:
    """The layout drawn in plan.h."""
    names = {number: (name, kind) for name, (number, kind) in plan.KEYS.items()}
    magic, version, size, build, count, zero = struct.unpack_from("<8sII32sII", data)
    assert (magic, version, size, build, zero) == (b"PODPLAN\n", 1, len(data), BUILD.encode(), 0)
    found = {}
    end = 56 + 16 * count
    for at in range(56, end, 16):
        key, kind, offset, length = struct.unpack_from("<IIII", data, at)
        name, wanted = names[key]
        assert kind == wanted
        assert offset % 8 == 0
        assert end <= offset <= offset + length <= len(data)
        assert name not in found
        found[name] = data[offset : offset + length]
    return found


def mounts(found: dict[str, bytes]) -> list[tuple[int, int, int, int, str, str, str, str]]:
    def text(offset: int) -> str:
        return found["STRINGS"][offset:].partition(b"\0")[0].decode()

    rows = struct.iter_unpack("<8I", found["MOUNTS"])
    return [(*row[:4], *map(text, row[4:])) for row in rows]  # type: ignore[misc]


def test_keys_equal_plan_keys_h() -> None:
    rows = re.findall(r"POD_KEY\((\d+),\s*(\w+),\s*(\w+)\)", (SOURCES / "plan_keys.h").read_text())
    assert {name: (int(number), TYPES[kind]) for number, name, kind in rows if number != "number"} == plan.KEYS


def test_flags_kinds_and_bits_equal_plan_h() -> None:
    header = (SOURCES / "plan.h").read_text()
    shifts = {name: 1 << int(bit) for name, bit in re.findall(r"POD_PLAN_(\w+) = 1 << (\d+)", header)}
    numbers = {name: int(value) for name, value in re.findall(r"POD_MOUNT_(\w+) = (\d+)", header)}
    assert len(shifts) > 10
    for name, value in {**shifts, **numbers}.items():
        if name != "CONSOLE":  # the helper's own operation
            assert getattr(plan, name) == value, name


def test_finish_when_parsed_back_then_every_key_is_there() -> None:
    writer = plan.PlanWriter()
    writer.number("FLAGS", 2**63 + 5)
    writer.text("ID", "x" * 64)
    writer.texts("ARGV", ["", "a b", "ü", "\udcff", "n\nl"])
    writer.texts("ENV", [])
    writer.blob("SECCOMP", b"\1\2\3")
    writer.number("FLAGS", 7)
    found = parse(writer.finish(BUILD))
    assert found["FLAGS"] == (7).to_bytes(8, "little")
    assert found["ID"] == b"x" * 64 + b"\0"
    assert found["ARGV"] == b"\0a b\0\xc3\xbc\0\xff\0n\nl\0"
    assert (found["ENV"], found["SECCOMP"]) == (b"", b"\1\2\3")


def test_finish_when_empty_then_a_header_alone() -> None:
    assert parse(plan.PlanWriter().finish(BUILD)) == {}


def test_mounts_when_strings_repeat_then_they_are_kept_once() -> None:
    writer = plan.PlanWriter()
    one = plan.Mount(plan.FS, "/proc", fstype="proc", flags=14, bits=plan.NOFOLLOW)
    two = plan.Mount(plan.BIND, "/etc/hosts", source="/store/hosts", mode=0o644)
    writer.mounts([one, two, one])
    found = parse(writer.finish(BUILD))
    first = (plan.FS, plan.NOFOLLOW, 14, 0o755, "", "/proc", "proc", "")
    assert mounts(found) == [first, (plan.BIND, 0, 0, 0o644, "/store/hosts", "/etc/hosts", "", ""), first]
    assert found["STRINGS"].count(b"/proc\0") == 1
    assert found["STRINGS"].endswith(b"\0")


@pytest.mark.parametrize("value", ["a\0b", "\ud800"])
def test_text_when_it_cannot_be_an_argument_then_value_error(value: str) -> None:
    with pytest.raises(ValueError, match=r"NUL|surrogates"):
        plan.PlanWriter().text("ID", value)


def test_structs_have_the_sizes_of_c() -> None:
    assert plan.extents([(0, 1000, 1), (1, 100000, 65536)]) == struct.pack("<6I", 0, 1000, 1, 1, 100000, 65536)
    assert plan.rlimits([(7, 1024, -1)]) == struct.pack("<IIQQ", 7, 0, 1024, 2**64 - 1)
