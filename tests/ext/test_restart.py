"""When a restart policy starts a process again: pauses, their end, counts; on a clock of the test's own."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from tests.support import compilers


@pytest.fixture(scope="module")
def harness(tmp_path_factory: pytest.TempPathFactory) -> Path:
    program = tmp_path_factory.mktemp("restart") / "harness"
    folders = [f"-I{compilers.SOURCES / part}" for part in ("core", "helper")]
    files = [Path(__file__).with_name("restart_harness.c"), compilers.SOURCES / "helper/restart.c"]
    files.append(compilers.SOURCES / "core/err.c")
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-Wall", "-Wextra", "-Werror", "-g", *compilers.SANITIZE, *folders]
    subprocess.run([*compilers.host(), *flags, *map(str, files), "-o", str(program)], check=True, timeout=100)
    return program


def told(harness: Path, folder: Path, policy: str, *lines: str) -> list[int]:
    """What it says to lines "word number"."""
    text = "\n".join(lines) + "\n"
    done = subprocess.run(
        [str(harness), str(folder), policy], input=text, capture_output=True, text=True, timeout=60, check=True
    )
    return [int(line) for line in done.stdout.split()]


def crash(code: int = 1, after: int = 5) -> list[str]:
    return ["began 0", f"pass {after}", f"ended {code}"]


def test_pauses_double_up_to_a_minute_whatever_the_wall_clock_does(harness: Path, tmp_path: Path) -> None:
    pauses = told(harness, tmp_path, "always", *(crash() * 13))
    assert pauses == [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 51200, 60000, 60000, 60000]


def test_pauses_begin_anew_after_ten_seconds_of_running(harness: Path, tmp_path: Path) -> None:
    lines = [*crash(), *crash(), *crash(after=9999), *crash(after=10000), *crash()]
    assert told(harness, tmp_path, "always", *lines) == [100, 200, 400, 100, 200]


def test_on_failure_counts_and_success_ends_it(harness: Path, tmp_path: Path) -> None:
    assert told(harness, tmp_path, "on-failure:2", *(crash() * 3)) == [100, 200, -1]
    # The count is of all starts: a long run in between gives no further one.
    assert told(harness, tmp_path, "on-failure:2", *crash(after=20000), *crash(after=20000), *crash()) == [100, 100, -1]
    assert told(harness, tmp_path, "on-failure", *crash(137), *crash(0)) == [100, -1]
    assert told(harness, tmp_path, "unless-stopped", *crash(0), *crash(1)) == [100, 200]
    assert told(harness, tmp_path, "-", *crash(1)) == [-1]
    assert told(harness, tmp_path, "never-heard-of", *crash(1)) == [-1]


def test_what_the_user_stopped_is_left(harness: Path, tmp_path: Path) -> None:
    assert told(harness, tmp_path, "always", "stopped 0") == [0]
    (tmp_path / "stopped").touch()
    assert told(harness, tmp_path, "always", "stopped 0", *crash()) == [1, -1]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ('{"version":1,"RestartPolicy":"no"}', -1),
        ('{"version":1,"Name":"/x","RestartPolicy":"on-failure:1"}', 100),
        ('{"version":1,"Name":"/x"}', 100),
        ("", 100),
        ("{", 100),
        ('{"RestartPolicy":"', 100),
        ('{"RestartPolicy":"' + "x" * 5000, 100),
        ('{"RestartPolicy":"' + "x" * 80 + '"}', 100),
        ('{"RestartPolicy":"\x00"}', 100),
    ],
)
def test_update_is_read_and_nonsense_is_not(harness: Path, tmp_path: Path, text: str, expected: int) -> None:
    (tmp_path / "changes.json").write_text(text)
    assert told(harness, tmp_path, "always", *crash()) == [expected]


@pytest.mark.parametrize("kind", ["link", "fifo", "folder"])
def test_changes_that_are_no_file_are_nothing(harness: Path, tmp_path: Path, kind: str) -> None:
    path = tmp_path / "changes.json"
    if kind == "link":
        (tmp_path / "other").write_text('{"RestartPolicy":"no"}')
        path.symlink_to("other")
    elif kind == "fifo":
        os.mkfifo(path)
    else:
        path.mkdir()
    assert told(harness, tmp_path, "always", *crash()) == [100]
