"""The walls around unpacking: a reader of archives that tries to get out, and the real one seen from outside."""

from __future__ import annotations

import errno
import gzip
import os
import select
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pod.ext import layer
from pod.ext.errors import StepError
from tests.ext.unpacking import END, file, folder, hardlink

SOURCES = Path(__file__).parents[2] / "ext/src/core"
NAMES = ("err", "sandbox", "sandbox_calls", "confine", "userns", "plan")
FILTERED = Path(__file__).parents[1] / "support/filtered.py"
ROOT, LANDLOCK, CALLS = 1, 2, 4
WITHOUT = {
    "all walls": ("", ROOT | LANDLOCK | CALLS),
    "no landlock": ("deny:landlock_create_ruleset", ROOT | CALLS),
    "no root": ("deny:chroot=1", LANDLOCK | CALLS),
    "no user namespace": ("deny:unshare=28", LANDLOCK | CALLS),
    "no filter": ("deny:seccomp", ROOT | LANDLOCK | CALLS),  # prctl(2) does it then
}
"""What a filter takes away, and the walls that stand nevertheless."""
ATTEMPTS = {
    "open-for-writing", "read-outside", "climb", "through-link", "truncate-outside", "connect", "socketpair", "exec",
    "exec-inside", "fork", "ptrace", "kill", "set-owner", "chroot", "unshare", "mount", "map-code", "protect-code",
    "parent-death", "dumpable", "device", "io_uring", "keys", "chmod-outside",
}  # fmt: skip
CHMOD_NEEDS = ROOT
"""Landlock has no say about modes: what belongs to the caller could be chmod'ed where there is no root of its own."""


@pytest.fixture(scope="module")
def harness(tmp_path_factory):
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("capability compiler: cc is not installed")
    target = tmp_path_factory.mktemp("harness") / "sandbox"
    source = str(Path(__file__).parent / "sandbox_harness.c")
    files = [str(SOURCES / f"{name}.c") for name in NAMES]
    flags = ["-std=gnu11", "-D_GNU_SOURCE", "-g", "-O1", f'-DPOD_BUILD_ID="{"0" * 32}"', f"-I{SOURCES}"]
    subprocess.run([compiler, *flags, source, *files, "-o", str(target), "-lpthread"], check=True, timeout=120)
    return target


def attempt(harness, tmp_path, profile):
    """(walls, {attempt: errno}, what honest work said)."""
    (tmp_path / "root").mkdir()
    shutil.copy("/bin/true", tmp_path / "root/program")
    secret = tmp_path / "secret"
    secret.write_text("secret")
    argv = [str(harness), str(tmp_path / "root"), "0", "1", str(secret)]
    if profile:
        argv = [sys.executable, "-I", str(FILTERED), profile, *argv]
    done = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done
    words = dict(line.split(" ", 1) for line in done.stdout.splitlines())
    assert secret.read_text() == "secret"
    return int(words.pop("walls")), words, words.pop("work")


@pytest.mark.parametrize("without", WITHOUT)
def test_sandbox_when_the_reader_tries_to_get_out_then_refused(harness, tmp_path, without):
    profile, expected = WITHOUT[without]
    walls, words, work = attempt(harness, tmp_path, profile)
    assert walls == expected, words
    assert work == "done"
    got_out = {name for name, code in words.items() if code == "0"}
    assert words.keys() == ATTEMPTS
    assert got_out <= (set() if walls & CHMOD_NEEDS else {"chmod-outside"})


def test_sandbox_when_only_the_calls_are_left_then_files_alone_are_reached(harness, tmp_path):
    walls, words, work = attempt(harness, tmp_path, "deny:landlock_create_ruleset,chroot=1")
    assert (walls, work) == (CALLS, "done")
    names = {"connect", "exec", "fork", "ptrace", "kill", "chroot", "unshare", "mount", "map-code", "io_uring", "keys"}
    assert "0" not in {words[name] for name in names}


