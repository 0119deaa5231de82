"""Prepared starts: the third `run` of the same words needs no Python, does exactly what Python would do, and steps
aside as soon as anything it rests on is different (test_run_prepared_same.py, test_run_prepared_stale.py).
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.prepared import NO_PYTHON, SMALLEST, Prepared


def test_prepared_third_start_needs_no_python(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--network", "none", busybox, "echo")
    assert prepared.run(*words, "a").ok() == "a\n"
    assert [path.stat().st_size for path in prepared.files()] == [0]
    prepared.prime(*words, "b")
    assert prepared.run(*words, "c d", 'e"f\\\n\x7f', python=False).ok() == 'c d e"f\\\n\x7f\n'


def test_prepared_start_without_arguments_is_another_than_with(prepared: Prepared, busybox: str) -> None:
    prepared.prime("--rm", "-i", busybox, stdin=b"echo shell\n")
    assert prepared.run("--rm", "-i", busybox, stdin=b"echo again\n", python=False).ok() == "again\n"
    assert prepared.run("--rm", "-i", busybox, "cat", stdin=b"x", python=False).code == NO_PYTHON


def test_prepared_rm_leaves_nothing(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--network", "none", busybox, "true")
    prepared.prime(*words)
    for _ in range(5):
        prepared.run(*words, python=False).ok()
    assert prepared.pod.leftovers() == []


def test_prepared_name_in_use_is_told_by_python(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--name", "the_one", busybox, "sleep")
    prepared.prime(*words, "0")
    prepared.run(*words, "0", python=False).ok()
    prepared.pod("run", "-d", "--name", "the_one", busybox, "sleep", "1000").ok()
    prepared.run(*words, "0").failed(125, "Conflict", "the_one")


def test_prepared_missing_program_is_worded_as_ever(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox)
    prepared.prime(*words, "true")
    prepared.run(*words, "no-such-program").failed(127, "no-such-program", "hint:")


def test_prepared_words_beyond_ascii_go_to_python(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "echo")
    prepared.prime(*words, "a")
    assert prepared.run(*words, "\u00fc", python=False).code == NO_PYTHON
    assert prepared.run(*words, "\u00fc").ok() == "\u00fc\n"


def test_prepared_start_from_another_folder_works(prepared: Prepared, busybox: str, tmp_path: Path) -> None:
    words = ("--rm", busybox, "true")
    prepared.prime(*words)
    prepared.run(*words, python=False, cwd=tmp_path).ok()


@pytest.mark.parametrize("what", ["cidfile", "anonymous volume"])
def test_prepared_start_with_traces_elsewhere_is_never_recorded(
    prepared: Prepared, busybox: str, tmp_path: Path, what: str
) -> None:
    flags = ("--cidfile", str(tmp_path / "id")) if what == "cidfile" else ("-v", "/data")
    for _ in range(4):
        (tmp_path / "id").unlink(missing_ok=True)
        prepared.run("--rm", *flags, busybox, "true").ok()
        time.sleep(0.11)
    assert all(path.stat().st_size < SMALLEST for path in prepared.files())


def test_prepared_start_is_renewed_now_and_then(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "-e", "NUMBER", busybox, "true")
    file = prepared.prime(*words, env={"NUMBER": "0"})
    recorded = file.stat().st_ino
    for number in range(1, 4):
        prepared.run(*words, env={"NUMBER": str(number)}).ok()
    assert file.stat().st_ino == recorded  # recording at each start would cost more than it saves
    os.utime(file, (time.time() - 60, time.time() - 60))
    prepared.run(*words, env={"NUMBER": "4"}).ok()
    assert file.stat().st_ino != recorded
    prepared.run(*words, env={"NUMBER": "4"}, python=False).ok()


def test_prepared_reason_holds_for_an_hour(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "true")
    file = prepared.prime(*words)
    file.write_text("it was Monday")
    prepared.run(*words).ok()
    assert file.read_text() == "it was Monday"
    os.utime(file, (time.time() - 4000, time.time() - 4000))
    prepared.run(*words).ok()
    assert file.stat().st_size >= SMALLEST


def test_prepared_start_that_looked_what_the_host_can_do_is_recorded_the_next_time(
    prepared: Prepared, busybox: str
) -> None:
    words = ("--rm", busybox, "true")
    prepared.run(*words).ok()
    (prepared.pod.run_pointer() / "facts").unlink()  # as after a boot
    time.sleep(0.11)
    prepared.run(*words).ok()
    assert [path.read_bytes() for path in prepared.files()] == [b""]
    time.sleep(0.11)
    prepared.run(*words).ok()
    prepared.run(*words, python=False).ok()


def test_prepared_variable_of_the_helper_from_elsewhere_means_nothing(prepared: Prepared, busybox: str) -> None:
    for value in ("x", "rzz", "r0123456789abcdef/nowhere"):
        prepared.pod("container", "run", "--rm", busybox, "true", env={"POD_PREPARED": value}).ok()


def test_prepared_automatic_ids_are_never_recorded(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--userns", "auto", busybox, "true")
    if prepared.run(*words).code == 125:
        pytest.skip("capability sub-ids: this user has none")
    time.sleep(0.11)
    prepared.run(*words).ok()
    (file,) = prepared.files()
    assert "every start changes" in file.read_text()


def test_prepared_processors_are_chosen_for_each_start(prepared: Prepared, busybox: str) -> None:
    """Where no group holds --cpus: else all containers of a loop would be on the same one."""
    ours = sorted(os.sched_getaffinity(0))
    words = ("--rm", "--network", "none", "--cpus", "1", busybox)
    name = prepared.run("-d", *words, "sleep", "60").ok().strip()
    by = prepared.pod.inspect(name)["HostConfig"]["EnforcedBy"]
    if by.get("NanoCpus") != "affinity" or len(ours) == 1:
        pytest.skip("capability no control groups: there are some, or one processor alone")
    show = (*words, "sh", "-c", "echo $HOSTNAME; grep Cpus_allowed_list /proc/self/status")
    file = prepared.prime(*words, "true")
    seen = set()
    for _ in range(12):
        short, has = prepared.run(*show, python=False).ok().split("\n", 1)
        seen.add(int(has.split()[1]))
        assert int(has.split()[1]) == ours[int(short[:8], 16) % len(ours)]
    assert len(seen) > 1
    recorded = file.stat().st_ino
    os.utime(file, (time.time() - 60, time.time() - 60))
    os.sched_setaffinity(0, {ours[-1]})  # fewer than when it was recorded: asked anew
    try:
        assert prepared.run(*show).ok().split()[-1] == f"{ours[-1]}"
    finally:
        os.sched_setaffinity(0, ours)
    assert file.stat().st_ino != recorded


# ---- a file that is not what it should be


def test_prepared_file_of_others_or_behind_a_link_is_not_taken(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", busybox, "true")
    file = prepared.prime(*words)
    file.chmod(0o620)
    assert prepared.run(*words, python=False).code == NO_PYTHON
    file.chmod(0o600)
    prepared.run(*words, python=False).ok()
    elsewhere = file.rename(prepared.build / "elsewhere")
    file.symlink_to(elsewhere)
    assert prepared.run(*words, python=False).code == NO_PYTHON


def test_prepared_file_damaged_anywhere_never_crashes(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--network", "none", busybox, "true")
    file = prepared.prime(*words)
    whole = file.read_bytes()
    chance = random.Random(20261121)
    for number in range(120):
        data = bytearray(whole)
        if number % 4 == 0:
            del data[chance.randrange(len(data)) :]
        else:
            for _ in range(1 + number % 3):
                place = chance.randrange(len(data))
                data[place] = chance.randrange(256)
        file.write_bytes(data)
        done = prepared.run(*words, python=False)
        assert done.code == (0 if data == whole else NO_PYTHON), f"mutation {number}: {done!r}"
    prepared.forget()
    assert prepared.pod("ps", "-aq").ok() == ""


def test_prepared_start_killed_at_any_instant_leaves_what_can_be_cleaned(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--network", "none", busybox, "true")
    prepared.prime(*words)
    chance = random.Random(7)
    for _ in range(40):
        process = subprocess.Popen(
            prepared.pod.argv("run", *words), env=prepared.pod.environ(prepared.env), stdin=subprocess.DEVNULL
        )
        time.sleep(chance.uniform(0, 0.012))
        process.send_signal(signal.SIGKILL)
        process.wait(10)
    time.sleep(5.5)  # names without a container are given that long: their maker may be at work
    prepared.pod("ps", "-aq").ok()
    assert prepared.pod.leftovers() == []


def test_prepared_files_are_bounded(prepared: Prepared, busybox: str) -> None:
    starts = prepared.build / "starts"
    for number in range(300):
        (starts / f"{number:016x}").touch()
        os.utime(starts / f"{number:016x}", (number, number))
    for _ in range(4):
        prepared.run("--rm", busybox, "true").ok()
        time.sleep(0.11)
    assert len(prepared.files()) < 200
    prepared.run("--rm", busybox, "true", python=False).ok()
