"""`volume-subpath` and `image-subpath` when what they name leads elsewhere: CVE-2017-1002101 and its kin."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.crafted import Craft
from tests.support.layers import Layer
from tests.support.podcli import Pod

LINKS = ("/", "..", "../../../outside", "inner/../../..", "/proc/self/root", "hop")


@pytest.fixture(scope="module")
def plain(craft: Craft) -> str:
    return craft.make()


@pytest.fixture
def volume(pod: Pod) -> Path:
    """The content of the volume "trap"."""
    pod("volume", "rm", "-f", "trap")
    pod("volume", "create", "trap").ok()
    content = pod.root / "volumes/trap/_data"
    (content / "inner").mkdir()
    (content / "inner/file").write_text("of the volume\n")
    (content / "hop").symlink_to("/")
    return content


def mounting(path: str) -> tuple[str, ...]:
    return ("run", "--rm", "--mount", f"type=volume,src=trap,dst=/data,volume-subpath={path}")


@pytest.mark.parametrize("target", LINKS)
def test_subpath_when_it_is_a_link_out_of_the_volume_then_it_is_refused(
    pod: Pod, plain: str, outside: Path, volume: Path, target: str
) -> None:
    (volume / "link").symlink_to(target)
    pod(*mounting("link/etc"), plain, "ls", "/data").failed(125, "subpath link/etc", "leads out of the volume")
    if target == "hop":
        pod(*mounting("link"), plain, "ls", "/data").failed(125, "subpath link", "leads out of the volume")


def test_subpath_when_a_link_stays_inside_then_it_is_followed(pod: Pod, plain: str, volume: Path) -> None:
    (volume / "near").symlink_to("./inner/../inner")
    assert pod(*mounting("near"), plain, "cat", "/data/file").ok() == "of the volume\n"
    assert pod(*mounting("near/file"), plain, "cat", "/data").ok() == "of the volume\n"


@pytest.mark.parametrize("kind", ["fifo", "loop", "file"])
def test_subpath_when_it_is_odd_then_nothing_hangs(pod: Pod, plain: str, volume: Path, kind: str) -> None:
    if kind == "fifo":
        os.mkfifo(volume / "odd")
    elif kind == "loop":
        (volume / "odd").symlink_to("odd")
    else:
        (volume / "odd").write_text("x")
    result = pod(*mounting("odd"), plain, "true", timeout=30)
    if result.code:
        result.failed(125)
    pod(*mounting("odd/further"), plain, "true", timeout=30).failed(125, "subpath odd/further")


SWAP = """
import ctypes, os, sys
os.chdir(sys.argv[1])
os.symlink(sys.argv[2], "aside")
exchange = ctypes.CDLL(None, use_errno=True).renameat2
while exchange(-100, b"swapped", -100, b"aside", 2) == 0:
    pass
"""
"""renameat2(2), RENAME_EXCHANGE: there is always something of that name."""


def test_subpath_when_a_folder_and_a_link_are_swapped_then_never_what_is_outside(
    pod: Pod, plain: str, volume: Path
) -> None:
    (volume / "swapped").mkdir()
    (volume / "swapped/mark").write_text("of the volume\n")
    swapper = subprocess.Popen([sys.executable, "-c", SWAP, str(volume), "../../.."])
    try:
        for _ in range(6):
            result = pod(*mounting("swapped"), plain, "ls", "-A", "/data", timeout=30)
            if result.code:
                result.failed(125, "subpath swapped")
            else:
                assert result.out.split() == ["mark"]
    finally:
        swapper.kill()
        swapper.wait()


@pytest.mark.parametrize("target", ["../../../..", "/etc"])
def test_image_subpath_when_it_is_a_link_out_of_the_image_then_it_is_refused(
    pod: Pod, craft: Craft, outside: Path, target: str
) -> None:
    def fill(layer: Layer) -> None:
        layer.symlink("link", target)
        layer.folder("folder")

    image = craft.make(fill)
    pod("pull", "-q", image).ok()
    words = f"type=image,src={image},dst=/data,image-subpath="
    pod("run", "--rm", "--mount", words + "link", image, "ls", "/data").failed(125, "subpath link")
    pod("run", "--rm", "--mount", words + "folder", image, "ls", "/data").ok()


def test_image_when_it_is_mounted_over_a_link_to_proc_then_it_is_refused(pod: Pod, craft: Craft) -> None:
    image = craft.make(lambda layer: layer.symlink("data", "/proc"))
    pod("pull", "-q", image).ok()
    pod("run", "--rm", "--mount", f"type=image,src={image},dst=/data", image, "true").failed(125, "leads to /proc")


def test_volume_when_its_content_was_replaced_by_a_link_then_it_is_refused(
    pod: Pod, craft: Craft, outside: Path, volume: Path
) -> None:
    tools.remove_tree(volume)
    volume.symlink_to(outside)
    image = craft.make(lambda layer: layer.add("data/from-image", b"x"))
    for flags in (("-v", "trap:/data"), ("-v", "trap:/data:nocopy"), mounting("secret")[2:]):
        pod("run", "--rm", *flags, image, "true").failed(125)
    volume.unlink()
    pod("volume", "rm", "trap").ok()


@pytest.mark.parametrize(
    "record",
    ["[]", '{"Labels": [1]}', '{"Options": {"type": 3}}', "[" * 100000, ""],
)
def test_volume_when_its_record_is_broken_then_one_line(pod: Pod, plain: str, volume: Path, record: str) -> None:
    (volume.parent / "volume.json").write_text(record)
    pod("run", "--rm", "-v", "trap:/data", plain, "true").failed(125, "volume.json")
    pod("volume", "rm", "trap").ok()


@pytest.mark.parametrize("name", ["../outside", "..", "-v"])
def test_volume_when_its_name_has_a_path_in_it_then_it_is_no_name(
    pod: Pod, plain: str, outside: Path, name: str
) -> None:
    mount = f"type=volume,src={name},dst=/data"
    pod("run", "--rm", "--mount", mount, plain, "true").failed(125, "includes invalid characters")
    assert pod("volume", "rm", "--", name).code == 1
