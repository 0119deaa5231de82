"""The emulator's filter, judged by an interpreter of its own."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from pod.core.runtime import seccomp, seccomp_bpf, seccomp_notify, seccomp_profile
from tests.support import bpf

ALLOW, DONE, EPERM, NOTIFY = 0x7FFF0000, 0x50000, 0x50001, 0x7FC00000
ABIS = [("x86_64", "x86_64"), ("x86_64", "i386"), ("aarch64", "aarch64"), ("aarch64", "arm")]
COOKIE = seccomp_notify.COOKIE
HEADER = Path(__file__).parents[4] / "ext/src/core/page.h"


def ask(machine: str, abi: str, name: str, *args: int, library: bool = False) -> int:
    """The filter's answer to the call; None where that ABI has no such call is the caller's to look at."""
    code = seccomp_notify.programs(machine)[library]
    return bpf.run(code, bpf.AUDIT[abi], seccomp_profile.numbers(abi)[name], args)


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_programs_when_checked_then_the_kernel_takes_them(machine, abi):
    for code in seccomp_notify.programs(machine):
        bpf.check(code)
        for number in (*range(600), 0x7FFFFFFF):
            assert bpf.steps(code, bpf.AUDIT[abi], number)[1] < 60


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_filter_when_ids_or_owners_change_then_it_waits_whatever_the_cookie(machine, abi):
    table = seccomp_profile.numbers(abi)
    names = [name for name in seccomp_notify._ALWAYS.split() if name in table]
    assert len(names) > 12
    for name in names:
        assert ask(machine, abi, name, 1, 2, 3, 4, 5, COOKIE) == NOTIFY


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_filter_when_the_cookie_is_there_then_reading_passes(machine, abi):
    table = seccomp_profile.numbers(abi)
    for name in [*seccomp_notify._UNLESS_COOKIE.split(), "newfstatat"]:
        if name in table:
            assert ask(machine, abi, name, 5, 2, 3, 0, 5, COOKIE) == ALLOW
            for wrong in (0, COOKIE & 0xFFFFFFFF, COOKIE ^ 1, COOKIE ^ 1 << 40):
                assert ask(machine, abi, name, 5, 2, 3, 0, 5, wrong) == NOTIFY


def test_filter_when_a_file_may_be_made_then_it_waits():
    for flags, want in (
        (0o1, ALLOW), (0o101, NOTIFY), (0o3000 | 0o100, NOTIFY), (0o20200000, NOTIFY), (0o200000, ALLOW),
        (1 << 40, ALLOW),
    ):  # fmt: skip
        assert ask("x86_64", "x86_64", "open", 0, flags) == want
        assert ask("aarch64", "aarch64", "openat", 0, 0, flags) == want


def test_filter_when_prctl_or_getsockopt_then_only_what_is_ours():
    for option, want in ((8, NOTIFY), (22, NOTIFY), (29, NOTIFY), (30, NOTIFY), (7, ALLOW), (15, ALLOW)):
        assert ask("x86_64", "x86_64", "prctl", option) == want
        passes = want == ALLOW or option == 30
        assert ask("x86_64", "x86_64", "prctl", option, 0, 0, 0, 0, COOKIE) == (ALLOW if passes else NOTIFY)
    assert ask("x86_64", "x86_64", "getsockopt", 3, 1, 17) == NOTIFY
    assert ask("x86_64", "x86_64", "getsockopt", 3, 1, 18) == ALLOW
    assert ask("x86_64", "x86_64", "getsockopt", 3, 6, 17) == ALLOW


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_filter_when_io_uring_then_refused(machine, abi):
    for name in ("io_uring_setup", "io_uring_enter", "io_uring_register"):
        assert ask(machine, abi, name) == EPERM


def test_filter_when_x32_then_there_is_no_such_call():
    code = seccomp_notify.programs("x86_64")[0]
    for number in (106, 4, 92, 102):
        assert bpf.run(code, bpf.AUDIT["x86_64"], 0x40000000 | number) == 0x50000 | 38


def test_fallback_when_there_is_no_listener_then_says_done():
    code = seccomp_notify.programs("x86_64")[2]
    table = seccomp_profile.numbers("x86_64")
    assert bpf.run(code, bpf.AUDIT["x86_64"], table["setuid"]) == DONE
    assert bpf.run(code, bpf.AUDIT["x86_64"], table["stat"]) == ALLOW


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_filter_when_a_program_confines_itself_then_it_waits(machine, abi):
    for operation, want in ((0, NOTIFY), (1, NOTIFY), (2, ALLOW), (3, ALLOW)):
        assert ask(machine, abi, "seccomp", operation, 0, 1) == want
    assert ask(machine, abi, "seccomp", 1, 0, 1, 0, 0, COOKIE) == ALLOW


def test_filter_when_a_library_looks_at_a_descriptor_then_it_passes():
    mapped, fixed, anywhere = 0x7F0000001000, 0x401000, 0x560000001000
    for path, flags, want in (
        (mapped, 0x1000, ALLOW), (fixed, 0x1000, NOTIFY), (anywhere, 0x1000, NOTIFY), (mapped, 0x1800, NOTIFY),
        (mapped, 0x1100, NOTIFY), (mapped, 0, NOTIFY),
    ):  # fmt: skip
        assert ask("x86_64", "x86_64", "newfstatat", 7, path, 0, flags, library=True) == want
        assert ask("x86_64", "x86_64", "newfstatat", 7, path, 0, flags) == NOTIFY


STRICTNESS = (0x80000000, 0, 0x30000, 0x50000, NOTIFY, 0x7FF00000, 0x7FFC0000, ALLOW)
"""Actions, the strictest first (seccomp(2))."""


def custom(machine: str) -> seccomp_profile.Profile:
    """Every kind of action, also for calls that are asked for, with and without conditions."""
    errno, trace, log, kill = 0x50000 | 13, 0x7FF00000, 0x7FFC0000, 0x80000000
    Rule = seccomp_profile.Rule
    rules = [
        Rule(("chown", "fchown", "execve"), errno),
        Rule(("stat", "statx", "fstat"), trace),
        Rule(("lchown", "mkdirat"), log),
        Rule(("mknodat",), kill),
        Rule(("getuid", "openat"), ALLOW, ((0, "GE", 4, 0), (5, "NE", 9, 0))),
        Rule(("prctl",), errno, ((0, "EQ", 8, 0),)),
        Rule(("prctl", "newfstatat", "seccomp"), ALLOW),
    ]
    arches = tuple(abi for known, abi in ABIS if known == machine)
    names = {name for rule in rules for name in rule.names}
    return seccomp_profile.Profile(0x50000 | 1, arches, rules, names)


@pytest.mark.parametrize(("machine", "abi"), ABIS)
@pytest.mark.parametrize("kind", ["default", "nesting", "custom"])
def test_filter_when_it_does_the_work_of_two_then_the_stricter_answer_of_both(machine, abi, kind):
    if kind == "custom":
        profile = custom(machine)
    else:
        profile = seccomp._resolved(machine, 0xA80425FB, kind == "nesting", None, (6, 18))
    alone = seccomp_bpf.compile_filter(machine, profile, ())
    pairs = [
        *zip(seccomp_notify.programs(machine)[:2], seccomp_notify.programs(machine, profile)[:2]),
        *zip(seccomp_notify.device_programs(machine), seccomp_notify.device_programs(machine, profile)),
    ]
    samples = [
        (0, 0, 0, 0, 0, 0), (7, 0x7F0000001000, 0, 0x1000, 0, 0), (8, 0o100, 0o100, 1, 2, COOKIE),
        (30, 17, 17, 3, 1, COOKIE), (1, 0o20000, 0o20000, 5, 5, 9), (3, 1, 17, 0, 0, 0),
    ]  # fmt: skip
    seen = set()
    for asking, both in pairs:
        bpf.check(both)
        assert len(both) < len(alone) + len(asking)
        for number in (*range(480), 1000, 0x40000002, 0xFFFFFFFF):
            for args in samples:
                each = [bpf.run(code, bpf.AUDIT[abi], number, args) for code in (alone, asking)]
                want = min(each, key=lambda action: STRICTNESS.index(action & 0xFFFF0000))
                assert bpf.run(both, bpf.AUDIT[abi], number, args) == want, (number, args)
                seen.add(want & 0xFFFF0000)
    assert {ALLOW, NOTIFY, 0x50000} <= seen
    assert kind != "custom" or len(seen) == 6


@pytest.mark.parametrize(("abi", "place"), [("i386", 0), ("arm", 1)])
def test_numbers_of_32_bit_calls_are_those_of_the_filter(abi, place):
    """The emulator's table (ext/src/emulator/numbers.c) knows every call that the filter hands over, by its number."""
    text = (HEADER.parents[1] / "emulator/numbers.c").read_text().split("compat[] = {")[1].split("#else")[place]
    found = {name: int(number) for name, number in re.findall(r"CALL\((\w+), (\d+), \w+, (?:16|32)\)", text)}
    table = seccomp_profile.numbers(abi)
    handed = {name for rule in seccomp_notify.RULES if rule.action == NOTIFY for name in rule.names if name in table}
    assert found == {name: table[name] for name in handed}


def test_cookie_is_that_of_the_helper():
    found = re.search(r"POD_COOKIE 0x([0-9a-f]+)ull", HEADER.read_text())
    assert found
    assert int(found[1], 16) == COOKIE
