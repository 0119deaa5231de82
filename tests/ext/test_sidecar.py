"""The files of owners: several writers, rows cut short, files written anew, and what a hundred thousand rows take."""

from __future__ import annotations

import os
import random
import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import places

ROW = 48
TEMPORARY, FORGETS = 1, 2


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The program, plain and under sanitizers."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("capability compiler: cc is not installed")
    folder = tmp_path_factory.mktemp("sidecar")
    source = places.REPOSITORY / "ext/src"
    files = [Path(__file__).with_name("sidecar_harness.c")]
    files += [source / name for name in ("emulator/sidecar.c", "emulator/table.c", "core/err.c")]
    built = {}
    for name, flags in (("plain", ["-O2"]), ("sanitized", ["-O1", "-g", "-fsanitize=address,undefined"])):
        built[name] = folder / name
        folders = [f"-I{source / part}" for part in ("core", "emulator")]
        command = [compiler, "-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", *flags, *folders]
        subprocess.run([*command, *map(str, files), "-o", str(built[name])], check=True, timeout=100)
    return built


def told(program: Path, folder: Path, *lines: str) -> list[str]:
    """What the harness says to lines of "word [from [to [more]]]"."""
    words = [line.split() + ["0"] * (4 - len(line.split())) for line in lines]
    text = "\n".join(" ".join(line) for line in words)
    done = subprocess.run([str(program), str(folder)], input=text, capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, (done.stdout, done.stderr[-2000:])
    return done.stdout.splitlines()


def test_sidecar_when_rows_are_added_then_the_last_of_each_holds(harness: dict[str, Path], tmp_path: Path) -> None:
    lines = ("open", "add 1 1000", "add 500 600 7", "read", "check 1 500", "check 500 600 7", "check 600 1000", "count")
    assert told(harness["sanitized"], tmp_path, *lines) == ["1099 rows 999 known"]
    assert told(harness["sanitized"], tmp_path, "open", "read", "check 500 600 7", "count") == ["1099 rows 999 known"]


def test_sidecar_when_several_add_at_once_then_none_is_lost(harness: dict[str, Path], tmp_path: Path) -> None:
    forks = [f"fork {n}0001 {n}2001" for n in range(1, 7)]
    checks = [f"check {n}0001 {n}2001" for n in range(1, 7)]
    said = told(harness["plain"], tmp_path, "open", *forks, "wait", "read", *checks, "count")
    assert said == ["12000 rows 12000 known"]


@pytest.mark.parametrize("seed", range(8))
def test_sidecar_when_bytes_are_damaged_then_the_other_rows_are_found(
    harness: dict[str, Path], tmp_path: Path, seed: int
) -> None:
    told(harness["plain"], tmp_path, "open", "add 1 501")
    rng = random.Random(seed)
    path = tmp_path / "owners"
    data = bytearray(path.read_bytes())
    torn = sorted(rng.sample(range(500), 5), reverse=True)
    for row in torn:  # cut short, as by a full disk
        del data[row * ROW + rng.randrange(1, ROW) : (row + 1) * ROW]
    data += rng.randbytes(rng.randrange(3 * ROW))
    path.write_bytes(data)
    (line,) = told(harness["sanitized"], tmp_path, "open", "read", "count")
    assert line == "495 rows 495 known"
    assert told(harness["sanitized"], tmp_path, "open", "add 900 910", "read", "check 900 910", "count") == [
        "505 rows 505 known"
    ]


def test_sidecar_when_most_rows_hold_no_more_then_it_is_written_anew(harness: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "owners"
    told(harness["sanitized"], tmp_path, "open", *(f"add 1 11 {n}" for n in range(100)))
    assert path.stat().st_size == 1000 * ROW
    assert told(harness["sanitized"], tmp_path, "open", "read", "check 1 11 99", "count") == ["10 rows 10 known"]
    assert path.stat().st_size == 10 * ROW
    assert os.listdir(tmp_path) == ["owners"]


def test_sidecar_when_others_have_it_then_it_stays_the_file_it_is(harness: dict[str, Path], tmp_path: Path) -> None:
    path = tmp_path / "owners"
    told(harness["plain"], tmp_path, "open", *(f"add 1 11 {n}" for n in range(100)))
    told(harness["plain"], tmp_path, "open")
    inode = path.stat().st_ino
    told(harness["plain"], tmp_path, "open", *(f"add 1 11 {n}" for n in range(100)))
    with path.open("rb") as held:
        import fcntl

        fcntl.flock(held, fcntl.LOCK_SH)
        assert told(harness["plain"], tmp_path, "open", "add 1 11 5", "read", "check 1 11 5", "count") == [
            "1020 rows 10 known"
        ]
    assert path.stat().st_ino == inode
    assert told(harness["plain"], tmp_path, "open", "read", "check 1 11 5", "count") == ["10 rows 10 known"]
    assert path.stat().st_ino != inode


def test_sidecar_when_it_has_become_long_then_the_oldest_go(harness: dict[str, Path], tmp_path: Path) -> None:
    told(harness["plain"], tmp_path, f"open {FORGETS}", "add 1 80001")
    said = told(harness["plain"], tmp_path, f"open {FORGETS}", "read", "check 30001 80001", "count")
    assert said == ["50000 rows 50000 known"]


def test_sidecar_when_it_cannot_be_written_then_it_is_read(harness: dict[str, Path], tmp_path: Path) -> None:
    told(harness["plain"], tmp_path, "open", "add 1 11")
    (tmp_path / "owners").chmod(0o400)
    assert told(harness["plain"], tmp_path, "open", "read", "count") == ["10 rows 10 known"]


def test_records_when_there_are_100000_then_below_4_megabytes(harness: dict[str, Path], tmp_path: Path) -> None:
    """The table is what grows with records: with it, supervisor and emulator stay below 4 MB (400 kB before)."""
    told(harness["plain"], tmp_path, "open", "add 1 100001")
    known, memory = told(harness["plain"], tmp_path, "open", "read", "count", "memory")
    assert known == "100000 rows 100000 known"
    assert int(memory) < 3400
