from __future__ import annotations

import ctypes
import ctypes.util
import os
import zlib

import pytest

from pod.core import paths
from pod.core.engine import Engine
from pod.core.errors import HostUnsupported
from pod.core.runtime import defaults, seccomp, seccomp_notify, seccomp_profile
from tests.support import bpf

ALLOW, EPERM, ENOSYS, DONE = 0x7FFF0000, 0x50001, 0x50026, 0x50000
KILL = 0x80000000
CAPS = defaults.resolve_caps([], [], False)
ABIS = [("x86_64", "x86_64"), ("x86_64", "i386"), ("aarch64", "aarch64"), ("aarch64", "arm")]
SYS_ADMIN = 1 << 21


def build(machine="x86_64", caps=CAPS, **more):
    options = {"emulate_root": False, "nesting": False, "kernel": (6, 1), **more}
    code = seccomp.program(machine, caps, **options)
    if code:
        bpf.check(code)
    return code


def ask(code, abi, name, *args):
    return bpf.run(code, bpf.AUDIT[abi], seccomp_profile.numbers(abi)[name], args)


@pytest.fixture(scope="session")
def libseccomp():
    name = ctypes.util.find_library("seccomp")
    if name is None:
        pytest.skip("libseccomp is not installed")
    return ctypes.CDLL(name)


def rules_by_name(document, machine, caps, kernel=(6, 1)):
    """The rules of a profile that apply, by the names they mention."""
    go_arch = {"x86_64": "amd64", "aarch64": "arm64"}[machine]
    held = {"CAP_" + cap for cap, bit in defaults.CAPABILITIES.items() if caps >> bit & 1}
    found = {}
    for rule in document["syscalls"]:
        includes, excludes = rule.get("includes", {}), rule.get("excludes", {})
        if "arches" in includes and go_arch not in includes["arches"]:
            continue
        if "minKernel" in includes and kernel < tuple(int(part) for part in includes["minKernel"].split(".")):
            continue
        if not set(includes.get("caps", ())) <= held or set(excludes.get("caps", ())) & held:
            continue
        for name in rule["names"]:
            found.setdefault(name, []).append(rule)
    return found


def expected(rules, args):
    """Docker's meaning of the rules about one call, told in the simplest way: a SECCOMP_RET value."""
    found = {
        ALLOW if rule["action"] == "SCMP_ACT_ALLOW" else 0x50000 | rule["errnoRet"]
        for rule in rules
        if all(bpf.holds(argument, args) for argument in rule.get("args", ()))
    }
    return min(found, default=EPERM)


@pytest.mark.parametrize(("machine", "abi"), ABIS)
@pytest.mark.parametrize("caps", [CAPS, CAPS | SYS_ADMIN, defaults.ALL_CAPS])
def test_program_when_asked_each_number_then_as_the_profile_says(machine, abi, caps):
    code = build(machine, caps)
    rules = rules_by_name(seccomp_profile.default_document(), machine, caps)
    table = seccomp_profile.numbers(abi)
    names = {number: name for name, number in table.items()}
    last = max(number for number in names if number < 0xF0000)
    samples = [(0,) * 6, (1, 0x2000) + (0,) * 4, (40,) + (0,) * 5, (1 << 32,) * 6, (0x10000000,) * 6, (0xFFFFFFFF,) * 6]
    for number in [*range(last + 1), *range(0xF0000, 0xF0008)]:
        for args in samples:
            want = expected(rules.get(names.get(number), ()), args)
            if want == EPERM and number > last:
                want = ENOSYS
            assert bpf.run(code, bpf.AUDIT[abi], number, args) == want, (names.get(number), args)


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_program_when_a_call_is_newer_than_the_profile_then_enosys(machine, abi):
    code = build(machine)
    last = seccomp_profile.numbers(abi)["removexattrat"]
    for number in (last + 1, last + 2, 1000, 0x3FFFFFFF):
        assert bpf.run(code, bpf.AUDIT[abi], number) == ENOSYS


@pytest.mark.parametrize("number", [0, 1, 59, 0x1FF, 512, 520, 0x3FFFFFFF, 0x7FFFFFFF])
def test_program_when_called_by_x32_then_refused(number):
    for profile in (None, {**seccomp.UNCONFINED, "defaultErrnoRet": 1}):
        code = build(profile=profile, emulate_root=True)
        assert bpf.run(code, bpf.AUDIT["x86_64"], 0x40000000 | number) == ENOSYS


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_program_when_a_tracer_skips_a_call_then_minus_one_passes(machine, abi):
    assert bpf.run(build(machine), bpf.AUDIT[abi], -1) == ALLOW


