"""Profiles that people hand in: whatever they hold, the answer is a filter that does as it says, or one line."""

from __future__ import annotations

import json
import os
import random
import time

import pytest

from pod.core.errors import PodError, UsageError
from pod.core.runtime import defaults, seccomp, seccomp_profile
from tests.support import bpf

CAPS = defaults.resolve_caps([], [], False)
ALLOW = 0x7FFF0000
X86 = bpf.AUDIT["x86_64"]


def build(document):
    code = seccomp.program("x86_64", CAPS, emulate_root=False, nesting=False, profile=document, kernel=(6, 1))
    bpf.check(code)
    return code


def rule(**more):
    return {"names": ["read"], "action": "SCMP_ACT_ALLOW", **more}


def profile(*rules, **more):
    return {"defaultAction": "SCMP_ACT_ERRNO", "syscalls": list(rules), **more}


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "not a JSON document"),
        ("{", "seccomp profile failed"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("[" * 100_000, "nested too deep"),
        ("\xff", "seccomp profile failed"),
        ('{"a": NaN}', "NaN"),
    ],
)
def test_load_profile_when_it_is_no_document_then_refused(tmp_path, text, reason):
    path = tmp_path / "profile.json"
    path.write_bytes(text.encode("latin-1"))
    with pytest.raises(UsageError, match=reason):
        seccomp.load_profile(str(path))


def test_load_profile_when_missing_or_no_file_then_refused(tmp_path):
    os.mkfifo(tmp_path / "fifo")
    for name, reason in (("none", "no such file"), (".", "is a directory"), ("fifo", "not a JSON document")):
        with pytest.raises(UsageError, match=reason):
            seccomp.load_profile(str(tmp_path / name))


def test_load_profile_when_a_field_is_wrong_then_file_and_field_are_named(tmp_path):
    path = tmp_path / "profile.json"
    path.write_text('{"defaultAction": "SCMP_ACT_WHAT"}')
    with pytest.raises(UsageError) as caught:
        seccomp.load_profile(str(path))
    assert caught.value.message == f"security option: seccomp={path}: defaultAction: unknown action 'SCMP_ACT_WHAT'"


def test_load_profile_when_larger_than_the_limit_then_refused(tmp_path):
    path = tmp_path / "big"
    with path.open("wb") as file:
        file.truncate(10 << 30)
    with pytest.raises(UsageError, match="more than 4 MiB"):
        seccomp.load_profile(str(path))


@pytest.mark.parametrize(
    ("document", "reason"),
    [
        ({}, "defaultAction: no action given"),
        ({"defaultAction": 5}, "defaultAction: not a string"),
        ({"defaultAction": "SCMP_ACT_MAYBE"}, "unknown action 'SCMP_ACT_MAYBE'"),
        ({"defaultAction": "SCMP_ACT_NOTIFY"}, "listener"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": 70000}, "no errno"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": -1}, "no errno"),
        ({"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": True}, "not a whole number"),
        (profile(architectures=["A"], archMap=[{}]), "use either"),
        (profile(architectures="A"), "architectures: not a list"),
        (profile(archMap=[3]), "archMap"),
        (profile(rule(name="write")), "use either"),
        (profile({"action": "SCMP_ACT_ALLOW"}), "no system call is named"),
        (profile(rule(names="read")), "names: not a list"),
        (profile(rule(names=[1])), "names: not a list of strings"),
        (profile(5), r"syscalls\[0\]: not an object"),
        (profile(rule(args=[{"index": 6, "op": "SCMP_CMP_EQ"}])), "index: 6"),
        (profile(rule(args=[{"index": -1, "op": "SCMP_CMP_EQ"}])), "index: -1"),
        (profile(rule(args=[{"index": 0, "op": "SCMP_CMP_SORT"}])), "unknown operator"),
        (profile(rule(args=[{"index": 0, "value": 1 << 64, "op": "SCMP_CMP_EQ"}])), "unsigned 64-bit"),
        (profile(rule(args=[{"index": 0, "value": -1, "op": "SCMP_CMP_EQ"}])), "unsigned 64-bit"),
        (profile(rule(args=[{"index": 0, "value": 1.5, "op": "SCMP_CMP_EQ"}])), "not a whole number"),
        (profile(rule(includes={"minKernel": "six"})), "MAJOR.MINOR"),
        (profile(rule(includes={"minKernel": "9" * 5000 + ".1"})), "MAJOR.MINOR"),
        (profile(rule(includes=[])), "includes: not an object"),
        (profile(rule(errnoRet=9999, action="SCMP_ACT_ERRNO")), "no errno"),
    ],
)
def test_program_when_a_field_is_wrong_then_named(document, reason):
    with pytest.raises(UsageError, match=reason):
        build(document)


def test_program_when_rules_are_without_number_then_refused_in_time():
    flood = [rule(args=[{"index": 0, "value": 2 * n, "op": "SCMP_CMP_NE"}]) for n in range(20_000)]
    start = time.monotonic()
    with pytest.raises(UsageError, match="too large"):
        build(profile(*flood))
    names = [rule(names=["read"] * 30_000, args=[{"index": 0, "op": "SCMP_CMP_EQ"}]) for _ in range(3)]
    build(profile(*names))
    assert time.monotonic() - start < 20


