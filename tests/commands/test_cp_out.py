"""``cp`` from a container to the host: Docker's rules of names and slashes, and who owns the copy."""

from __future__ import annotations

import os
import stat
from pathlib import Path

import pytest

from tests.support.podcli import Pod

MAKE = """
mkdir -p /d/sub && echo one >/d/one && echo two >/d/sub/two && ln -s one /d/link && ln -s /d /dlink && ln -s one /d/abs
chmod 750 /d/sub; chmod 4755 /d/one; ln /d/one /d/again; mkfifo /d/fifo
dd if=/dev/zero of=/d/sparse bs=1 count=1 seek=4194303 2>/dev/null
name=$(printf 'new\\nline\\033[31m'); echo odd >"/d/$name"
echo vol >/vol/file; echo tmp >/tmpfs/file
"""


@pytest.fixture(params=["running", "stopped"])
def source(request: pytest.FixtureRequest, pod: Pod, busybox: str) -> str:
    """A container with a tree /d, and a volume and a tmpfs."""
    pod("run", "-d", "--name", "src", "--network", "none", "-v", "vol:/vol", "--tmpfs", "/tmpfs", busybox,
        "sh", "-c", MAKE + "touch /made; sleep 1000").ok()  # fmt: skip
    pod("exec", "src", "sh", "-c", "until [ -e /made ]; do sleep 0.1; done").ok()
    if request.param == "stopped":
        pod("stop", "-t", "0", "src").ok()
    return "src"


def names(path: Path) -> set[str]:
    return {str(one.relative_to(path)) for one in path.rglob("*")}


def test_cp_out_when_names_and_slashes_vary_then_as_docker_says(pod: Pod, source: str, tmp_path: Path) -> None:
    pod("cp", f"{source}:/d/one", f"{tmp_path}/new").ok()
    assert (tmp_path / "new").read_text() == "one\n"
    (tmp_path / "dir").mkdir()
    pod("cp", f"{source}:/d/sub/two", f"{tmp_path}/dir").ok()
    assert (tmp_path / "dir/two").read_text() == "two\n"
    pod("cp", f"{source}:d/sub/two", f"{tmp_path}/new").ok()
    assert (tmp_path / "new").read_text() == "two\n"
    pod("cp", f"{source}:/d/sub", f"{tmp_path}/made").ok()
    assert names(tmp_path / "made") == {"two"}
    pod("cp", f"{source}:/d/sub", f"{tmp_path}/made").ok()
    assert names(tmp_path / "made") == {"two", "sub", "sub/two"}
    (tmp_path / "into").mkdir()
    pod("cp", f"{source}:/d/sub/.", f"{tmp_path}/into/").ok()
    assert names(tmp_path / "into") == {"two"}
    pod("cp", f"{source}:/dlink/", f"{tmp_path}/through").ok()
    assert "one" in names(tmp_path / "through")


def test_cp_out_when_a_tree_then_everything_is_there_and_the_callers(pod: Pod, source: str, tmp_path: Path) -> None:
    pod("cp", f"{source}:/d", str(tmp_path)).ok()
    tree = tmp_path / "d"
    assert (tree / "new\nline\033[31m").read_text() == "odd\n"
    assert os.readlink(tree / "link") == "one"
    assert (tree / "one").stat().st_ino == (tree / "again").stat().st_ino
    assert stat.S_IMODE((tree / "one").stat().st_mode) == 0o755, "set-id bits would be the caller's power"
    assert stat.S_IMODE((tree / "sub").stat().st_mode) == 0o750
    assert stat.S_ISFIFO((tree / "fifo").stat().st_mode)
    assert (tree / "sparse").stat().st_size == 4 << 20
    assert (tree / "sparse").stat().st_blocks < 2048
    for one in [tree, *tree.rglob("*")]:
        assert (one.lstat().st_uid, one.lstat().st_gid) == (os.geteuid(), os.getegid())


