from __future__ import annotations

import errno
import os
import stat

import pytest

from pod.core import host, host_doctor, host_probe, statefile
from pod.core.engine import Engine


@pytest.fixture
def engine(tmp_path):
    store = tmp_path / "store"
    store.mkdir()
    return Engine({"PATH": "/usr/bin:/bin", "POD_RUN_DIR": str(tmp_path)}, root=str(store))


def facts(**changes):
    values = dict.fromkeys(host.Facts.__slots__, False)
    values.update(uid_ranges=[], gid_ranges=[], userns=True, idmap_kind="single", overlay="native", machine="x86_64")
    values.update(changes)
    return host.Facts(values)


def test_sub_ids_when_named_by_name_and_number_then_both_in_order(tmp_path):
    file = tmp_path / "subuid"
    file.write_text("other:1:1\nann:100000:65536\n1000:300000:10\nanna:5:5\n#ann:7:7\n")
    assert host_probe.sub_ids(str(file), 1000, "ann") == [(100000, 65536), (300000, 10)]


@pytest.mark.parametrize(
    "line",
    [
        "ann",
        "ann:",
        "ann:1",
        "ann:1:2:3",
        "ann:-1:5",
        "ann:0:5",
        "ann:5:0",
        "ann:4294967295:1",
        "ann:1:4294967295",
        "ann:1e5:10",
        "ann:٣:10",
        "ann:" + "9" * 5000 + ":1",
        "\x00:1:1",
        "",
        "::",
    ],
)
def test_sub_ids_when_a_line_makes_no_sense_then_passed_over(tmp_path, line):
    file = tmp_path / "subuid"
    file.write_text(f"{line}\nann:100000:10\n")
    assert host_probe.sub_ids(str(file), 1000, "ann") == [(100000, 10)]


def test_sub_ids_when_ranges_meet_then_the_first_counts(tmp_path):
    file = tmp_path / "subuid"
    file.write_text("ann:1000:100\nann:1050:100\nann:900:101\nann:1100:5\n")
    assert host_probe.sub_ids(str(file), 7, "ann") == [(1000, 100), (1100, 5)]


def test_sub_ids_when_the_file_is_missing_huge_or_binary_then_nothing_breaks(tmp_path):
    assert host_probe.sub_ids(str(tmp_path / "none"), 7, "ann") == []
    (tmp_path / "binary").write_bytes(os.urandom(4096) + b"\nann:5000:5\n")
    assert host_probe.sub_ids(str(tmp_path / "binary"), 7, "ann") == [(5000, 5)]
    (tmp_path / "many").write_text("".join(f"ann:{n * 10 + 10}:10\n" for n in range(2000)))
    assert len(host_probe.sub_ids(str(tmp_path / "many"), 7, "ann")) == host_probe.MAX_RANGES


def test_sub_ids_when_the_user_has_no_name_then_the_number_counts(tmp_path):
    file = tmp_path / "subuid"
    file.write_text(":5:5\n77:1000:5\n")
    assert host_probe.sub_ids(str(file), 77, "") == [(1000, 5)]


def test_getsubids_when_it_answers_then_its_ranges(tmp_path):
    program = tmp_path / "getsubids"
    program.write_text("#!/bin/sh\necho '0: ann 100000 65536'\necho nonsense\necho '1: ann x 5'\n")
    program.chmod(0o755)
    assert host_probe._ask_getsubids([str(program), "ann"]) == [(100000, 65536)]
    assert host_probe._ask_getsubids([str(tmp_path / "none"), "ann"]) == []


def test_find_program_when_only_a_folder_or_not_executable_then_passed_over(tmp_path):
    (tmp_path / "a/tool").mkdir(parents=True)
    (tmp_path / "b").mkdir()
    (tmp_path / "b/tool").write_text("")
    (tmp_path / "c").mkdir()
    (tmp_path / "c/tool").write_text("")
    (tmp_path / "c/tool").chmod(0o755)
    path = f"{tmp_path}/a:{tmp_path}/b:relative::{tmp_path}/c"
    assert host_probe.find_program("tool", path) == f"{tmp_path}/c/tool"
    assert host_probe.find_program("no-such-tool", path) == ""


def test_facts_when_written_and_read_then_the_same():
    before = facts(uid_ranges=[(5, 6)], overlay_reason="because")
    after = host.Facts(statefile.loads(statefile.dumps(before.as_dict())))
    assert after.as_dict() == before.as_dict()
    assert after.uid_ranges == [(5, 6)]