def test_program_when_the_architecture_is_foreign_then_killed():
    assert bpf.run(build(), bpf.AUDIT["aarch64"], 0) == KILL
    assert bpf.run(build("aarch64"), bpf.AUDIT["x86_64"], 0) == KILL
    assert bpf.run(build(), 0, 0) == KILL


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_program_when_a_user_namespace_is_wanted_then_refused_without_sys_admin(machine, abi):
    code = build(machine)
    assert ask(code, abi, "clone", 0x11) == ALLOW
    for flag in (0x20000, 0x2000000, 0x4000000, 0x8000000, 0x10000000, 0x20000000, 0x40000000):
        assert ask(code, abi, "clone", flag | 0x11) == EPERM
    assert ask(code, abi, "clone3", 0) == ENOSYS
    for name in ("unshare", "setns", "mount", "pivot_root", "keyctl", "bpf", "io_uring_setup", "userfaultfd"):
        assert ask(code, abi, name, 0x10000000) == EPERM


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_program_when_nesting_then_namespaces_and_mounts_are_allowed(machine, abi):
    code = build(machine, nesting=True)
    for name in ("clone", "clone3", "unshare", "setns", "mount", "umount2", "pivot_root", "keyctl", "fsopen"):
        assert ask(code, abi, name, 0x10000000, 0x10000000) == ALLOW
    for name in ("bpf", "perf_event_open", "io_uring_setup", "init_module", "kexec_load", "open_by_handle_at"):
        assert ask(code, abi, name) == EPERM


def test_program_when_sockets_are_made_then_only_of_listed_families():
    code = build()
    for family in range(64):
        want = ALLOW if family in seccomp_profile.SOCKET_FAMILIES else EPERM
        assert ask(code, "x86_64", "socket", family) == want
        assert ask(code, "i386", "socket", family) == want
        assert ask(code, "x86_64", "socket", family | 1 << 32) == EPERM
    assert 40 not in seccomp_profile.SOCKET_FAMILIES
    assert 38 not in seccomp_profile.SOCKET_FAMILIES
    assert ask(code, "i386", "socketcall", 1) == EPERM
    assert ask(code, "i386", "socketcall", 3) == ALLOW


def test_program_when_the_kernel_is_before_4_8_then_no_ptrace():
    assert ask(build(kernel=(4, 7)), "x86_64", "ptrace") == EPERM
    assert ask(build(kernel=(4, 8)), "x86_64", "ptrace") == ALLOW


@pytest.mark.parametrize(("machine", "abi"), ABIS)
@pytest.mark.parametrize("profile", [None, seccomp.UNCONFINED])
def test_program_when_root_is_emulated_then_ids_and_devices_are_answered_done(machine, abi, profile):
    code = build(machine, emulate_root=True, profile=profile)
    table = seccomp_profile.numbers(abi)
    for name in seccomp_profile._SET_IDS.split():
        if name in table:
            assert ask(code, abi, name, 5, 5, 5) == DONE
    for kind, want in ((0o020000, DONE), (0o060000, DONE), (0o100000, ALLOW), (0o010000, ALLOW), (0, ALLOW)):
        assert ask(code, abi, "mknodat", 0, 0, kind | 0o644) == want
        # umode_t has 16 bits: what lies above does not hide a device.
        assert ask(code, abi, "mknodat", 0, 0, kind | 1 << 32 | 1 << 20) == want
        if "mknod" in table:
            assert ask(code, abi, "mknod", 0, kind | 0o644) == want
    assert ask(code, abi, "getpid") == ALLOW


def test_program_when_unconfined_then_empty():
    assert build(profile=seccomp.UNCONFINED) == b""


def test_program_when_the_machine_has_no_table_then_says_so():
    with pytest.raises(HostUnsupported):
        build("riscv64")


@pytest.mark.parametrize(("machine", "abi"), ABIS)
def test_program_when_run_then_few_steps_for_any_number(machine, abi):
    code = build(machine)
    worst = max(bpf.steps(code, bpf.AUDIT[abi], number)[1] for number in range(600))
    assert worst <= 24


def test_program_when_profile_or_compiler_changes_then_the_revision_was_counted():
    sums = [
        zlib.crc32(build(machine, caps, emulate_root=True)) for machine in ("x86_64", "aarch64") for caps in (0, CAPS)
    ]
    assert (seccomp.REVISION, sums) == (4, [3707368936, 843805426, 2713776286, 4265442523])


@pytest.mark.parametrize(("abi", "token"), [(abi, audit) for abi, audit in bpf.AUDIT.items()])
def test_numbers_when_compared_with_libseccomp_then_the_same(libseccomp, abi, token):
    resolve = libseccomp.seccomp_syscall_resolve_num_arch
    resolve.restype = ctypes.c_void_p
    different = {}
    for name, number in seccomp_profile.numbers(abi).items():
        pointer = resolve(ctypes.c_uint32(token), number)
        theirs = ctypes.string_at(pointer).decode() if pointer else name
        if theirs != name:
            different[name] = theirs
    aliases = {"umount": "umount", "arm_sync_file_range": "sync_file_range2", "sync_file_range2": "arm_sync_file_range"}
    assert {name: theirs for name, theirs in different.items() if aliases.get(name) != theirs} == {}


