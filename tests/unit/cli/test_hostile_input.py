"""Random command lines and templates: every outcome is a value or a PodError, in bounded time."""

from __future__ import annotations

import contextlib
import random

import pytest

from pod.cli import run_flags, template
from pod.cli.options import Command, parse
from pod.core.errors import PodError

MARKS = ["{{", "}}", "{{-", "-}}", "(", ")", ":=", "=", "|", ",", ".", " ", "\n", "\t", "/*", "*/"]
CONTROL = ["if", "range", "with", "else", "end", "define", "template", "block", "break", "continue"]
VALUES = [
    ".X",
    ".Y.Z",
    "$x",
    "$",
    '"a"',
    '"',
    "`",
    "'a'",
    "'",
    "1",
    "1.5",
    "0x",
    "1i",
    "+",
    "-",
    "nil",
    "true",
    "%d",
    "%[1]",
]
FUNCTIONS = [
    "printf",
    "index",
    "slice",
    "len",
    "eq",
    "json",
    "join",
    "split",
    "pad",
    "truncate",
    "html",
    "js",
    "call",
    "and",
]
PIECES = MARKS + CONTROL + VALUES + FUNCTIONS + ["*", "é", "\x00", "\udcff"]

WORDS = [
    "1",
    "-1",
    "x",
    "",
    "1g",
    "1.5",
    "a=b",
    "--",
    "-",
    "-it",
    "1h",
    "=",
    "9" * 5000,
    "\udcff",
    "1/0",
    "1e9999",
    "nan",
]

DOCUMENT = {"X": "x", "Y": {"Z": [1, "a", None, {"k": 1.5}]}}


@pytest.mark.parametrize("seed", range(10))
def test_parse_of_random_templates_ends_in_text_or_an_error(seed: int) -> None:
    chance = random.Random(seed)
    for _ in range(300):
        text = "{{" + " ".join(chance.choice(PIECES) for _ in range(chance.randint(1, 12))) + "}}"
        with contextlib.suppress(PodError):
            assert isinstance(template.parse(text).execute(DOCUMENT, strict=chance.random() < 0.5), str)


@pytest.mark.parametrize("seed", range(10))
def test_printf_of_random_verbs_ends_in_text_or_an_error(seed: int) -> None:
    chance = random.Random(seed)
    values = ["1", "-1", '"s"', "1.5", "1e300", "1i", "true", "nil", ".Y", ".X", ".Nothing"]
    for _ in range(300):
        flags = "".join(chance.choice("+-# 0") for _ in range(chance.randint(0, 3)))
        size = chance.choice(["", "5", "*", "[2]", "[1]*"]) + chance.choice(["", ".", ".3", ".*", ".[1]*"])
        verb = f"%{flags}{size}{chance.choice('vTtbcdoOqxXUeEfFgGspz')}"
        arguments = " ".join(chance.choice(values) for _ in range(chance.randint(0, 3)))
        assert isinstance(template.parse(f"{{{{printf `{verb}` {arguments}}}}}").execute(DOCUMENT), str)


@pytest.mark.parametrize("seed", range(10))
def test_parse_of_random_command_lines_ends_in_options_or_an_error(seed: int) -> None:
    chance = random.Random(seed)
    command = Command("run", "IMAGE", "Run", run_flags.RUN, min_args=1, interspersed=False)
    names = [row[0] for row in run_flags.RUN]
    for _ in range(300):
        argv = []
        for _ in range(chance.randint(0, 6)):
            word = chance.choice(WORDS)
            shapes = (
                word,
                f"--{chance.choice(names)}",
                f"--{chance.choice(names)}={word}",
                f"-{chance.choice('aceitvpm')}{word}",
            )
            argv.append(chance.choice(shapes))
        with contextlib.suppress(PodError):
            assert parse(command, argv).args
