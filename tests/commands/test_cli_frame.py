"""The command line's frame as a process: descriptors that are closed, full or gone, exit codes, locales."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def pod(*argv: str, env: dict[str, str] | None = None, redirect: str = "") -> subprocess.CompletedProcess[bytes]:
    """Runs the tree's own command line in the leanest interpreter; ``redirect`` is shell syntax."""
    script = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pod.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-I", "-S", "-c", script, str(ROOT / "packaging"), *argv]
    if redirect:
        command = ["sh", "-c", f'"$@" {redirect}', "sh", *command]
    environ = {"PATH": os.environ["PATH"], "HOME": "/nonexistent", **(env or {})}
    return subprocess.run(command, capture_output=True, env=environ, timeout=60, check=False)


def test_unknown_flag_of_a_command_ends_with_125() -> None:
    done = pod("version", "--nonsense")
    assert done.returncode == 125
    assert done.stderr == b"pod: unknown flag: --nonsense\nhint: See 'pod version --help'.\n"


def test_output_to_a_full_device_is_one_line_and_status_1() -> None:
    done = pod("version", redirect=">/dev/full")
    assert done.returncode == 1
    assert done.stderr.startswith(b"pod: version: No space left on device\n")
    assert b"Exception ignored" not in done.stderr


def test_output_to_a_reader_that_went_away_is_quiet() -> None:
    done = pod("--help", redirect="2>&1 | true; exit 0")
    assert done.stderr == b""
    read, write = os.pipe()
    os.close(read)
    script = "import sys; sys.path.insert(0, sys.argv.pop(1)); from pod.cli.main import main; sys.exit(main())"
    with open(write, "wb") as gone:
        ended = subprocess.run(
            [sys.executable, "-I", "-S", "-c", script, str(ROOT / "packaging"), "--help"],
            stdout=gone,
            stderr=subprocess.PIPE,
            timeout=60,
            check=False,
        )
    assert ended.returncode == 141
    assert ended.stderr == b""


@pytest.mark.parametrize("redirect", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_closed_descriptors_do_no_harm(redirect: str) -> None:
    assert pod("version", redirect=redirect).returncode == 0
    assert pod("nonsense", redirect=redirect).returncode == 1


@pytest.mark.parametrize("locale", ["C", "POSIX", "en_US.ISO-8859-1"])
def test_output_is_utf8_whatever_the_locale(locale: str) -> None:
    done = pod("version", "--format", '{{"\\u00e9\\u672c"}}', env={"LC_ALL": locale, "PYTHONIOENCODING": "ascii"})
    assert done.stdout == "é本\n".encode()


ALLOWED = {"__future__", "_json", "_collections_abc", "genericpath", "os", "os.path", "posixpath", "stat", "_stat"}
"""What the frame may load besides pod: os, what os loads, and the C half of json."""


def test_frame_imports_nothing_heavy() -> None:
    script = (
        "import sys; before = set(sys.modules); sys.path.insert(0, sys.argv[1])\n"
        "import pod.cli.main, pod.cli.run_flags\n"
        "print(*sorted(set(sys.modules) - before))"
    )
    command = [sys.executable, "-I", "-S", "-c", script, str(ROOT / "packaging")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    assert {name for name in done.stdout.split() if name.partition(".")[0] != "pod"} <= ALLOWED
