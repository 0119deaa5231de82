"""The kernel's own interfaces from inside: calls, /proc, /sys, handles, keys.

Whatever flags say, what a container gets from them is no more than its user has outside, but for what is the
container's own (its namespaces).
"""

from __future__ import annotations

import ctypes
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.podcli import Pod

EVERYTHING = (
    ("--cap-add", "ALL"),
    ("--privileged",),
    ("--privileged", "--pid", "host", "--network", "host", "--ipc", "host", "--uts", "host", "--userns", "host"),
)
FILTERED = {
    "bpf", "perf_event_open", "io_uring_setup", "userfaultfd", "keyctl", "add_key", "request_key", "kexec_load",
    "kexec_file_load", "init_module", "finit_module", "delete_module", "reboot", "swapon", "swapoff", "acct",
    "clock_settime", "syslog", "vhangup", "fanotify_init", "fsopen", "open_tree", "move_mount", "mount_setattr",
    "open_by_handle_at", "setns", "pivot_root", "quotactl", "iopl", "ioperm", "mknod",
}  # fmt: skip
OWN = {"fsopen", "open_tree", "move_mount", "mount_setattr", "setns", "pivot_root", "vhangup", "reboot"}
"""What a user namespace gives power over: mounts and namespaces of its own. vhangup is of the caller's own terminal,
reboot ends the container's own process 1."""
REFUSED = {1, 13, 38}
"""EPERM, EACCES, ENOSYS."""
OF_NAMESPACES = re.compile(
    r"/proc/sys/(net/|user/max_|kernel/(hostname|domainname|ns_last_pid|pid_max|keys/|shm|msg|sem|sched_|auto_msgmni)|fs/mqueue/|fs/binfmt_misc/)"
    r"|/proc/(self|thread-self)/"
    r"|/proc/(net|sysvipc)/|/sys/class/net/|/sys/devices/virtual/net/"
)
"""Files of /proc and /sys that the kernel has one of for each namespace, or that are of the opener itself."""

OF_TESTS = re.compile(r"/sys/fs/cgroup/[^/]+/pod-suite-[^/]+/tests-")
"""Control groups of tests that run beside these (grouped.Grouped): they come and go."""


def tried(text: str) -> dict[str, int]:
    """What `attack calls` printed: names to errno, 0 where it worked."""
    pairs = [line.split() for line in text.splitlines()]
    return {name: 0 if result == "done" else int(result) for name, result in pairs}


@pytest.fixture(scope="module")
def outside_calls(attack: Path) -> dict[str, int]:
    """What the user gets without any container."""
    return tried(subprocess.run([str(attack), "calls"], capture_output=True, text=True, timeout=60, check=True).stdout)


class OutsideFiles:
    """What the user may open without any container: looked at once, and again where something seems to be more."""

    def __init__(self, attack: Path) -> None:
        self._attack = attack
        self._known: dict[str, set[str]] = {}

    def _look(self, mode: str) -> set[str]:
        words = [str(self._attack), mode, "/proc", "/sys", "/dev"]
        done = subprocess.run(words, capture_output=True, text=True, timeout=60, check=True)
        return set(done.stdout.splitlines())

    def less(self, mode: str, told: set[str]) -> set[str]:
        """Those of ``told`` that are not among them."""
        if mode not in self._known:
            self._known[mode] = self._look(mode)
        left = {path for path in told - self._known[mode] if not OF_TESTS.match(path)}
        return left - self._look(mode) if left else left


@pytest.fixture(scope="module")
def outside_files(attack: Path) -> OutsideFiles:
    return OutsideFiles(attack)


def test_start_when_a_program_calls_the_kernel_then_the_filter_refuses(pod: Pod, attacking: str) -> None:
    found = tried(pod("run", "--rm", attacking, "attack", "calls").ok())
    assert {name: found[name] for name in FILTERED & set(found) if found[name] not in REFUSED} == {}
    assert {name for name, errno in found.items() if name.startswith("mount-") and not errno} == set()


@pytest.mark.parametrize("flags", EVERYTHING, ids=("caps", "privileged", "host"))
def test_start_when_all_flags_are_given_then_calls_do_no_more_than_the_users(
    pod: Pod, attacking: str, outside_calls: dict[str, int], flags: tuple[str, ...]
) -> None:
    """CVE-2022-0185 and its kin need the call; what the call gives needs the host's root."""
    found = tried(pod("run", "--rm", *flags, attacking, "attack", "calls").ok())
    reached = {name for name, errno in found.items() if (errno == 0 if "mount-" in name else errno not in REFUSED)}
    more = {name for name in reached if outside_calls[name] in REFUSED}
    assert more - OWN - (set() if "host" in flags else {"packet-socket"}) == set()


@pytest.mark.parametrize("flags", [(), *EVERYTHING], ids=("default", "caps", "privileged", "host"))
def test_start_when_a_program_opens_files_of_the_kernel_then_only_its_own_can_be_written(
    pod: Pod, attacking: str, outside_files: OutsideFiles, flags: tuple[str, ...]
) -> None:
    """core_pattern, modprobe, uevent_helper, sysrq-trigger, release_agent (CVE-2022-0492) and all others."""
    told = pod("run", "--rm", *flags, attacking, "attack", "writable", "/proc", "/sys").ok().splitlines()
    own = re.compile("/proc/sys/user/|/proc/(self|thread-self)/") if "host" in flags else OF_NAMESPACES
    assert outside_files.less("writable", {path for path in told if not own.match(path)}) == set()
    if not flags:
        assert [path for path in told if path.startswith(("/proc/sys/", "/sys/"))] == []
    else:
        assert told, "a container with all capabilities may write its own namespaces' files"


