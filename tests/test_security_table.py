"""docs/security.md: every mechanism that is to be withstood has a test, and every hostile test a mechanism."""

from __future__ import annotations

import ast
import functools
import re
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parent
PAGE = TESTS.parent / "docs" / "security.md"
GROUPS = ("Unpack", "Start", "Archives of images", "Build", "Compose files", "Registry", "Network", "Shared machine")
NAMED = re.compile(r"`([^`:]*)::(\w+)`")

pytestmark = pytest.mark.alike


def rows(group: str) -> list[tuple[str, str, str]]:
    """(mechanism, tests, what pod does) of each row below the heading of ``group``."""
    section = PAGE.read_text().split(f"\n### {group}\n", 1)[1]
    lines = re.split(r"\n##", section)[0].splitlines()
    cells = [re.split(r"(?<!\\)\|", line.strip())[1:-1] for line in lines if line.startswith("| ")]
    assert cells[0] == [" mechanism ", " tests ", " what pod does "]
    assert all(len(row) == 3 for row in cells), [row for row in cells if len(row) != 3]
    return [(row[0].strip(), row[1].strip(), row[2].strip()) for row in cells[1:]]


def named(cell: str) -> list[tuple[str, str]]:
    """(file below tests/, test) of a cell; a name alone is of the file before it."""
    found: list[tuple[str, str]] = []
    for file, test in NAMED.findall(cell):
        found.append((file or found[-1][0], test))
    return found


@functools.cache
def has_tests(file: str) -> frozenset[str]:
    """The tests that a file has, those in classes too."""
    tree = ast.parse((TESTS / file).read_text())
    return frozenset(node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef))


@pytest.mark.parametrize("group", GROUPS)
def test_security_page_when_a_row_is_read_then_it_names_tests_that_exist(group: str) -> None:
    table = rows(group)
    assert len(table) >= 5
    for mechanism, cell, done in table:
        assert mechanism
        assert done, mechanism
        assert named(cell), f"{mechanism}: no test"
        assert not NAMED.sub("", cell).strip(), f"{mechanism}: {NAMED.sub('', cell).strip()!r} is no test"
        missing = [f"{file}::{test}" for file, test in named(cell) if test not in has_tests(file)]
        assert not missing, f"{mechanism}: {missing}"


def test_security_page_names_each_mechanism_once() -> None:
    mechanisms = [mechanism for group in GROUPS for mechanism, _, _ in rows(group)]
    assert sorted(set(mechanisms)) == sorted(mechanisms)


def test_security_page_knows_every_file_of_hostile_tests() -> None:
    files = {file for group in GROUPS for _, cell, _ in rows(group) for file, _ in named(cell)}
    assert {f"hostile/{path.name}" for path in (TESTS / "hostile").glob("test_*.py")} <= files
