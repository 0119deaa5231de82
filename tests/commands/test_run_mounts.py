"""Mounts of `pod run`: binds, tmpfs, volumes, the standard file systems."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.podcli import Pod


@pytest.fixture
def shared(pod: Pod) -> Path:
    folder = pod.base / "shared"
    if not folder.exists():
        folder.mkdir()
        (folder / "file").write_text("from the host\n")
    return folder


def test_run_v_binds_a_folder_both_ways(pod: Pod, busybox: str, shared: Path) -> None:
    script = "cat /data/file; echo back > /data/written"
    assert pod("run", "--rm", "-v", f"{shared}:/data", busybox, "sh", "-c", script).ok() == "from the host\n"
    written = shared / "written"
    assert written.read_text() == "back\n"
    assert written.stat().st_uid == os.getuid()
    written.unlink()


def test_run_v_ro_forbids_writing(pod: Pod, busybox: str, shared: Path) -> None:
    done = pod("run", "--rm", f"-v{shared}:/data:ro", busybox, "sh", "-c", "echo x > /data/never")
    assert done.code == 1
    assert "Read-only file system" in done.err
    assert not (shared / "never").exists()


def test_run_v_ro_covers_mounts_below(pod: Pod, busybox: str, shared: Path) -> None:
    done = pod("run", "--rm", "-v", f"{shared}:/data:ro", busybox, "mount", "-o", "remount,rw", "/data")
    assert done.code != 0


def test_run_v_binds_one_file(pod: Pod, busybox: str, shared: Path) -> None:
    script = "cat /etc/bound; test -f /etc/bound"
    assert pod("run", "--rm", "-v", f"{shared}/file:/etc/bound", busybox, "sh", "-c", script).ok() == "from the host\n"


def test_run_v_missing_source_is_made_as_docker_does(pod: Pod, busybox: str, shared: Path) -> None:
    source = shared / "made" / "deep"
    pod("run", "--rm", "-v", f"{source}:/data", busybox, "touch", "/data/x").ok()
    assert (source / "x").exists()
    tools.remove_tree(shared / "made")


def test_run_v_relative_target_is_refused(pod: Pod, busybox: str, shared: Path) -> None:
    pod("run", "--rm", "-v", f"{shared}:data", busybox, "true").failed(125, "data")


def test_run_v_bad_mode_is_refused(pod: Pod, busybox: str, shared: Path) -> None:
    pod("run", "--rm", "-v", f"{shared}:/data:sideways", busybox, "true").failed(125, "sideways")


def test_run_v_target_through_a_link_of_the_image_stays_inside(pod: Pod, busybox: str, shared: Path) -> None:
    """The image's own /bin/env-like links resolve in the container, never on the host."""
    script = "ls /data-by-link"
    arguments = ("-v", f"{shared}:/etc/../data-by-link")
    assert "file" in pod("run", "--rm", *arguments, busybox, "sh", "-c", script).ok()


@pytest.mark.sub_ids
def test_run_u_with_sub_ids_writes_as_a_sub_id(pod: Pod, busybox: str, shared: Path) -> None:
    area = shared / "open"
    area.mkdir()
    area.chmod(0o777)
    pod("run", "--rm", "-u", "1000", "-v", f"{area}:/data", busybox, "touch", "/data/mine").ok()
    ids = tools.sub_ids()
    assert ids is not None
    assert (area / "mine").stat().st_uid == ids[0] + 999
    tools.remove_tree(area)


def test_run_keep_id_writes_as_the_caller(pod: Pod, busybox: str, shared: Path) -> None:
    script = "id -u; touch /data/kept"
    done = pod("run", "--rm", "--userns", "keep-id", "-v", f"{shared}:/data", busybox, "sh", "-c", script)
    assert done.ok().strip() == str(os.getuid())
    assert (shared / "kept").stat().st_uid == os.getuid()
    (shared / "kept").unlink()


def test_run_tmpfs_takes_docker_options(pod: Pod, busybox: str) -> None:
    script = "grep ' /scratch ' /proc/mounts; stat -c %a /scratch; touch /scratch/x"
    text = pod("run", "--rm", "--tmpfs", "/scratch:size=1m,mode=1770", busybox, "sh", "-c", script).ok()
    assert "tmpfs" in text
    assert "size=1024k" in text
    assert "noexec" in text
    assert "1770" in text


