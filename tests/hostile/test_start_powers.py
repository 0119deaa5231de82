"""Programs in a container that reach for more: the engine's program, descriptors, terminals, mounts, processes."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.support.crafted import Craft
from tests.support.podcli import Pod
from tests.support.terminal import Terminal

F_GET_SEALS, ALL_SEALS = 1034, 0xF
REFUSED = (
    "permission denied",
    "operation not permitted",
    "text file busy",
    "read-only file system",
    "invalid argument",
)


def refused(text: str) -> bool:
    return text.strip().lower() in REFUSED


@pytest.mark.parametrize("path", ["/proc/1/exe", "/proc/self/exe"])
@pytest.mark.parametrize("call", ["write", "truncate"])
def test_start_when_a_program_writes_the_engines_program_then_it_cannot(
    pod: Pod, probing: str, path: str, call: str
) -> None:
    """CVE-2019-5736: with --init process 1 is the helper."""
    assert refused(pod("run", "--rm", "--init", probing, "probe", call, path).ok())


def test_start_the_helper_is_a_sealed_copy(pod: Pod, probing: str) -> None:
    pod("run", "-d", "--init", "--name", "sealed", probing, "sleep", "100").ok()
    state = json.loads((pod.root / "containers" / pod.inspect("sealed")["Id"] / "state.json").read_text())
    for pid in (state["supervisor"], state["pid"]):
        path = f"/proc/{pid}/exe"
        with pytest.raises(OSError, match=r"denied|permitted|busy"):
            os.close(os.open(path, os.O_RDWR))
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except PermissionError:
            continue  # not dumpable: even its owner sees nothing of it
        assert fcntl.fcntl(descriptor, F_GET_SEALS) & ALL_SEALS == ALL_SEALS
        os.close(descriptor)


def test_start_when_a_program_reads_the_reaper_then_it_cannot(pod: Pod, probing: str) -> None:
    links = "for link in exe cwd fd/0 fd/1 fd/2 ns/mnt; do readlink /proc/1/$link; done"
    script = f"probe attach 1; probe write /proc/1/mem; {links}; cat /proc/1/environ /proc/1/maps 2>&1"
    done = pod("run", "--rm", "--init", probing, "sh", "-c", script)
    lines = done.out.splitlines()
    assert refused(lines[0]), done
    assert refused(lines[1]), done
    assert len(lines) == 4
    assert all("denied" in line for line in lines[2:]), done


def test_exec_when_the_container_watches_then_the_joining_process_shows_nothing(pod: Pod, probing: str) -> None:
    """CVE-2016-9962: between joining and its program, exec's process is neither traceable nor readable."""
    watch = (
        "while :; do for p in /proc/[0-9]*; do"
        " case $(cat $p/comm 2>/dev/null) in pod*)"
        " readlink $p/exe; readlink $p/fd/*; cat $p/environ;"
        " t=$(probe attach ${p#/proc/}); case $t$(cat $p/comm) in donepod*) echo traced;; esac;;"
        " esac; done 2>/dev/null; done"
    )
    pod("run", "-d", "--name", "watcher", probing, "sh", "-c", watch).ok()
    for _ in range(12):
        pod("exec", "watcher", "true").ok()
    seen = pod("logs", "watcher").ok()
    for trace in ("memfd", str(pod.base), "POD_ROOT", "traced"):
        assert trace not in seen


def test_start_when_the_caller_has_open_descriptors_then_none_is_in_the_container(
    pod: Pod, craft: Craft, outside: Path
) -> None:
    image = craft.make()
    pod("run", "--rm", image, "true").ok()
    descriptors = [os.open(outside, os.O_RDONLY), os.open(outside / "secret", os.O_RDONLY)]
    try:
        argv = pod.argv("run", "--rm", image, "sh", "-c", "ls -l /proc/*/fd; cat /proc/self/fd/*/secret")
        done = subprocess.run(
            argv, pass_fds=descriptors, env=pod.environ(), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=60, check=False,
        )  # fmt: skip
    finally:
        for descriptor in descriptors:
            os.close(descriptor)
    links = [line.partition(" -> ")[2] for line in done.stdout.splitlines() if " -> " in line]
    assert links
    assert all(link.startswith(("pipe:", "/dev/null", "/proc/")) for link in links), done.stdout
    assert "of the host" not in done.stdout


def test_start_when_a_program_truncates_its_output_then_the_callers_file_keeps_its_lines(
    pod: Pod, craft: Craft
) -> None:
    image = craft.make()
    pod("run", "--rm", image, "true").ok()
    path = pod.base / "appended"
    path.write_text("line before\n")
    with path.open("a") as file:
        script = "echo one; : > /proc/self/fd/1; : > /dev/stdout; echo two"
        argv = pod.argv("run", "--rm", image, "sh", "-c", script)
        subprocess.run(argv, stdout=file, stdin=subprocess.DEVNULL, env=pod.environ(), timeout=60, check=True)
    assert path.read_text().splitlines() == ["line before", "one", "two"]