@pytest.fixture
def engine(tmp_path):
    made = Engine({}, root=str(tmp_path / "store"))
    os.makedirs(made.paths.cache)
    return made


def log_profile(number):
    return {"defaultAction": "SCMP_ACT_ERRNO", "defaultErrnoRet": number}


def cache_file(engine):
    folder = engine.paths.cache + "/seccomp"
    (name,) = os.listdir(folder)
    return folder + "/" + name


@pytest.mark.syscall_tables
class TestCached:
    def test_cached_when_asked_twice_then_read_from_the_file(self, engine):
        first = seccomp.cached(engine, CAPS, emulate_root=True, nesting=False)
        before = os.stat(cache_file(engine)).st_ino
        assert seccomp.cached(engine, CAPS, emulate_root=True, nesting=False) == first
        assert os.stat(cache_file(engine)).st_ino == before
        assert first == seccomp.program(os.uname().machine, CAPS, emulate_root=True, nesting=False)

    def test_cached_when_any_byte_of_the_file_is_damaged_then_built_anew(self, engine):
        good = seccomp.cached(engine, CAPS, emulate_root=False, nesting=False)
        path = cache_file(engine)
        with open(path, "rb") as file:
            data = file.read()
        damaged = [data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :] for place in range(0, len(data), 97)]
        damaged += [b"", data[:-8], data[:100], data + b"\0" * 8, data[:-16] + data[-8:], b"\0" * len(data)]
        for bad in damaged:
            with open(path, "wb") as file:
                file.write(bad)
            assert seccomp.cached(engine, CAPS, emulate_root=False, nesting=False) == good

    def test_notify_filters_when_asked_twice_then_from_the_cache_unless_one_is_damaged(self, engine):
        all_three = seccomp.notify_filters(engine)
        assert all_three == seccomp_notify.programs(os.uname().machine)
        folder = engine.paths.cache + "/seccomp"
        names = sorted(os.listdir(folder))
        before = [os.stat(f"{folder}/{name}").st_ino for name in names]
        assert seccomp.notify_filters(engine) == all_three
        assert [os.stat(f"{folder}/{name}").st_ino for name in names] == before
        for name in names:
            os.truncate(f"{folder}/{name}", 50)
            assert seccomp.notify_filters(engine) == all_three

    def test_cached_when_a_file_is_put_under_another_key_then_not_taken(self, engine):
        seccomp.cached(engine, defaults.ALL_CAPS, emulate_root=False, nesting=True)
        weak = cache_file(engine)
        strong = weak.rpartition("/")[0] + "/" + seccomp._key(os.uname().machine, CAPS, False, False, None)
        os.rename(weak, strong)
        assert seccomp.cached(engine, CAPS, emulate_root=False, nesting=False) == seccomp.program(
            os.uname().machine, CAPS, emulate_root=False, nesting=False
        )

    def test_cached_when_inputs_differ_then_so_do_the_files(self, engine):
        for caps in (0, CAPS):
            for emulate in (False, True):
                for profile in (None, {"defaultAction": "SCMP_ACT_LOG"}, {"defaultAction": "SCMP_ACT_TRAP"}):
                    seccomp.cached(engine, caps, emulate_root=emulate, nesting=False, profile=profile)
        assert len(os.listdir(engine.paths.cache + "/seccomp")) == 12

    def test_cached_when_many_are_kept_then_the_folder_is_emptied(self, engine):
        for number in range(70):
            seccomp.cached(engine, 1 << 40, emulate_root=False, nesting=False, profile=log_profile(number))
        assert len(os.listdir(engine.paths.cache + "/seccomp")) <= 64

    def test_cached_when_nothing_can_be_written_then_still_answers(self, tmp_path):
        engine = Engine({}, root=str(tmp_path / "file" / "store"))
        (tmp_path / "file").write_text("no folder")
        assert seccomp.cached(engine, CAPS, emulate_root=False, nesting=False)

    def test_cached_when_unconfined_then_empty_and_no_file(self, engine):
        assert seccomp.cached(engine, CAPS, emulate_root=False, nesting=False, profile=seccomp.UNCONFINED) == b""
        assert not os.path.exists(engine.paths.cache + "/seccomp")


def test_paths_when_the_cache_is_named_then_it_lies_in_the_store():
    assert paths.Paths("/x").cache == "/x/cache"
