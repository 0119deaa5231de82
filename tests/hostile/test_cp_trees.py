"""``cp`` of what a container made to do harm: links to the host, FIFOs, names, depths, sizes, magic links of /proc."""

from __future__ import annotations

import os
import stat
import tarfile
from pathlib import Path

from tests.support.podcli import Pod

LONG = "n" * 255

MAKE = f"""
mkdir /t && cd /t && ln -s /etc/passwd abs && ln -s ../../../../../../../../etc/passwd up && ln -s . self
mkfifo fifo; ln -s fifo tofifo; touch {LONG}; mkdir /deep; cd /deep
i=0; while [ $i -lt 60 ]; do mkdir {"d" * 100} && cd {"d" * 100}; i=$((i+1)); done; touch bottom; cd /t
printf x >"$(printf 'a\\nb')"; printf y >"$(printf '\\377\\376')"; printf z >'../-rf';
mkdir shut; touch shut/in; chmod 0 shut
dd if=/dev/zero of=huge bs=1 count=1 seek=1099511627775 2>/dev/null; : >/done; sleep 1000
"""


def started(pod: Pod, image: str, script: str) -> None:
    pod("run", "-d", "--name", "evil", "--network", "none", image, "sh", "-c", script).ok()
    pod("exec", "evil", "sh", "-c", "until [ -e /done ]; do sleep 0.1; done").ok()


def test_cp_out_when_names_links_and_sizes_attack_then_a_true_copy_and_nothing_else(
    pod: Pod, busybox: str, tmp_path: Path
) -> None:
    started(pod, busybox, MAKE)
    pod("cp", "evil:/deep", str(tmp_path)).failed(1, "cp", "file name too long")
    pod("export", "-o", f"{tmp_path}/all.tar", "evil").ok()
    with tarfile.open(tmp_path / "all.tar") as tar:
        assert any(one.name.endswith("/bottom") and len(one.name) > 3500 for one in tar)
    target = tmp_path / "copy"
    pod("cp", "evil:/t", str(target)).ok()
    assert os.readlink(target / "abs") == "/etc/passwd"
    assert stat.S_ISFIFO((target / "fifo").lstat().st_mode)
    assert (target / LONG).exists()
    assert (target / "huge").stat().st_size == 1 << 40
    assert (target / "huge").stat().st_blocks < 4096
    assert (target / "a\nb").read_text() == "x"
    assert Path(os.fsdecode(os.fsencode(target) + b"/\xff\xfe")).read_text() == "y"
    assert stat.S_IMODE((target / "shut").stat().st_mode) == 0
    (target / "shut").chmod(0o700)
    assert (target / "shut/in").exists()
    pod("cp", "-L", "evil:/t/tofifo", f"{tmp_path}/followed").ok()
    assert stat.S_ISFIFO((tmp_path / "followed").lstat().st_mode)
    text = pod("cp", "-L", "evil:/t/up", f"{tmp_path}/up")
    text.ok()
    assert (tmp_path / "up").read_text() != Path("/etc/passwd").read_text()


def test_cp_when_magic_links_of_proc_lead_out_then_refused(pod: Pod, busybox: str, tmp_path: Path) -> None:
    started(pod, busybox, ": >/done; sleep 1000")
    (tmp_path / "f").write_text("x")
    for path in ("/proc/1/root/etc/passwd", "/proc/self/root/etc/passwd", "/proc/1/cwd/etc/passwd", "/proc/1/fd/0/x"):
        pod("cp", f"evil:{path}", str(tmp_path)).failed(1)
        pod("cp", f"{tmp_path}/f", f"evil:{path}/x").failed(1)
    assert [one.name for one in tmp_path.iterdir()] == ["f"]


def test_cp_out_when_a_file_changes_meanwhile_then_an_archive_that_can_be_read(
    pod: Pod, busybox: str, tmp_path: Path
) -> None:
    started(pod, busybox, "dd if=/dev/zero of=/f bs=1M count=8 2>/dev/null; : >/done;"
            " while :; do : >/f; dd if=/dev/zero of=/f bs=1M count=8 2>/dev/null; done")  # fmt: skip
    for number in range(4):
        pod("cp", "evil:/f", f"{tmp_path}/{number}").ok()
        assert (tmp_path / str(number)).stat().st_size <= 8 << 20
