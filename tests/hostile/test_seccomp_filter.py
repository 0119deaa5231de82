"""The default filter attached for real: the ways round it that people have found stay shut."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from pod.core.runtime import defaults, seccomp, seccomp_profile

MACHINE = os.uname().machine
CAPS = defaults.resolve_caps([], [], False)
CHILD = Path(__file__).parents[1] / "support/seccomp_child.py"

pytestmark = pytest.mark.syscall_tables


def call_under_filter(tmp_path, calls, **options):
    code = seccomp.program(MACHINE, CAPS, **{"emulate_root": False, "nesting": False, **options})
    (tmp_path / "filter").write_bytes(code)
    command = [sys.executable, "-I", str(CHILD), str(tmp_path / "filter"), json.dumps(calls)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=20, check=True)
    return json.loads(done.stdout)


def native(name, *args):
    return [seccomp_profile.numbers(MACHINE)[name], *args]


def test_filter_when_namespaces_are_wanted_then_refused(tmp_path):
    calls = [
        native("unshare", 0x10000000),
        native("clone", 0x10000011, 0, 0, 0, 0),
        native("clone3", 0, 0),
        native("setns", 0, 0),
        native("getpid"),
    ]
    assert call_under_filter(tmp_path, calls) == ["EPERM", "EPERM", "ENOSYS", "EPERM", "ok"]


def test_filter_when_kernel_interfaces_are_probed_then_refused(tmp_path):
    names = ["io_uring_setup", "userfaultfd", "keyctl", "bpf", "perf_event_open", "kexec_load", "init_module", "mount"]
    assert call_under_filter(tmp_path, [native(name, 0, 0, 0) for name in names]) == ["EPERM"] * len(names)


def test_filter_when_sockets_reach_past_the_container_then_refused(tmp_path):
    calls = [native("socket", 40, 1, 0), native("socket", 38, 5, 0), native("socket", 40 | 1 << 32, 1, 0)]
    calls += [native("socket", 1, 1, 0), native("socketpair", 1, 1, 0, 0)]
    assert call_under_filter(tmp_path, calls)[:4] == ["EPERM", "EPERM", "EPERM", "ok"]


def test_filter_when_a_call_is_newer_than_it_then_enosys(tmp_path):
    assert call_under_filter(tmp_path, [[5000], [466 + 1]]) == ["ENOSYS", "ENOSYS"]


@pytest.mark.x86_64
def test_filter_when_another_abi_is_used_then_no_way_round(tmp_path):
    table = seccomp_profile.numbers("i386")
    calls = [
        [0x40000000 | 39],
        [0x40000000 | 272, 0x10000000],
        [512],
        ["i386", table["unshare"], 0x10000000],
        ["i386", table["socketcall"], 1, 0],
        ["i386", table["socket"], 40, 1],
        ["i386", table["clone3"], 0, 0],
        ["i386", table["io_uring_setup"], 1, 0],
        ["i386", table["getpid"]],
    ]
    answers = call_under_filter(tmp_path, calls)
    if answers[-1] == "ENOSYS":
        pytest.skip("this kernel has no 32-bit calls")
    assert answers == ["ENOSYS", "ENOSYS", "ENOSYS", "EPERM", "EPERM", "EPERM", "ENOSYS", "EPERM", "ok"]


def test_filter_when_root_is_emulated_then_ids_are_done_in_name_only(tmp_path):
    path = (str(tmp_path / "device") + "\0").encode()
    assert path
    calls = [
        native("setgroups", 1, 0),
        native("setuid", 12345),
        native("setresgid", 5, 5, 5),
        native("fchown", 0, 12345, 12345),
        native("mknodat", -100, 0, 0o20644, 259),
        native("mknodat", -100, 0, 0o10644, 0),
        native("unshare", 0x10000000),
    ]
    answers = call_under_filter(tmp_path, calls, emulate_root=True)
    assert answers == ["ok", "ok", "ok", "ok", "ok", "EFAULT", "EPERM"]


def test_filter_when_nesting_then_a_user_namespace_is_made(tmp_path):
    answers = call_under_filter(tmp_path, [native("clone3", 0, 0), native("setns", -1, 0)], nesting=True)
    assert answers == ["EINVAL", "EBADF"]
