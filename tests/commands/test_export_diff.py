"""``export`` and ``diff``: what an archive of a container has, and what it changed, running and stopped."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.podcli import Pod

CHANGE = """
echo more >>/etc/passwd; rm /etc/group; mkdir -p /made/in; echo x >/made/in/x; chmod 700 /home
rm -r /usr; mkdir /usr; touch /usr/new; ln /made/in/x /made/hard; ln -s x /made/in/link
mkfifo /made/fifo; chown -h 33:44 /made/in /made/in/link /made/fifo; echo v >/vol/v; echo t >/tmpfs/t
mknod /made/null c 1 3
"""


@pytest.fixture(params=["running", "stopped"])
def changed(request: pytest.FixtureRequest, pod: Pod, busybox: str) -> str:
    pod("run", "-d", "--name", "changed", "--network", "none", "-v", "vol:/vol", "--tmpfs", "/tmpfs",
        "-v", "/a/b/c", busybox, "sh", "-c", CHANGE + "touch /tmp/done; sleep 1000").ok()  # fmt: skip
    pod("exec", "changed", "sh", "-c", "until [ -e /tmp/done ]; do sleep 0.1; done").ok()
    if request.param == "stopped":
        pod("stop", "-t", "0", "changed").ok()
    return "changed"


EXPECTED = """
C /etc
D /etc/group
C /etc/passwd
C /home
A /made
A /made/fifo
A /made/hard
A /made/in
A /made/in/link
A /made/in/x
A /made/null
C /tmp
A /tmp/done
C /usr
D /usr/bin
A /usr/new
"""


def test_diff_when_files_changed_then_docker_lines(pod: Pod, changed: str) -> None:
    assert pod("diff", changed).ok() == EXPECTED.lstrip()


def test_diff_when_nothing_changed_then_nothing_is_told(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "same", "--network", "none", "-v", "/data", "--tmpfs", "/t", busybox, "sleep", "99").ok()
    assert pod("diff", "same").ok() == ""
    pod("stop", "-t", "0", "same").ok()
    assert pod("diff", "same").ok() == ""
    pod("diff", "nope").failed(1, "no such container: nope")


def exported(pod: Pod, name: str, path: Path) -> dict[str, tarfile.TarInfo]:
    pod("export", "-o", str(path), name).ok()
    with tarfile.open(path) as tar:
        return {one.name: one for one in tar}


def test_export_when_a_container_then_its_tree_with_owners(pod: Pod, changed: str, tmp_path: Path) -> None:
    found = exported(pod, changed, tmp_path / "x.tar")
    assert "etc/group" not in found
    assert "bin/busybox" in found or "bin/sh" in found
    assert (found["made/in"].uid, found["made/in"].gid) == (33, 44)
    assert (found["made/in/link"].uid, found["made/in/link"].linkname) == (33, "x")
    assert found["made/fifo"].type == tarfile.FIFOTYPE
    links = {found["made/hard"].linkname, found["made/in/x"].linkname}
    assert "made/hard" in links, "the first by name is the file"
    null = found["made/null"]
    assert (null.type, null.devmajor, null.devminor) == (tarfile.CHRTYPE, 1, 3)
    assert found["vol"].isdir()
    assert found["a/b/c"].isdir()
    assert not [name for name in found if name.startswith(("vol/", "tmpfs/", "proc/", "sys/", "a/b/c/"))]
    assert "etc/ld.so.preload" not in found


def test_cp_and_export_when_done_then_events_tell(pod: Pod, changed: str, tmp_path: Path) -> None:
    pod("cp", f"{changed}:/made/in/x", str(tmp_path)).ok()
    pod("cp", f"{tmp_path}/x", f"{changed}:/made").ok()
    exported(pod, changed, tmp_path / "x.tar")
    told = pod("events", "--since", "1m", "--until", "0s", "--format", "{{.Action}}").ok().split()
    assert {"archive-path", "extract-to-dir", "export"} <= set(told)


def test_export_when_written_twice_then_the_same_bytes(pod: Pod, changed: str, tmp_path: Path) -> None:
    exported(pod, changed, tmp_path / "one.tar")
    exported(pod, changed, tmp_path / "two.tar")
    assert (tmp_path / "one.tar").read_bytes() == (tmp_path / "two.tar").read_bytes()


@pytest.mark.parametrize("program", ["tar", "bsdtar"])
def test_export_when_other_tools_read_it_then_they_list_the_same(
    pod: Pod, changed: str, tmp_path: Path, program: str
) -> None:
    if program == "bsdtar" and tools.find(program) is None:
        program = "tar"
    found = exported(pod, changed, tmp_path / "x.tar")
    out = subprocess.run([program, "-tf", str(tmp_path / "x.tar")], capture_output=True, text=True, check=True).stdout
    assert len(out.splitlines()) == len(found)


def test_export_when_it_cannot_be_written_then_nothing_is_left(pod: Pod, changed: str, tmp_path: Path) -> None:
    terminal = pod.terminal("export", changed)
    terminal.expect(rb"cowardly refusing to save to a terminal")
    assert terminal.wait() == 1
    pod("export", "-o", f"{tmp_path}/no/x.tar", changed).failed(1, "failed to export container: invalid output path")
    pod("export", "-o", f"{tmp_path}/x.tar", "nope").failed(1, "no such container: nope")
    assert list(tmp_path.iterdir()) == []


def test_inspect_size_when_files_are_others_then_they_count(pod: Pod, busybox: str) -> None:
    script = "mkdir -m 700 /d; dd if=/dev/zero of=/d/f bs=1000 count=50 2>/dev/null; ln /d/f /d/g; chown -R 33:33 /d"
    pod("run", "--name", "sized", "--network", "none", busybox, "sh", "-c", script).ok()
    assert pod.inspect("sized", "--size")["SizeRw"] == 50000


def test_inspect_when_a_container_wrote_then_it_lies_below_upperdir_and_goes_with_rm(pod: Pod, changed: str) -> None:
    driver = pod.inspect(changed)["GraphDriver"]
    if driver["Name"] != "overlay":
        return
    upper = Path(driver["Data"]["UpperDir"])
    assert (upper / "made/hard").read_text() == "x\n"
    assert all(Path(layer).is_dir() for layer in driver["Data"]["LowerDir"].split(":"))
    pod("rm", "-f", "-v", changed).ok()
    assert not upper.exists()
