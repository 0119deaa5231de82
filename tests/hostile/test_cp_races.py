"""``cp`` while the container swaps what is on the way: no byte of the host's comes out, none goes where it may not."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until

ROUNDS = 3
SWAP = """
mkdir -p /d/real /d/other; echo inside >/d/real/f; ln -s TARGET /d/link; cp /d/real/f /d/other/f; : >/d/started
while :; do mv -T /d/real /d/x; mv -T /d/x /d/real; mv -T /d/link /d/x; mv -T /d/x /d/link; done
"""


@pytest.fixture
def outside(tmp_path: Path) -> Path:
    """A folder of the host with a secret, whose path does not exist in containers."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "f").write_text("secret")
    return folder


@pytest.fixture
def swapper(pod: Pod, busybox: str, outside: Path) -> str:
    pod("run", "-d", "--name", "swap", "--network", "none", busybox, "sh", "-c",
        SWAP.replace("TARGET", str(outside))).ok()  # fmt: skip
    until(lambda: pod("exec", "swap", "test", "-e", "/d/started").code == 0, 20, "the swapper to swap")
    return "swap"


def contents(folder: Path) -> set[str]:
    return {one.read_text() for one in folder.rglob("*") if one.is_file() and not one.is_symlink()}


def test_cp_out_when_folder_and_link_are_swapped_then_nothing_of_the_host_comes(
    pod: Pod, swapper: str, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        target = tmp_path / f"out{number}"
        target.mkdir()
        for path in ("/d/x/f", "/d/x", "/d"):
            done = pod("cp", f"{swapper}:{path}", str(target))
            assert done.code in (0, 1)
            assert "Traceback" not in done.err
        pod("cp", "-L", f"{swapper}:/d/x", str(target))
        assert contents(target) <= {"inside\n", ""}


def test_cp_in_when_folder_and_link_are_swapped_then_nothing_of_the_host_changes(
    pod: Pod, swapper: str, outside: Path, tmp_path: Path
) -> None:
    (tmp_path / "f").write_text("new")
    for _ in range(ROUNDS):
        for path in ("/d/x/f", "/d/x/", "/d/x"):
            assert pod("cp", f"{tmp_path}/f", f"{swapper}:{path}").code in (0, 1)
    assert {one.name: one.read_text() for one in outside.iterdir()} == {"f": "secret"}


def test_cp_when_killed_then_no_process_of_it_stays(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "big", "--network", "none", busybox, "sleep", "1000").ok()
    process = pod.start("cp", "big:/", "-")
    assert process.stdout is not None
    assert process.stdout.read(512), "the archive has begun"
    children = _children(process.pid)
    assert children
    os.kill(process.pid, signal.SIGKILL)
    process.wait(10)
    until(lambda: not [pid for pid in children if Path(f"/proc/{pid}").exists()], 10, "its processes to end")
    pod("exec", "big", "true").ok()


def _children(pid: int) -> list[str]:
    return Path(f"/proc/{pid}/task/{pid}/children").read_text().split()


def test_cp_when_interrupted_then_it_ends_at_once(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "big", "--network", "none", busybox, "sleep", "1000").ok()
    process = pod.start("cp", "big:/", "-")
    assert process.stdout is not None
    process.stdout.read(512)
    before = time.monotonic()
    process.send_signal(signal.SIGINT)
    try:
        assert process.wait(20) in (130, -signal.SIGINT)
    except subprocess.TimeoutExpired:
        raise AssertionError("it goes on after SIGINT") from None
    assert time.monotonic() - before < 15
