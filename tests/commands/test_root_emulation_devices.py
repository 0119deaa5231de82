"""Devices made in a container: an empty file that is recorded, with one id and with sub-ids."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.support.podcli import Pod

FULL = "--root-emulation=full"
MADE = """
    umask 027; mknod /d c 1 3; mknod -m 600 /b b 8 1; mkdir -m 2777 /g; chgrp 44 /g; mknod /g/x c 5 1; mknod /p p
    mknod /d c 1 3 2>&1 || true; mknod /nowhere/d c 1 3 2>&1 || true
    chown 11:12 /b
"""
SHOW = "stat -c '%n %u:%g %F %t:%T %a' /d /b /g/x /p"
SHOWN = [
    "/d 0:0 character special file 1:3 640",
    "/b 11:12 block special file 8:1 600",
    "/g/x 0:44 character special file 5:1 640",
    "/p 0:0 fifo 0:0 640",
]
REFUSED = ["mknod: /d: File exists", "mknod: /nowhere/d: No such file or directory"]


def test_full_when_devices_are_made_then_stat_shows_them(pod: Pod) -> None:
    argv = ("run", "--rm", FULL, "-v", "devices:/v", pod.image("debian:12"), "sh", "-ec")
    script = f"{MADE} {SHOW}; cd /v; mknod x c 1 5; cp -a /d /v/; stat -c '%F %t:%T' x d; ls -l /d | cut -c1-10"
    assert pod(*argv, script).ok().splitlines() == [
        *REFUSED, *SHOWN, "character special file 1:5", "character special file 1:3", "crw-r-----",
    ]  # fmt: skip
    assert pod(*argv, "stat -c '%F %t:%T' /v/x; rm /v/x; touch /v/x; stat -c %F /v/x").ok().splitlines() == [
        "character special file 1:5",
        "regular empty file",
    ]


def test_auto_when_devices_are_made_then_they_are_recorded_and_the_next_start_shows_them(pod: Pod) -> None:
    script = f"if [ -e /d ]; then {SHOW}; else {MADE}\nfi"
    pod("create", "--name", "devices", pod.image("debian:12"), "sh", "-ec", script).ok()
    try:
        assert pod("start", "-a", "devices").ok().splitlines() == REFUSED
        assert pod("start", "-a", "devices").ok().splitlines() == SHOWN
    finally:
        pod("rm", "-f", "devices").ok()


def test_auto_when_exec_makes_devices_then_the_next_exec_shows_them(pod: Pod) -> None:
    pod("run", "-d", "--name", "devices", pod.image("debian:12"), "sleep", "300").ok()
    try:
        assert pod("exec", "devices", "sh", "-ec", MADE).ok().splitlines() == REFUSED
        assert pod("exec", "devices", "sh", "-ec", SHOW).ok().splitlines() == SHOWN
        assert pod("exec", "-u", "33", "devices", "mknod", "/tmp/x", "c", "1", "3").code == 1
    finally:
        pod("rm", "-f", "devices").ok()


@pytest.mark.sub_ids
@pytest.mark.parametrize(
    "options",
    [
        ("--root-emulation=off",),
        ("--cap-drop", "MKNOD"),
        ("--security-opt", "nesting"),
        ("--security-opt", "seccomp=unconfined"),
    ],
)
def test_devices_when_not_to_be_recorded_then_the_kernel_refuses(pod: Pod, options: tuple[str, ...]) -> None:
    result = pod("run", "--rm", *options, pod.image("debian:12"), "sh", "-c", "mknod /d c 1 3; ls /d")
    assert "Operation not permitted" in result.err
    assert result.code == 2


@pytest.mark.sub_ids
def test_devices_when_the_profile_is_the_users_then_there_is_one_filter_more(
    pod: Pod, busybox: str, tmp_path: Path
) -> None:
    """It may refuse what a process does between the listener and the program."""
    profile = tmp_path / "profile.json"
    refused = '{"names": ["chdir"], "action": "SCMP_ACT_ERRNO"}'
    profile.write_text(f'{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{refused}]}}')
    own = ("--security-opt", f"seccomp={profile}")
    script = "grep Seccomp_filters /proc/self/status; cd /tmp || echo refused; mknod /n b 8 1; stat -c %F /n"
    for options, found in (
        ((), ["1", "regular empty file"]),
        ((FULL,), ["1", "block special file"]),
        (own, ["1", "refused"]),
        ((*own, FULL), ["2", "refused", "block special file"]),
        (("--security-opt", "seccomp=unconfined", FULL), ["1", "block special file"]),
    ):
        lines = pod("run", "--rm", *options, "-w", "/var", busybox, "sh", "-c", script).out.splitlines()
        assert [lines[0].split()[1], *lines[1:]] == found


@pytest.mark.sub_ids
def test_devices_when_an_attribute_is_forged_then_it_is_no_owner_and_no_right(pod: Pod) -> None:
    """With real ids the record says only what a device looks like."""
    if os.uname().machine != "x86_64":
        pytest.skip("capability x86_64: the number of setxattr")
    set_it = """perl -e '($f, $n, $v) = @ARGV; syscall(188, $f, $n, $v, length $v, 0) == 0 or die $!' """
    script = f"""
        touch /f; {set_it} /f user.pod.owner 5:6; stat -c '%u:%g %F' /f
        echo x > /g; {set_it} /g user.pod.owner 0:0:b:8:1; cat /g
    """
    argv = ("run", "--rm", FULL, pod.image("debian:12"), "sh", "-ec", script)
    assert pod(*argv).ok().splitlines() == ["0:0 regular empty file", "x"]