@pytest.mark.parametrize("options", ["-t", "-it", "-i", ""])
def test_start_when_a_program_types_into_its_terminal_then_the_callers_shell_gets_nothing(
    pod: Pod, probing: str, options: str
) -> None:
    """CVE-2017-5226: TIOCSTI."""
    pod("run", "--rm", probing, "true").ok()
    words = [*pod.argv("run", "--rm"), *options.split(), probing, "probe", "sti", "-"]
    script = " ".join(f"'{word}'" for word in words) + '; IFS= read -r -t 1 -n 1 key; echo "got=[$key]"'
    terminal = Terminal(["/bin/bash", "-c", script], pod.environ(), rows=24, columns=80)
    try:
        assert terminal.expect(rb"got=\[(.*?)\]").group(1) == b""
    finally:
        terminal.close()


@pytest.mark.parametrize("how", ["run", "run -u", "exec", "exec -u", "privileged"])
def test_start_inheritable_and_ambient_capabilities_are_empty(pod: Pod, craft: Craft, how: str) -> None:
    """CVE-2022-24769, CVE-2022-29162."""
    image = craft.make()
    show = ("grep", "-E", "^Cap(Inh|Amb)", "/proc/self/status")
    if how.startswith("exec"):
        pod("run", "-d", "--name", "caps", image, "sleep", "100").ok()
        user = ("-u", "web") if how.endswith("-u") else ()
        text = pod("exec", *user, "caps", *show).ok()
    else:
        option = {"run": (), "run -u": ("-u", "web"), "privileged": ("--privileged",)}[how]
        text = pod("run", "--rm", *option, image, *show).ok()
    assert [int(line.split()[1], 16) for line in text.splitlines()] == [0, 0]


def test_start_masked_and_read_only_paths_hold(pod: Pod, probing: str) -> None:
    calls = [
        "umount /proc/kcore", "umount /proc/keys 2", "umount /proc/sys", "umount /sys/firmware 2", "umount /proc 2",
        "remount-rw /proc/sys", "remount-rw /sys", "mount /proc proc", "mount /tmp tmpfs", "mount /sys sysfs",
        "write /proc/sys/kernel/hostname", "write /proc/sysrq-trigger", "write /proc/sys/kernel/core_pattern",
        "write /sys/kernel/uevent_helper", "mount /tmp cgroup",
    ]  # fmt: skip
    lines = pod("run", "--rm", probing, "sh", "-c", "\n".join(f"probe {call}" for call in calls)).ok().splitlines()
    allowed = (*REFUSED, "no such file or directory")
    assert [(call, line) for call, line in zip(calls, lines) if line.lower() not in allowed] == []
    shown = pod("run", "--rm", probing, "sh", "-c", "cat /proc/keys /proc/timer_list /proc/kcore | wc -c").ok()
    assert shown == "0\n"


@pytest.mark.parametrize("option", ["--privileged", "--cap-add=SYS_ADMIN"])
def test_start_with_power_over_mounts_then_the_host_stays_the_hosts(
    pod: Pod, probing: str, outside: Path, option: str
) -> None:
    """CVE-2022-0492 (release_agent): a privileged container's root is still nobody outside."""
    before = Path("/proc/self/mountinfo").read_text()
    calls = [
        "write /proc/sys/kernel/core_pattern", "write /proc/sysrq-trigger", "write /sys/kernel/uevent_helper",
        "mount /tmp cgroup", "mount /tmp devtmpfs", "write /proc/sys/kernel/modprobe", "write /dev/kmsg",
    ]  # fmt: skip
    script = "\n".join(f"probe {call}" for call in calls)
    lines = pod("run", "--rm", option, probing, "sh", "-c", script).ok().splitlines()
    assert [(call, line) for call, line in zip(calls, lines) if line == "done"] == []
    pod("run", "--rm", option, probing, "sh", "-c", "probe umount / 2; probe mount / tmpfs; probe umount /proc 2").ok()
    assert Path("/proc/self/mountinfo").read_text() == before


def test_start_cgroup_files_are_not_writable(pod: Pod, probing: str) -> None:
    """CVE-2023-25809."""
    script = "for f in $(find /sys/fs/cgroup -maxdepth 1 -type f); do probe write $f; done | sort -u"
    assert "done" not in pod("run", "--rm", probing, "sh", "-c", script).ok()


def test_start_when_a_mount_target_is_swapped_meanwhile_then_nothing_leaves_the_root(
    pod: Pod, craft: Craft, outside: Path
) -> None:
    """CVE-2021-30465: another container turns the inner target into a link and back."""
    image = craft.make()
    swap = "cd /v; while :; do mkdir x; mv x y; ln -s / x; rm -f x; mv y x; rm -rf x; ln -s ../../.. x; rm -f x; done"
    pod("run", "-d", "--name", "swapper", "-v", "shared:/v", image, "sh", "-c", swap).ok()
    for _ in range(12):
        result = pod("run", "--rm", "-v", "shared:/v", "-v", f"{outside}:/v/x", image, "true")
        if result.code == 125:
            result.failed(125)
            continue
        assert not Path("/secret").exists()


def test_start_when_a_program_kills_everything_it_sees_then_the_host_lives(pod: Pod, craft: Craft) -> None:
    result = pod("run", "--rm", craft.make(), "sh", "-c", "kill -9 -1; kill -9 1; echo still", timeout=30)
    assert result.code in (0, 137)
