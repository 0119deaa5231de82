"""What a container's program may do: capabilities, seccomp, privileges."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.support.podcli import Pod

DEFAULT = 0xA80425FB
"""Docker's fourteen: chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot
mknod audit_write setfcap."""
NET_ADMIN, NET_RAW, SYS_PTRACE, CHOWN = 1 << 12, 1 << 13, 1 << 19, 1 << 0


def status(pod: Pod, *arguments: str) -> dict[str, str]:
    """The fields of /proc/self/status of a container's first program."""
    lines = pod("run", "--rm", *arguments, "cat", "/proc/self/status").ok().splitlines()
    return {key: value.strip() for key, _, value in (line.partition(":") for line in lines)}


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), DEFAULT),
        (("--cap-drop", "ALL"), 0),
        (("--cap-drop", "all", "--cap-add", "chown"), CHOWN),
        (("--cap-add", "NET_ADMIN"), DEFAULT | NET_ADMIN),
        (("--cap-add", "CAP_SYS_PTRACE", "--cap-drop", "net_raw"), (DEFAULT | SYS_PTRACE) & ~NET_RAW),
    ],
)
def test_run_capabilities_are_exactly_those(pod: Pod, busybox: str, options: tuple[str, ...], expected: int) -> None:
    fields = status(pod, *options, busybox)
    names = ("CapEff", "CapPrm", "CapBnd")
    assert {name: int(fields[name], 16) for name in names} == dict.fromkeys(names, expected)
    assert (int(fields["CapInh"], 16), int(fields["CapAmb"], 16)) == (0, 0)


@pytest.mark.parametrize("option", ["--privileged", "--cap-add=ALL"])
def test_run_all_capabilities(pod: Pod, busybox: str, option: str) -> None:
    last = int(Path("/proc/sys/kernel/cap_last_cap").read_text())
    assert int(status(pod, option, busybox)["CapEff"], 16) == (1 << (last + 1)) - 1


def test_run_user_has_no_effective_capabilities(pod: Pod, busybox: str) -> None:
    fields = status(pod, "-u", "web", busybox)
    assert int(fields["CapEff"], 16) == 0
    assert int(fields["CapPrm"], 16) == 0


def test_run_unknown_capability_is_said(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "--cap-add", "FLY", busybox, "true").failed(125, "FLY")


def test_run_seccomp_filter_is_on_unless_told(pod: Pod, busybox: str) -> None:
    assert status(pod, busybox)["Seccomp"] == "2"


@pytest.mark.sub_ids
def test_run_seccomp_unconfined(pod: Pod, busybox: str) -> None:
    assert status(pod, "--security-opt", "seccomp=unconfined", busybox)["Seccomp"] == "0"


def test_run_seccomp_refuses_what_docker_refuses(pod: Pod, busybox: str) -> None:
    done = pod("run", "--rm", busybox, "sh", "-c", "unshare -U true; mount -t tmpfs x /tmp; true")
    assert done.err.count("ermi") + done.err.count("not permitted") >= 2, done


def test_run_no_new_privileges(pod: Pod, busybox: str) -> None:
    assert status(pod, "--security-opt", "no-new-privileges", busybox)["NoNewPrivs"] == "1"


def test_run_unknown_security_option_is_said(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "--security-opt", "wishful=thinking", busybox, "true").failed(125, "wishful")


def test_run_gets_no_power_over_the_host(pod: Pod, busybox: str) -> None:
    """Root of the container is nobody special outside: it cannot read what the caller cannot."""
    done = pod("run", "--rm", "-v", "/etc:/host-etc:ro", busybox, "cat", "/host-etc/shadow")
    assert done.code != 0
    assert "Permission denied" in done.err


def test_run_root_may_chown_and_chmod(pod: Pod, busybox: str) -> None:
    script = "touch /x && chown 5:6 /x && chmod 4711 /x && stat -c %a /x"
    assert pod("run", "--rm", busybox, "sh", "-c", script).ok() == "4711\n"


@pytest.mark.sub_ids
def test_run_with_sub_ids_owners_are_real(pod: Pod, busybox: str) -> None:
    script = "touch /x && chown 5:6 /x && stat -c %u:%g /x"
    assert pod("run", "--rm", busybox, "sh", "-c", script).ok() == "5:6\n"
