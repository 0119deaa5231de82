"""The two sides of a prepared start's file agree: prepared.h and prepared.py."""

from __future__ import annotations

import re
from pathlib import Path

from pod.core.container import prepared, prepared_file

HELPER = Path(__file__).parents[4] / "ext/src/helper"


def enum(prefix: str) -> dict[str, int]:
    """Members of prepared.h that begin with ``prefix``, without it."""
    text = (HELPER / "prepared.h").read_text()
    found = re.findall(rf"\b{prefix}(\w+)\s*=\s*(0x[0-9a-f]+|\d+(?:\s*<< \d+)?)", text)
    return {name: eval(" ".join(value.split())) for name, value in found}


def test_prepared_formats_inputs() -> None:
    kinds = enum("POD_INPUT_")
    assert kinds.pop("NOFOLLOW") == prepared.NOFOLLOW
    assert len(kinds) == 15
    assert kinds == {name: getattr(prepared, name) for name in kinds}


def test_prepared_formats_flags_and_patches() -> None:
    known = {"ARGS": prepared_file._ARGS, "SYNC": prepared_file._SYNC, "EXEC": prepared_file._EXEC}
    assert enum("POD_PREPARED_") == known
    assert f"#define POD_PREPARED_TURN {prepared_file._TURN}\n" in (HELPER / "prepared.h").read_text()
    assert enum("POD_PATCH_") == {"ID": prepared_file._ID, "NAME": prepared_file._NAME}


def test_prepared_formats_numbers() -> None:
    inputs, found = (HELPER / "prepared_inputs.c").read_text(), (HELPER / "prepared.c").read_text()
    assert f"#define GROUPS_FACTOR {prepared_file._GROUPS_FACTOR:#x}u" in inputs
    smallest = int(re.findall(r"#define SMALLEST_PLAN (\d+)", found)[0])
    assert smallest > prepared.LONGEST_REASON
