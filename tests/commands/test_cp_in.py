"""``cp`` from the host to a container: names and slashes, owners, read-only places, archives."""

from __future__ import annotations

import io
import os
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.podcli import Pod


@pytest.fixture(params=["running", "stopped"])
def target(request: pytest.FixtureRequest, pod: Pod, busybox: str) -> str:
    """A container that runs, or one that never did; with a volume and a bound folder."""
    verb = ("run", "-d") if request.param == "running" else ("create",)
    (pod.home / "bound").mkdir(exist_ok=True)
    pod(*verb, "--name", "dst", "--network", "none", "-v", "vol:/vol", "-v", f"{pod.home}/bound:/bound",
        "-v", "vol:/ro:ro", busybox, "sleep", "1000").ok()  # fmt: skip
    return "dst"


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    (tmp_path / "t/sub").mkdir(parents=True)
    (tmp_path / "t/one").write_text("one\n")
    (tmp_path / "t/sub/two").write_text("two\n")
    (tmp_path / "t/sub").chmod(0o750)
    (tmp_path / "t/link").symlink_to("one")
    return tmp_path / "t"


def shell(pod: Pod, name: str, script: str) -> str:
    """What the script prints in the container, which runs from now on."""
    if not pod.state(name)["Running"]:
        pod("start", name).ok()
    return pod("exec", name, "sh", "-c", script).ok()


def test_cp_in_when_names_and_slashes_vary_then_as_docker_says(pod: Pod, target: str, tree: Path) -> None:
    pod("cp", f"{tree}/one", f"{target}:/new").ok()
    pod("cp", f"{tree}/one", f"{target}:/tmp").ok()
    pod("cp", str(tree), f"{target}:/made").ok()
    pod("cp", str(tree), f"{target}:/tmp/").ok()
    pod("cp", f"{tree}/.", f"{target}:/var").ok()
    pod("cp", f"{tree}/sub/two", f"{target}:/new").ok()
    out = shell(pod, target, "cat /new /tmp/one /made/sub/two /tmp/t/one /var/sub/two; readlink /made/link")
    assert out == "two\none\ntwo\none\ntwo\none\n"
    modes = [format(one.stat().st_mode & 0o777, "o") for one in (tree, tree / "sub", tree / "sub/two")]
    found = shell(pod, target, "stat -c '%u:%g %a' /made /made/sub /new /made/link").splitlines()
    assert found == [f"0:0 {mode}" for mode in (*modes, "777")]


def test_cp_in_when_in_a_volume_or_a_bind_then_it_is_reached(pod: Pod, target: str, tree: Path) -> None:
    pod("cp", f"{tree}/one", f"{target}:/vol/").ok()
    pod("cp", f"{tree}/one", f"{target}:/bound/renamed").ok()
    assert (pod.home / "bound/renamed").read_text() == "one\n"
    assert (pod.home / "bound/renamed").stat().st_uid == os.geteuid()
    assert shell(pod, target, "cat /vol/one /bound/renamed") == "one\none\n"


def test_cp_in_when_the_target_is_a_link_then_it_is_followed(pod: Pod, target: str, tree: Path) -> None:
    if pod.state(target)["Running"]:
        script = "ln -s /tmp /l; ln -s later /tmp/dangling; echo x >/tmp/f; ln -s tmp/f /fl"
        pod("exec", target, "sh", "-c", script).ok()
        pod("cp", f"{tree}/one", f"{target}:/l").ok()
        pod("cp", f"{tree}/one", f"{target}:/tmp/dangling").ok()
        pod("cp", f"{tree}/one", f"{target}:/fl").ok()
        out = shell(pod, target, "cat /tmp/one /tmp/later /tmp/f; readlink /fl; readlink /l")
        assert out == "one\none\none\ntmp/f\n/tmp\n"