def test_cp_out_when_the_source_is_a_link_then_the_link_or_with_l_what_it_leads_to(
    pod: Pod, source: str, tmp_path: Path
) -> None:
    pod("cp", f"{source}:/d/link", f"{tmp_path}/link").ok()
    assert os.readlink(tmp_path / "link") == "one"
    pod("cp", "-L", f"{source}:/d/link", f"{tmp_path}/followed").ok()
    assert (tmp_path / "followed").read_text() == "one\n"
    (tmp_path / "dir").mkdir()
    pod("cp", "-L", f"{source}:/dlink", f"{tmp_path}/dir").ok()
    assert (tmp_path / "dir/dlink/one").read_text() == "one\n"


def test_cp_out_when_in_a_volume_then_it_is_reached(pod: Pod, source: str, tmp_path: Path) -> None:
    pod("cp", f"{source}:/vol/file", str(tmp_path)).ok()
    assert (tmp_path / "file").read_text() == "vol\n"
    if pod.state(source)["Running"]:
        pod("cp", f"{source}:/tmpfs/file", str(tmp_path)).ok()
        assert (tmp_path / "file").read_text() == "tmp\n"


def test_cp_out_when_images_and_tmpfs_are_mounted_then_what_a_stopped_one_can_have(
    pod: Pod, busybox: str, tmp_path: Path
) -> None:
    mounts = ("--mount", f"type=image,src={busybox},dst=/image", "--mount", "type=tmpfs,dst=/memory")
    pod("create", "--name", "mounts", "--network", "none", *mounts, busybox, "true").ok()
    pod("cp", "mounts:/image/etc/passwd", f"{tmp_path}/passwd").ok()
    assert "root" in (tmp_path / "passwd").read_text()
    pod("cp", str(tmp_path / "passwd"), "mounts:/image/etc").failed(1, "mounted volume is marked read-only")
    assert pod("diff", "mounts").ok() == ""


def test_cp_out_when_it_cannot_be_then_one_line_and_nothing_is_made(pod: Pod, source: str, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("kept")
    (tmp_path / "dir/one").mkdir(parents=True)
    pod("cp", f"{source}:/nope", str(tmp_path)).failed(1, "could not find the file /nope in container src")
    pod("cp", f"{source}:/d/one", f"{tmp_path}/no/where").failed(1, "invalid output path", "does not exist")
    pod("cp", f"{source}:/d/one", f"{tmp_path}/missing/").failed(1, "no such directory")
    pod("cp", f"{source}:/d", f"{tmp_path}/file").failed(1, "cannot copy directory")
    pod("cp", f"{source}:/d/one", f"{tmp_path}/dir").failed(1, "cannot overwrite directory", "with non-directory")
    pod("cp", f"{source}:/d/one", "/dev/null").failed(1, "invalid output path", "got a device")
    pod("cp", f"{source}:/d/one/", str(tmp_path)).failed(1, "not a directory")
    pod("cp", "none:/x", str(tmp_path)).failed(1, "no such container: none")
    pod("cp", "a:/x", "b:/y").failed(1, "copying between containers is not supported")
    pod("cp", "x", "y").failed(1, "must specify at least one container source")
    pod("cp", "", "y").failed(1, "source can not be empty")
    assert names(tmp_path) == {"file", "dir", "dir/one"}
    assert (tmp_path / "file").read_text() == "kept"


def test_cp_out_when_devices_and_sockets_then_left_out_and_told(pod: Pod, busybox: str, tmp_path: Path) -> None:
    pod("run", "-d", "--name", "dev", "--network", "none", busybox, "sleep", "1000").ok()
    done = pod("cp", "dev:/dev", f"{tmp_path}/dev")
    done.ok()
    assert "devices left out" in done.err
    assert not (tmp_path / "dev/null").exists()


def test_cp_out_when_quiet_or_not_then_a_terminal_is_told_how_much(pod: Pod, source: str, tmp_path: Path) -> None:
    assert pod("cp", f"{source}:/d/one", str(tmp_path)).err == ""
    terminal = pod.terminal("cp", f"{source}:/d/one", f"{tmp_path}/x")
    terminal.expect(rb"Successfully copied 2.05kB to ")
    assert terminal.wait() == 0