class Begun:
    """A layer being unpacked apart, read from a pipe that the test fills."""

    def __init__(self, tmp_path):
        self.tree = tmp_path / "tree"
        self.tree.mkdir()
        reader, self.writer = os.pipe()
        root = os.open(self.tree, os.O_RDONLY | os.O_DIRECTORY)
        owners = os.open(tmp_path / "owners", os.O_RDWR | os.O_CREAT, 0o600)
        self.pid, self.answer = layer.start_extract(
            reader, root, owners, mapped=False, dialect="aufs", userns=True, threads=False
        )
        for descriptor in (reader, root, owners):
            os.close(descriptor)

    def feed(self, data):
        while data:
            data = data[os.write(self.writer, data) :]

    def wait_for(self, name):
        for _ in range(3000):
            if (self.tree / name).exists():
                return
            assert not select.select([self.answer], [], [], 0.01)[0], "it ended"
        raise AssertionError(f"no {name}")

    def finish(self):
        os.close(self.writer)
        parts = []
        while part := os.read(self.answer, 4096):
            parts.append(part)
        os.close(self.answer)
        os.waitpid(self.pid, 0)
        return b"".join(parts)

    def status(self):
        text = Path(f"/proc/{self.pid}/status").read_text()
        return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def test_extract_apart_when_at_work_then_without_powers_and_behind_a_filter(tmp_path):
    begun = Begun(tmp_path)
    filler = file(b"filler", bytes(1 << 20))  # Bytes are taken in by blocks.
    begun.feed(folder(b"d") + file(b"d/f", b"text") + filler[:-512])
    begun.wait_for("d/f")
    status = begun.status()
    assert status["NoNewPrivs"] == "1"
    assert status["Seccomp"] == "2"
    # In a namespace of its own, in which nothing but the caller's files is: what their capabilities need (CAP_SETFCAP).
    own = os.geteuid() != 0
    assert int(status["CapEff"], 16) == int(status["CapPrm"], 16) == (1 << 31 if own else 0)
    if own:
        with pytest.raises(PermissionError):  # Not dumpable: not even we may look into it.
            os.listdir(f"/proc/{begun.pid}/fd")
    begun.feed(filler[-512:] + END)
    assert layer.extract_result(begun.finish())[4] == 3


def test_extract_apart_when_done_then_the_same_as_in_place(tmp_path):
    data = gzip.compress(folder(b"a", 0o700) + file(b"a/f", b"x" * 5000, mode=0o4755) + hardlink(b"h", b"a/f") + END)
    (tmp_path / "blob").write_bytes(data)
    found = []
    for name in ("here", "apart"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "tree").mkdir()
        descriptors = [
            os.open(tmp_path / "blob", os.O_RDONLY),
            os.open(tmp_path / name / "tree", os.O_RDONLY | os.O_DIRECTORY),
            os.open(tmp_path / name / "owners", os.O_RDWR | os.O_CREAT, 0o600),
        ]
        if name == "here":
            found.append(layer.extract(*descriptors, mapped=False, dialect="aufs"))
        else:
            pid, answer = layer.start_extract(*descriptors, mapped=False, dialect="aufs", userns=True)
            os.waitpid(pid, 0)
            found.append(layer.extract_result(os.read(answer, 65536)))
            os.close(answer)
        for descriptor in descriptors:
            os.close(descriptor)
    assert found[0] == found[1]
    for name in ("a", "a/f", "h"):
        one, other = os.lstat(tmp_path / "here/tree" / name), os.lstat(tmp_path / "apart/tree" / name)
        assert (one.st_mode, one.st_mtime_ns, one.st_nlink) == (other.st_mode, other.st_mtime_ns, other.st_nlink)
    assert (tmp_path / "here/owners").read_bytes() == (tmp_path / "apart/owners").read_bytes()


@pytest.mark.parametrize("mode", [0o000, 0o311])
def test_extract_apart_when_a_link_leads_into_a_shut_directory_then_made(tmp_path, mode):
    begun = Begun(tmp_path)
    begun.feed(folder(b"shut", mode) + file(b"shut/f", b"x"))
    begun.feed(folder(b"other", 0o500) + hardlink(b"other/h", b"shut/f") + END)
    assert layer.extract_result(begun.finish())[4] == 4
    assert os.lstat(begun.tree / "shut").st_mode & 0o7777 == mode
    assert os.lstat(begun.tree / "other/h").st_nlink == 2
    for name in ("shut", "other"):
        (begun.tree / name).chmod(0o700)


def test_extract_apart_when_the_archive_is_bad_then_its_error_comes_over(tmp_path):
    begun = Begun(tmp_path)
    begun.feed(b"x" * 512)
    with pytest.raises(StepError) as caught:
        layer.extract_result(begun.finish())
    assert caught.value.step == "TAR_HEADER"
    assert caught.value.errno in (errno.EINVAL, errno.EBADMSG)


def test_extract_apart_when_killed_then_step_wait(tmp_path):
    begun = Begun(tmp_path)
    begun.feed(file(b"f", b"text"))
    os.kill(begun.pid, 9)
    with pytest.raises(StepError) as caught:
        layer.extract_result(begun.finish())
    assert caught.value.step == "WAIT"
