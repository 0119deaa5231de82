"""The log on disk and read back: rotation, compression, following across both, attributes, what is refused."""

from __future__ import annotations

import functools
import gzip
import json
import os
import signal
import subprocess
import time
import zlib
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until

COUNT = 'i=0; while [ $i -lt {} ]; do i=$((i+1)); echo "line $i of text that is not very long"; done'


SMALL = ("--log-opt", "max-size=4k", "--log-opt", "max-file=9")


def folder(pod: Pod, name: str) -> Path:
    return Path(pod.inspect(name)["LogPath"]).parent


def gone(pid: int) -> bool:
    """Whether it has ended, reaped or not (proc(5), stat)."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] in "ZX"
    except (FileNotFoundError, ProcessLookupError):
        return True


def full_files(where: Path) -> list[Path]:
    """Oldest first."""
    found = [path for path in where.iterdir() if path.name.startswith("log.")]
    return sorted(found, key=lambda path: int(path.name.split(".")[1]))


def started(pod: Pod, busybox: str, script: str, *flags: str) -> str:
    pod("run", "-d", "--name", "logged", "--network", "none", *flags, busybox, "sh", "-c", script).ok()
    return "logged"


def numbers(text: str) -> list[int]:
    return [int(line.split()[1]) for line in text.splitlines()]


def test_log_is_dockers_format_and_capped_where_nothing_is_said(pod: Pod, busybox: str) -> None:
    size = 999 * 35_000
    pod.wait_for(started(pod, busybox, f"yes {'x' * 998} | head -c {size}; printf end"), "exited")
    where = folder(pod, "logged")
    files = [*full_files(where), where / "log"]
    assert len(files) == 3
    assert all(10_000_000 <= path.stat().st_size < 10_002_000 for path in files[:2])
    assert files[2].stat().st_size < 10_000_000
    first, *_, last = files[2].read_text().splitlines()
    record = json.loads(first)
    assert list(record) == ["log", "stream", "time"]
    assert (record["log"], record["stream"]) == ("x" * 998 + "\n", "stdout")
    assert json.loads(last)["log"] == "end"


def test_log_rotates_by_size_and_number_of_files(pod: Pod, busybox: str) -> None:
    flags = ("--log-opt", "max-size=20k", "--log-opt", "max-file=4")
    pod.wait_for(started(pod, busybox, COUNT.format(2000), *flags), "exited")
    where = folder(pod, "logged")
    files = full_files(where)
    assert len(files) == 3
    assert all(20_000 <= path.stat().st_size < 20_200 for path in files)
    whole = b"".join(path.read_bytes() for path in [*files, where / "log"])
    found = [json.loads(line)["log"] for line in whole.splitlines()]
    assert pod("logs", "logged").ok() == "".join(found)
    assert numbers("".join(found)) == list(range(2001 - len(found), 2001))
    for tail in (1, 5, 200, 500):
        assert numbers(pod("logs", "-n", str(tail), "logged").ok()) == list(range(2001 - tail, 2001))


def test_log_with_one_file_begins_anew(pod: Pod, busybox: str) -> None:
    flags = ("--log-opt", "max-size=20k", "--log-opt", "max-file=1")
    pod.wait_for(started(pod, busybox, COUNT.format(1000), *flags), "exited")
    assert full_files(folder(pod, "logged")) == []
    assert numbers(pod("logs", "logged").ok())[-1] == 1000


def test_logs_f_across_thousands_of_rotations_misses_nothing(pod: Pod, busybox: str) -> None:
    script = (
        "echo begun; until [ -e /go ]; do sleep 0.05; done;"
        " seq 100000 | sed 's/.*/line & is one of very many lines of this log/'"
    )
    started(pod, busybox, script, "--log-opt", "max-size=4k", "--log-opt", "max-file=2")
    followers = [
        subprocess.Popen(pod.argv("logs", "-f", "logged"), env=pod.environ(), stdout=subprocess.PIPE) for _ in range(2)
    ]
    for follower in followers:  # who has not begun to read when the first file goes has lost it
        assert follower.stdout is not None
        assert follower.stdout.readline() == b"begun\n"
    pod("exec", "logged", "touch", "/go").ok()
    expected = 0
    for number in range(1, 100001):
        expected = zlib.crc32(b"line %d is one of very many lines of this log\n" % number, expected)
    for follower in followers:
        out, _ = follower.communicate(timeout=60)
        assert (out.count(b"\n"), zlib.crc32(out)) == (100000, expected)
    last = int(full_files(folder(pod, "logged"))[-1].name.split(".")[1])
    assert last > 2000


def test_logs_f_by_ten_at_once_when_the_policy_starts_it_again_then_each_has_every_line(pod: Pod, busybox: str) -> None:
    script = "until [ -e /go ]; do sleep 0.05; done; seq 500; exit 1"
    started(pod, busybox, script, "--restart", "on-failure:1")
    followers = [
        subprocess.Popen(pod.argv("logs", "-f", "logged"), env=pod.environ(), stdout=subprocess.PIPE) for _ in range(10)
    ]
    pod("exec", "logged", "touch", "/go").ok()
    once = "".join(f"{number}\n" for number in range(1, 501)).encode()
    for follower in followers:
        assert follower.communicate(timeout=60)[0] == once + once
        assert follower.returncode == 0


def test_log_compresses_full_files_and_logs_read_them(pod: Pod, busybox: str) -> None:
    flags = ("--log-opt", "max-size=50k", "--log-opt", "max-file=5", "--log-opt", "compress=true")
    started(pod, busybox, COUNT.format(1500) + "; sleep 1000", *flags)
    where = folder(pod, "logged")
    until(lambda: [path.suffix for path in full_files(where)].count(".gz") >= 3, 20, "compressed files")
    pod("kill", "logged").ok()
    pod.wait_for("logged", "exited")
    files = full_files(where)
    for path in files:
        if path.suffix == ".gz":
            data = path.read_bytes()
            assert gzip.decompress(data).count(b"\n") > 100
            assert subprocess.run(["gzip", "-t", str(path)], check=False).returncode == 0
            assert len(data) < 10_000
    found = numbers(pod("logs", "logged").ok())
    assert found == list(range(found[0], 1501))
    assert len(found) > 700
    assert numbers(pod("logs", "--tail", "700", "logged").ok()) == list(range(801, 1501))


def test_log_driver_local_is_read_back_like_any(pod: Pod, busybox: str) -> None:
    pod.wait_for(started(pod, busybox, COUNT.format(10), "--log-driver", "local"), "exited")
    assert numbers(pod("container", "logs", "logged").ok()) == list(range(1, 11))


def test_logs_details_shows_labels_variables_and_the_tag(pod: Pod, busybox: str) -> None:
    flags = (
        "--label", "team=a b", "--label", "other=1", "-e", "WHERE=here&there", "--log-opt", "labels=team,none",
        "--log-opt", "env-regex=^WH", "--log-opt", "tag={{.Name}}/{{.ID}}",
    )  # fmt: skip
    pod.wait_for(started(pod, busybox, "echo out; echo err >&2", *flags), "exited")
    short = pod.inspect("logged")["Id"][:12]
    expected = f"WHERE=here%26there,tag=logged%2F{short},team=a+b"
    done = pod("logs", "--details", "logged")
    assert (done.out, done.err) == (f"{expected} out\n", f"{expected} err\n")
    stamp, details, text = pod("logs", "--details", "-t", "logged").out.split(" ")
    assert (details, text, stamp[-1], len(stamp)) == (expected, "out\n", "Z", 30)
    record = json.loads((folder(pod, "logged") / "log").read_text().splitlines()[0])
    assert list(record) == ["log", "stream", "attrs", "time"]
    assert record["attrs"] == {"WHERE": "here&there", "tag": f"logged/{short}", "team": "a b"}


def test_log_when_the_supervisor_is_killed_then_what_was_written_is_read_and_the_next_start_goes_on(
    pod: Pod, busybox: str
) -> None:
    """Killed at some moment of a rotation, or of a write: half a line is not read, and the next one stands apart."""
    script = 'i=0; while :; do i=$((i+1)); echo "line $i"; done'
    started(pod, busybox, script, "--log-opt", "max-size=4k", "--log-opt", "max-file=3")
    where = folder(pod, "logged")
    for round_ in range(3):
        until(lambda: len(full_files(where)) > 1, 20, "a rotation")
        time.sleep(0.02 * round_)
        state = json.loads((where / "state.json").read_text())
        supervisor = state["supervisor"]
        os.kill(supervisor, signal.SIGKILL)
        until(functools.partial(gone, supervisor), 20, "its end")  # a rename that it is in is still done
        with (where / "log").open("ab") as file:
            file.write(b'{"log":"half')
        found = numbers(pod("logs", "logged").ok())
        assert len(found) > 50
        assert all(after in (before + 1, 1) for before, after in zip(found, found[1:]))
        (where / "log").rename(where / f"log.{9000000 + round_}")  # as after the first step of a rotation
        pod("start", "logged").ok()
    pod("kill", "logged").ok()


@pytest.mark.parametrize("missing", ["log", "log.2"])
def test_logs_when_a_rotation_was_cut_then_the_rest_is_read(pod: Pod, busybox: str, missing: str) -> None:
    pod.wait_for(started(pod, busybox, COUNT.format(200), *SMALL), "exited")
    (folder(pod, "logged") / missing).unlink()
    found = numbers(pod("logs", "-f", "logged").ok())
    assert len(found) > 50
    pod("start", "-a", "logged").ok()
    assert numbers(pod("logs", "-n", "1", "logged").ok()) == [200]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--log-driver", "gelf"), ["log driver gelf", "syslog"]),
        (("--log-driver", "none", "--log-opt", "max-size=1m"), ["invalid logging opts for driver none"]),
        (("--log-opt", "max-size=abc"), ["failed to initialize logging driver: invalid size: 'abc'"]),
    ],
)
def test_run_when_a_log_option_is_wrong_then_dockers_words_and_nothing_is_left(
    pod: Pod, busybox: str, flags: tuple[str, ...], words: list[str]
) -> None:
    pod("run", "--name", "refused", *flags, busybox, "true").failed(125, *words)
    assert pod("ps", "-aq").ok() == ""


def test_run_when_the_configuration_names_driver_and_options_then_they_hold(pod: Pod, busybox: str) -> None:
    path = pod.home / ".config/pod/pod.toml"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text('log-driver = "local"\n[log-opts]\nmax-size = "5k"\nmax-file = "2"\n')
    try:
        started(pod, busybox, "true", "--log-opt", "max-file=3")
        pod("run", "--name", "other", "--log-driver", "json-file", busybox, "true").ok()
    finally:
        path.unlink()
    assert pod.inspect("logged")["HostConfig"]["LogConfig"] == {
        "Type": "local", "Config": {"max-size": "5k", "max-file": "3"},
    }  # fmt: skip
    assert pod.inspect("other")["HostConfig"]["LogConfig"] == {"Type": "json-file", "Config": {}}


def test_logs_f_of_one_that_is_removed_ends(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "gone", busybox, "sh", "-c", "while :; do echo x; sleep 0.1; done").ok()
    follower = pod.start("logs", "-f", "gone")
    assert follower.stdout is not None
    assert follower.stdout.readline() == b"x\n"
    pod("rm", "-f", "gone").ok()
    _, told = follower.communicate(timeout=30)
    assert (follower.returncode, told) == (0, b"")