def test_program_when_names_are_unknown_then_passed_over():
    code = build(profile(rule(names=["nothing", "read", "x" * 4000, ""])))
    assert bpf.run(code, X86, 0) == ALLOW
    assert bpf.run(code, X86, 1) == 0x50026


def test_program_when_other_abis_are_not_named_then_killed():
    assert bpf.run(build(profile(rule())), bpf.AUDIT["i386"], 3) == 0x80000000
    both = build(profile(rule(), architectures=["SCMP_ARCH_X86", "SCMP_ARCH_X32", "SCMP_ARCH_VAX"]))
    assert bpf.run(both, bpf.AUDIT["i386"], 3) == ALLOW


def test_program_when_rules_contradict_then_the_strictest_decides():
    code = build(profile(rule(), rule(action="SCMP_ACT_KILL_PROCESS"), rule(action="SCMP_ACT_ERRNO", errnoRet=5)))
    assert bpf.run(code, X86, 0) == 0x80000000
    low = {"index": 0, "value": 10, "op": "SCMP_CMP_LT"}
    code = build(profile(rule(), rule(action="SCMP_ACT_ERRNO", errnoRet=5, args=[low])))
    assert [bpf.run(code, X86, 0, (n,)) for n in (9, 10)] == [0x50005, ALLOW]


def test_program_when_the_default_allows_then_newer_calls_pass():
    code = build({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [rule(action="SCMP_ACT_TRAP")]})
    assert [bpf.run(code, X86, n) for n in (0, 1, 9999)] == [0x30000, ALLOW, ALLOW]


def random_profile(dice):
    names = ["read", "write", "open", "close", "stat", "socket", "removexattrat", "prctl", "mystery"]
    actions = ["ALLOW", "KILL", "KILL_PROCESS", "TRAP", "ERRNO", "TRACE", "LOG"]
    values = [0, 1, 2, 0xFFFFFFFF, 1 << 32, (1 << 32) + 1, 1 << 63, (1 << 64) - 1]
    rules = []
    for _ in range(dice.randrange(12)):
        entry = {"names": dice.sample(names, dice.randrange(1, 4)), "action": "SCMP_ACT_" + dice.choice(actions)}
        entry["args"] = [
            {
                "index": dice.randrange(3),
                "value": dice.choice(values),
                "valueTwo": dice.choice(values),
                "op": "SCMP_CMP_" + dice.choice(["EQ", "NE", "LT", "LE", "GT", "GE", "MASKED_EQ"]),
            }
            for _ in range(dice.randrange(4))
        ]
        rules.append(entry)
    return {"defaultAction": "SCMP_ACT_" + dice.choice(actions), "syscalls": rules}, values


STRICT = [0x80000000, 0, 0x30000, 0x50001, 0x7FF00001, 0x7FFC0000, ALLOW]


def meaning(document, name, args):
    """The strictest matching rule, told naively."""
    values = {
        "KILL": 0, "KILL_PROCESS": 0x80000000, "TRAP": 0x30000, "ERRNO": 0x50001,
        "TRACE": 0x7FF00001, "LOG": 0x7FFC0000, "ALLOW": ALLOW,
    }  # fmt: skip
    default = values[document["defaultAction"][9:]]
    found = []
    for entry in document["syscalls"]:
        action = values[entry["action"][9:]]
        if name not in entry["names"] or action == default:
            continue
        truths = [bpf.holds(argument, args) for argument in entry["args"]]
        single = len({argument["index"] for argument in entry["args"]}) == len(truths)
        if all(truths) if single else any(truths):
            found.append(action)
    return min(found, key=STRICT.index, default=default)


@pytest.mark.parametrize("seed", range(60))
def test_program_when_profiles_are_random_then_as_told_naively(seed):
    dice = random.Random(seed)
    document, values = random_profile(dice)
    code = build(document)
    table = seccomp_profile.numbers("x86_64")
    last = max((table[n] for entry in document["syscalls"] for n in entry["names"] if n in table), default=1 << 40)
    for _ in range(120):
        name = dice.choice(["read", "write", "open", "close", "stat", "socket", "removexattrat", "prctl", "getpid"])
        args = tuple(dice.choice(values) for _ in range(6))
        want = meaning(document, name, args)
        if table[name] > last and document["defaultAction"] != "SCMP_ACT_ALLOW":
            want = 0x50026
        assert bpf.run(code, X86, table[name], args) == want, (name, args, json.dumps(document))


@pytest.mark.parametrize("seed", range(40))
def test_program_when_a_profile_is_mangled_then_a_filter_or_one_line(seed):
    dice = random.Random(seed)
    data = bytearray(json.dumps(seccomp_profile.default_document()).encode())
    for _ in range(dice.randrange(1, 20)):
        data[dice.randrange(len(data))] = dice.randrange(256)
    message = ""
    try:
        build(seccomp_profile.parse(bytes(data), "test", 1 << 22))
    except PodError as error:
        message = error.message
    assert "\n" not in message
    assert len(message) < 300
