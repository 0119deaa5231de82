"""`pod run` where overlayfs refuses the store's file system: containers get a copy of the image's tree."""

from __future__ import annotations

import shlex
import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support.podcli import Pod, Result

MOUNT = 'mount -t overlay -o "lowerdir=$1/l,upperdir=$1/u,workdir=$1/w,userxattr" overlay "$1/m"'


def on_overlay(pod: Pod, folder: Path, *commands: list[str]) -> Result:
    """Runs COMMANDS one after the other with their store on an overlay, which cannot be the upper of another."""
    for name in "luwm":
        (folder / name).mkdir(exist_ok=True)
    lines = [shlex.join(pod.argv("--root", str(folder / "m/store"), *words)) for words in commands]
    script = " &&\n".join([MOUNT, *lines])
    argv = ["unshare", "-r", "-m", "sh", "-c", script, "sh", str(folder)]
    done = subprocess.run(argv, capture_output=True, text=True, env=pod.environ(), timeout=60, check=False)
    return Result(argv, done.returncode, done.stdout, done.stderr)


@pytest.fixture
def image(busybox: str) -> str:
    return busybox


def test_plain_tree_runs_programs_of_the_image(pod: Pod, image: str, tmp_path: Path) -> None:
    done = on_overlay(pod, tmp_path, ["run", "--rm", image, "sh", "-c", "echo hello; ls /; touch /new /etc/new"])
    assert done.ok().split()[0] == "hello"
    assert {"bin", "etc", "usr"} <= set(done.out.split())
    assert not {"diff", "done", "owners"} & set(done.out.split())
    assert "no overlay here" in done.err


def test_plain_tree_is_each_containers_own_and_stays(pod: Pod, image: str, tmp_path: Path) -> None:
    done = on_overlay(
        pod,
        tmp_path,
        ["run", "--name", "first", image, "sh", "-c", "echo $(cat /mark) >> /seen; echo mine > /mark; cat /seen"],
        ["run", "--rm", image, "sh", "-c", "test -e /mark || echo none"],
        ["start", "-a", "first"],
        ["rm", "first"],
        ["ps", "-aq"],
    )
    assert done.ok().split() == ["none", "mine", "first"], done


def test_plain_tree_when_compared_exported_and_copied_then_as_with_overlay(
    pod: Pod, image: str, tmp_path: Path
) -> None:
    change = "echo x >>/etc/passwd; rm /etc/group; mkdir /made; touch /made/f; rm -r /usr; chown 7:8 /made/f"
    done = on_overlay(
        pod,
        tmp_path,
        ["run", "--name", "first", "-v", "/vol", image, "sh", "-c", change],
        ["diff", "first"],
        ["export", "-o", str(tmp_path / "x.tar"), "first"],
        ["cp", "first:/made/f", str(tmp_path / "copied")],
        ["cp", str(tmp_path / "copied"), "first:/again"],
        ["diff", "first"],
        ["rm", "-v", "first"],
    )
    before = ["C /etc", "D /etc/group", "C /etc/passwd", "A /made", "A /made/f", "D /usr"]
    lines = [line for line in done.ok().splitlines() if line[1:2] == " "]
    assert sorted(lines[:6]) == sorted(before), done
    assert sorted(lines[6:]) == sorted([*before, "A /again"]), done
    with tarfile.open(tmp_path / "x.tar") as tar:
        found = {one.name: one for one in tar}
    assert {"bin/busybox", "made/f", "vol"} <= set(found)
    assert not {"etc/group", "usr", "image-owners"} & set(found)
    assert (tmp_path / "copied").read_bytes() == b""