@pytest.mark.parametrize("flags", EVERYTHING, ids=("caps", "privileged", "host"))
def test_start_when_the_masks_are_taken_off_then_what_is_below_is_as_shut_as_outside(
    pod: Pod, attacking: str, outside_files: OutsideFiles, flags: tuple[str, ...]
) -> None:
    """/proc/kcore, /proc/kmsg, firmware, disks: who may unmount finds what the user may read without a container."""
    masks = "/proc/kcore /proc/keys /proc/timer_list /proc/latency_stats /proc/scsi /proc/acpi /sys/firmware /proc/sys"
    script = f"for mask in {masks}; do umount -l $mask; done 2>/dev/null; attack readable /proc /sys /dev"
    told = pod("run", "--rm", *flags, attacking, "sh", "-c", script).ok().splitlines()
    assert len(told) > 100
    # A /sys of one's own has the second hierarchy at its usual place, which a hybrid host keeps beside it; it begins
    # with the container's own cgroup, which has the files that this process's has.
    below = "/sys/fs/cgroup" if "host" in flags else str(tools.own_cgroup() or "/sys/fs/cgroup")
    seen = {path.replace("/sys/fs/cgroup", below, 1) for path in told if not OF_NAMESPACES.match(path)}
    assert outside_files.less("readable", seen) == set()


@pytest.mark.parametrize("flags", [(), *EVERYTHING], ids=("default", "caps", "privileged", "host"))
def test_start_when_a_program_opens_files_by_number_then_not_beyond_what_it_was_given(
    pod: Pod, attacking: str, outside: Path, flags: tuple[str, ...]
) -> None:
    """The "shocker": open_by_handle_at(2) from any file of a mounted file system, "/etc/shadow" being a number."""
    given = pod.base / "given"
    given.mkdir(exist_ok=True)
    numbers = f"2 128 {(outside / 'secret').stat().st_ino} {outside.stat().st_ino}"
    script = f"for number in {numbers}; do attack handle /given $number; attack handle /etc/hosts $number; done"
    told = pod("run", "--rm", *flags, "-v", f"{given}:/given", attacking, "sh", "-c", script).ok()
    assert told.count("handle ") == 8
    assert "handle done" not in told
    assert "of the host" not in told


@pytest.mark.parametrize("flags", [(), ("--privileged",)], ids=("default", "privileged"))
def test_start_when_a_program_has_a_terminal_then_not_the_machines_console(
    pod: Pod, attacking: str, flags: tuple[str, ...]
) -> None:
    """TIOCLINUX pastes a selection into whatever reads the console; TIOCCONS takes its output away."""
    terminal = pod.terminal("run", "--rm", "-t", *flags, attacking, "attack", "terminal")
    told = terminal.expect(rb"(selection .*keyboard [^\r\n]+)").group(1).decode()
    assert told.count("\n") == 3
    assert "done" not in told


def test_start_when_the_network_is_the_hosts_then_it_cannot_be_changed(pod: Pod, attacking: str) -> None:
    before = Path("/proc/net/dev").read_text().count(":"), Path("/sys/class/net/lo/flags").read_text()
    script = "ip link set lo down; ip addr add 192.0.2.1/32 dev lo; ip link add x type dummy; ip addr"
    told = pod("run", "--rm", "--network", "host", "--privileged", attacking, "sh", "-c", script).ok()
    assert "192.0.2.1" not in told
    assert (Path("/proc/net/dev").read_text().count(":"), Path("/sys/class/net/lo/flags").read_text()) == before


@pytest.fixture
def secret_key() -> Iterator[int]:
    """A key of the caller's, in its session's keyring and in that of its user; its serial number."""
    keys = ctypes.CDLL(None, use_errno=True).syscall
    add_key, keyctl = {"x86_64": (248, 250), "aarch64": (217, 219)}[os.uname().machine]
    assert keys(keyctl, 1, None) > 0 or ctypes.get_errno() in REFUSED  # a session keyring of this test's own
    serial = keys(add_key, b"user", b"pod-secret", b"of the host", 11, -3)
    if serial < 0:
        pytest.skip("capability keyrings: add_key(2) is refused here")
    keys(keyctl, 8, serial, -4)
    yield int(serial)
    keys(keyctl, 9, serial, -4)
    keys(keyctl, 3, serial)


@pytest.mark.parametrize("flags", [(), *EVERYTHING], ids=("default", "caps", "privileged", "host"))
def test_start_when_the_caller_has_keys_then_a_program_gets_none_of_them(
    pod: Pod, attacking: str, secret_key: int, flags: tuple[str, ...]
) -> None:
    script = f"attack key {secret_key}; echo; cat /proc/keys"
    told, _, shown = pod("run", "--rm", *flags, attacking, "sh", "-c", script).ok().partition("\n\n")
    assert {name for name, errno in tried(told).items() if not errno} <= ({"describe"} if flags else set())
    assert flags or "pod-secret" not in shown
