"""Mount targets inside a volume that another container changes all the time (CVE-2021-30465)."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.crafted import Craft
from tests.support.podcli import Pod

SWAP = """
import ctypes, os, sys
os.chdir(sys.argv[1])
exchange = ctypes.CDLL(None, use_errno=True).renameat2
while exchange(-100, b"target", -100, b"link", 2) == 0:
    pass
"""


@pytest.fixture
def shared(pod: Pod) -> Iterator[Path]:
    """The content of the volume "shared"."""
    pod("volume", "create", "shared").ok()
    yield pod.root / "volumes/shared/_data"
    pod.tidy()
    pod("volume", "rm", "-f", "shared", "other").ok()


@pytest.mark.parametrize("link", ["/", "/proc", "/proc/self/fd"])
def test_start_when_a_target_in_a_volume_is_swapped_for_a_link_then_the_mount_stays_inside(
    pod: Pod, craft: Craft, outside: Path, shared: Path, link: str
) -> None:
    (shared / "target").mkdir()
    (shared / "link").symlink_to(link)
    image = craft.make()
    swapper = subprocess.Popen([sys.executable, "-c", SWAP, str(shared)])
    script = "cat /proc/mounts; ls -A /proc/self/fd | wc -l; test -d /proc/1"
    try:
        for _ in range(4):
            flags = ("-v", "shared:/vol", "-v", f"{outside}:/vol/target/x:ro", "--tmpfs", "/vol/target/y")
            result = pod("run", "--rm", *flags, image, "sh", "-c", script, timeout=30)
            if result.code:
                result.failed(125)
                continue
            places = [line.split()[1] for line in result.out.splitlines() if " " in line]
            assert "/proc/x" not in places
            assert "/proc/self/fd/x" not in places
    finally:
        swapper.kill()
        swapper.wait()
    assert not Path("/x").exists()
    assert not Path("/y").exists()


@pytest.mark.parametrize("link", ["/proc", "/proc/sys"])
def test_start_when_a_target_in_a_volume_is_a_link_into_proc_then_it_is_refused(
    pod: Pod, craft: Craft, outside: Path, shared: Path, link: str
) -> None:
    (shared / "target").symlink_to(link)
    image = craft.make()
    for flag, value in (
        ("-v", f"{outside}:/vol/target:ro"),
        ("--mount", "type=tmpfs,dst=/vol/target"),
        ("--mount", "type=volume,src=other,dst=/vol/target"),
    ):
        pod("run", "--rm", "-v", "shared:/vol", flag, value, image, "true").failed(125, "leads to /proc")