def test_cp_in_when_it_cannot_be_then_one_line_and_nothing_changes(pod: Pod, target: str, tree: Path) -> None:
    pod("cp", f"{tree}/nope", f"{target}:/tmp").failed(1, "no such file or directory")
    pod("cp", f"{tree}/one", f"{target}:/no/where").failed(1, "could not find the file /no/where in container dst")
    pod("cp", f"{tree}/one", f"{target}:/missing/").failed(1, "no such directory")
    pod("cp", str(tree), f"{target}:/etc/passwd").failed(1, "cannot copy directory")
    pod("cp", f"{tree}/one", f"{target}:/ro").failed(1, "mounted volume is marked read-only")
    pod("cp", "-", f"{target}:/etc/passwd", stdin=b"").failed(1, "must be a directory")
    shell(pod, target, "mkdir /tmp/one; touch /tmp/t")
    pod("cp", f"{tree}/one", f"{target}:/tmp").failed(1, 'cannot overwrite directory "/tmp/one" with non-directory')
    pod("cp", str(tree), f"{target}:/tmp").failed(1, 'cannot overwrite non-directory "/tmp/t" with directory')
    assert shell(pod, target, "ls -F /tmp") == "one/\nt\n"


def test_cp_in_when_the_root_is_read_only_then_refused_but_not_for_a_volume(pod: Pod, busybox: str, tree: Path) -> None:
    pod("run", "-d", "--name", "fixed", "--read-only", "--network", "none", "-v", "/vol", busybox, "sleep", "1000").ok()
    for _ in range(2):
        pod("cp", f"{tree}/one", "fixed:/tmp").failed(1, "container rootfs is marked read-only")
        pod("cp", f"{tree}/one", "fixed:/vol").ok()
        pod("stop", "-t", "0", "fixed").ok()


def test_cp_in_when_archive_then_the_ids_of_the_source(pod: Pod, target: str, tree: Path) -> None:
    pod("cp", "-a", f"{tree}/one", f"{target}:/ids").ok()
    assert shell(pod, target, "stat -c %u:%g /ids") == f"{os.geteuid()}:{os.getegid()}\n"


def archive(*entries: tuple[str, bytes, int, int]) -> bytes:
    data = io.BytesIO()
    with tarfile.open(fileobj=data, mode="w") as tar:
        for name, kind, uid, gid in entries:
            info = tarfile.TarInfo(name)
            info.type, info.uid, info.gid, info.mode = kind, uid, gid, 0o755
            info.linkname = "target" if kind == tarfile.SYMTYPE else ""
            info.devmajor, info.devminor = 1, 3
            tar.addfile(info)
    return data.getvalue()


def test_cp_in_when_an_archive_on_stdin_then_its_owners_hold_and_come_out_again(
    pod: Pod, target: str, tmp_path: Path
) -> None:
    made = archive(
        ("./", tarfile.DIRTYPE, 7, 7), ("f", tarfile.REGTYPE, 5, 6), ("d", tarfile.DIRTYPE, 33, 44),
        ("d/l", tarfile.SYMTYPE, 8, 9), ("d/p", tarfile.FIFOTYPE, 10, 11), ("d/r", tarfile.REGTYPE, 0, 0),
    )  # fmt: skip
    pod("cp", "-", f"{target}:/opt", stdin=made).failed(1, 'destination "dst:/opt" must be a directory')
    pod("cp", "-", f"{target}:/var", stdin=made).ok()
    with (tmp_path / "out.tar").open("wb") as file:
        subprocess.run(pod.argv("cp", f"{target}:/var/d", "-"), env=pod.environ(), stdout=file, check=True)
    with tarfile.open(tmp_path / "out.tar") as tar:
        found = {one.name: (one.type, one.uid, one.gid) for one in tar}
    assert found == {
        "d": (tarfile.DIRTYPE, 33, 44), "d/l": (tarfile.SYMTYPE, 8, 9), "d/p": (tarfile.FIFOTYPE, 10, 11),
        "d/r": (tarfile.REGTYPE, 0, 0),
    }  # fmt: skip
    out = shell(pod, target, "cd /var; stat -c '%n %u:%g' . f d d/l d/p d/r")
    assert out.splitlines() == [". 0:0", "f 5:6", "d 33:44", "d/l 8:9", "d/p 10:11", "d/r 0:0"]