def test_facts_when_a_name_is_missing_then_refused():
    with pytest.raises(KeyError):
        host.Facts({"userns": True})


def test_load_when_asked_twice_then_the_record_is_taken(engine):
    first = host.load(engine)
    path = engine.run_dir + "/facts"
    if not first.userns:
        assert not os.path.exists(path)
        return
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    record = statefile.read(path)
    record["kernel"] = "from the record"
    statefile.write(path, record)
    assert host.load(engine).kernel == "from the record"


@pytest.mark.parametrize("content", ["", "{", "[]", '{"version": 1}', '{"version": 1, "key": "other"}', "\xff"])
def test_load_when_the_record_is_damaged_then_found_anew(engine, content):
    host.load(engine)
    with open(engine.run_dir + "/facts", "w", encoding="latin-1") as file:
        file.write(content)
    assert host.load(engine).kernel == os.uname().release


def test_load_when_the_record_lacks_names_then_found_anew(engine):
    host.load(engine)
    path = engine.run_dir + "/facts"
    statefile.write(path, {"version": 1, "key": host._key(host.process_status())})
    assert host.load(engine).kernel == os.uname().release


def test_load_when_restrictions_of_the_process_differ_then_the_key_does():
    status = host.process_status()
    assert status["NoNewPrivs"] in ("0", "1")
    assert host._key(status) != host._key({**status, "NoNewPrivs": "x"})


def test_trials_when_done_then_nothing_is_left(engine):
    found = host.probe_all(engine)
    assert not [name for name in os.listdir(engine.paths.cache) if name.startswith("probe")]
    assert not [name for name in os.listdir(engine.run_dir) if name.startswith("probe")]
    names = [fact.name for fact in found]
    assert len(names) == len(set(names))
    assert all(fact.level in ("ok", "limit", "stop") and fact.value and fact.proof for fact in found)


def test_trial_when_the_folder_cannot_be_made_then_says_so(tmp_path):
    (tmp_path / "file").write_text("")
    trial = host_probe.try_in("userns", str(tmp_path / "file/below"))
    assert not trial.ok
    assert trial.errno in (errno.ENOTDIR, errno.EEXIST)


def test_trial_when_unknown_then_einval(tmp_path):
    trial = host_probe.try_in("no such probe", str(tmp_path))
    assert (trial.ok, trial.errno, trial.step) == (False, errno.EINVAL, "PROBE")


@pytest.mark.parametrize(
    ("code", "word"),
    [
        (errno.ENOSPC, "limit"),
        (errno.EUSERS, "nested"),
        (errno.EINVAL, "built without"),
        (errno.ENOSYS, "built without"),
    ],
)
def test_why_no_userns_when_the_errno_tells_then_the_cause_is_named(code, word):
    cause, remedy = host_doctor.why_no_userns(host_probe.Trial(False, code), False)
    assert word in cause
    assert remedy


def test_why_no_userns_when_apparmor_restricts_then_its_sysctl_is_named():
    if host.process_status().get("Seccomp") == "2" or host_probe.sysctl("kernel/unprivileged_userns_clone") == "0":
        return
    _, remedy = host_doctor.why_no_userns(host_probe.Trial(False, errno.EPERM), True)
    assert "kernel.apparmor_restrict_unprivileged_userns=0" in remedy


def test_examine_when_user_namespaces_are_refused_then_run_cannot_work(engine):
    class Refused(host_probe.Trials):
        __slots__ = ()

        def __getitem__(self, name):
            return host_probe.Trial(False, errno.EPERM, "USERNS", "", "make a user namespace: refused (EPERM)")

    trials = Refused(engine)
    judged = host_probe.judge(engine, trials)
    assert (judged.userns, judged.idmap_kind, judged.overlay) == (False, "single", "flatten")
    stops = [fact for fact in host_doctor.examine(engine, trials, judged) if fact.level == "stop"]
    assert [fact.name for fact in stops] == ["user namespaces", "programs in memory"]
    assert stops[0].remedy


def test_file_system_when_asked_then_a_name():
    assert host_doctor.file_system("/proc/self") == "proc"
    assert host_doctor.file_system("/proc/self/nothing/below") == "proc"
    assert host_doctor.file_system("/") != "unknown"