def test_run_read_only_root(pod: Pod, busybox: str) -> None:
    script = "touch /x 2>&1; touch /dev/shm/ok /scratch/ok && echo writable"
    done = pod("run", "--rm", "--read-only", "--tmpfs", "/scratch", busybox, "sh", "-c", script)
    assert "Read-only file system" in done.out
    assert "writable" in done.out


def test_run_changes_stay_in_the_container(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", busybox, "sh", "-c", "rm /etc/group; echo x > /etc/passwd; mkdir /new").ok()
    assert pod("run", "--rm", busybox, "sh", "-c", "ls /etc/group; test ! -e /new").ok() == "/etc/group\n"


def test_run_shm_size(pod: Pod, busybox: str) -> None:
    line = pod("run", "--rm", "--shm-size", "32m", busybox, "df", "-k", "/dev/shm").ok().splitlines()[-1]
    assert line.split()[1] == "32768"


def test_run_shm_is_64_megabytes_unless_told(pod: Pod, busybox: str) -> None:
    line = pod("run", "--rm", busybox, "df", "-k", "/dev/shm").ok().splitlines()[-1]
    assert line.split()[1] == "65536"


def test_run_devices_work(pod: Pod, busybox: str) -> None:
    script = (
        "echo x > /dev/null && head -c 4 /dev/zero | wc -c && head -c 4 /dev/urandom | wc -c && ls /dev/pts /dev/mqueue"
        " && readlink /dev/fd; readlink /dev/stdin; head -c 1 /dev/full | wc -c"
    )
    words = pod("run", "--rm", busybox, "sh", "-c", script).ok().split()
    assert words.count("4") == 2
    assert "/proc/self/fd" in words


def test_run_device_is_bound(pod: Pod, busybox: str) -> None:
    script = "echo x > /dev/void && test -c /dev/void"
    pod("run", "--rm", "--device", "/dev/null:/dev/void", busybox, "sh", "-c", script).ok()


def test_run_masked_and_read_only_paths(pod: Pod, busybox: str) -> None:
    script = (
        "wc -c < /proc/keys; ls /proc/acpi /proc/scsi /sys/firmware 2>/dev/null | grep -v :"
        " ; echo 1 > /proc/sys/kernel/domainname; echo b > /proc/sysrq-trigger; true"
    )
    done = pod("run", "--rm", "--network", "none", busybox, "sh", "-c", script)
    assert done.out.split() == ["0"]
    assert "Read-only file system" in done.err or "can't create" in done.err


def test_run_privileged_does_not_mask(pod: Pod, busybox: str) -> None:
    script = "grep -c -e ' /proc/keys ' -e ' /proc/sys ' /proc/mounts"
    assert pod("run", "--rm", "--privileged", busybox, "sh", "-c", script).out.strip() == "0"


def test_run_the_hosts_root_is_gone(pod: Pod, busybox: str) -> None:
    text = pod("run", "--rm", busybox, "cat", "/proc/1/mountinfo").ok()
    assert all(not line.split()[4].startswith(("/home", "/work", "/var/tmp")) for line in text.splitlines())


def test_run_anonymous_volume_of_the_image_copies_up_and_goes_with_rm(pod: Pod) -> None:
    image = pod.image("configured:latest")
    script = "cat /srv/volume/from-image; grep -c ' /srv/volume ' /proc/mounts; echo x > /srv/volume/new"
    volumes = pod.root / "volumes"
    before = set(os.listdir(volumes)) if volumes.exists() else set()
    assert pod("run", "--rm", image, "sh", "-c", script).ok().splitlines()[1:] == ["copied up", "1"]
    assert set(os.listdir(volumes)) == before


def test_run_named_volume_keeps_what_is_written(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "-v", "kept-volume:/data", busybox, "sh", "-c", "echo kept > /data/x").ok()
    assert pod("run", "--rm", "-v", "kept-volume:/data", busybox, "cat", "/data/x").ok() == "kept\n"
