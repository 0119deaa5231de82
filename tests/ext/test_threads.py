"""Extraction in several threads: the same tree, bounded, and ended promptly by whatever goes wrong in any of them."""

from __future__ import annotations

import contextlib
import errno
import gzip
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pod.ext import layer
from pod.ext.errors import StepError
from tests.ext.unpacking import END, Jail, file, folder, hardlink, header, pax, symlink, tree, unpack
from tests.support import tools


@pytest.fixture
def jail(tmp_path):
    made = Jail(tmp_path)
    yield made
    made.check()


def look(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything about a tree that an archive decides."""
    found: dict[str, tuple[object, ...]] = {}
    for parent, folders, files in os.walk(root):
        for name in [*folders, *files, "."]:
            path = Path(parent, name)
            status = path.lstat()
            content = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
            target = os.readlink(path) if path.is_symlink() else ""
            xattrs = sorted(os.listxattr(path, follow_symlinks=False))
            links = 0 if path.is_dir() and not path.is_symlink() else status.st_nlink
            found[str(path)[len(str(root)) :]] = (status.st_mode, links, status.st_mtime_ns, content, target, xattrs)
    return found


def changing() -> bytes:
    """Names that are files, links, directories and gone, in turns, with contents that writers still have in hand."""
    data = folder(b"./") + folder(b"d")
    for i in range(60):
        body = os.urandom(7) * (20_000 if i % 7 else 40_000)
        data += file(b"f%d" % i, body, mode=0o4755 if i % 5 == 0 else 0o664, uid=i % 3, mtime=i)
        data += hardlink(b"h%d" % i, b"f%d" % i) + file(b"d/n", body[:5000], mode=0o600 + i)
        data += [file(b"f%d" % i, b"again"), symlink(b"f%d" % i, b"d"), file(b".wh.f%d" % i), b""][i % 4]
        data += [folder(b"x") + file(b"x/y", body), file(b"x", body), symlink(b"x", b"d")][i % 3]
        data += pax({b"SCHILY.xattr.user.a": b"%d" % i}) + file(b"xattr", body[:9])
    return data


def test_extract_when_names_change_hands_quickly_then_tree_is_that_of_one_thread(tmp_path):
    data = gzip.compress(changing() + END, 1)
    seen = []
    for threads in (True, False):
        (tmp_path / str(threads)).mkdir()
        unpacked = unpack(data, tmp_path / str(threads), end=b"", threads=threads)
        seen.append((look(unpacked.root), unpacked.owners, unpacked.result))
    assert {name for name in seen[0][0] if seen[0][0][name] != seen[1][0].get(name)} == set()
    assert seen[0] == seen[1]
    assert len(seen[0][0]) > 100


def test_extract_when_file_is_larger_than_all_blocks_then_is_whole(jail):
    body = b"".join(b"%015d\n" % i for i in range(1_500_000))
    root = jail.unpack(file(b"big", body) + file(b"after", b"x"), max_bytes=1 << 30).root
    assert (root / "big").read_bytes() == body
    assert (root / "after").read_bytes() == b"x"


def child(script: str, *arguments: str, **options) -> subprocess.Popen:
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    return subprocess.Popen([sys.executable, "-c", script, *arguments], env=environ, **options)


SLOW = """
import os, sys
from pod.ext import layer
cpus, threads = sys.argv[1:]
if cpus:
    os.sched_setaffinity(0, [min(os.sched_getaffinity(0))])
os.mkdir("diff")
layer.extract(0, os.open("diff", os.O_RDONLY), os.open("owners", os.O_RDWR | os.O_CREAT), mapped=False,
              threads=bool(threads))
"""


@pytest.mark.parametrize(("cpus", "threads", "expected"), [("", "yes", 5), ("one", "yes", 1), ("", "", 1)])
def test_extract_when_looked_at_then_has_as_many_threads_as_are_worth_while(tmp_path, cpus, threads, expected):
    if len(os.sched_getaffinity(0)) == 1:
        pytest.skip("capability processors: there is one")
    running = child(SLOW, cpus, threads, cwd=tmp_path, stdin=subprocess.PIPE)
    assert running.stdin is not None
    running.stdin.write(file(b"a", bytes(300_000)))
    running.stdin.flush()
    most = 0
    deadline = time.monotonic() + 20
    while most < expected and time.monotonic() < deadline:
        most = max(most, len(os.listdir(f"/proc/{running.pid}/task")))
    time.sleep(0.1)
    most = max(most, len(os.listdir(f"/proc/{running.pid}/task")))
    running.communicate(END, timeout=20)
    assert (most, running.returncode) == (expected, 0)


CRAMPED = """
import os, resource, threading
from pod.ext import layer
from tests.ext.unpacking import *
resource.setrlimit(resource.RLIMIT_NPROC, (1, 1))
try:
    threading.Thread(target=print).start()
except RuntimeError as error:
    print(error)
print(sorted(tree(unpack(file(b"a", b"x" * 500000) + file(b"b", b"y"), Path(".")).root)))
"""


@pytest.mark.not_root
def test_extract_when_user_may_have_no_more_threads_then_does_without(tmp_path):
    said = child(CRAMPED, cwd=tmp_path, stdout=subprocess.PIPE, text=True).communicate(timeout=30)[0]
    assert said == "can't start new thread\n['a', 'b']\n"


@pytest.mark.parametrize("bad", [file(b"../x"), header(b"x", b"Z"), b"\1" * 512])
@pytest.mark.parametrize("before", [b"", file(b"big", bytes(3_000_000)) * 3])
def test_extract_when_archive_is_bad_and_does_not_end_then_fails_at_once(tmp_path, before, bad):
    """The pipe stays open: neither the decoder's wait nor what writers have in hand may hold the failure up."""
    data = before + bad + bytes(140_000)
    reader, writer = os.pipe()
    with child(SLOW, "", "yes", cwd=tmp_path, stdin=reader, stderr=subprocess.PIPE) as running:
        os.close(reader)
        with contextlib.suppress(BrokenPipeError):  # it is gone before it has read all
            for at in range(0, len(data), 4096):
                os.write(writer, data[at : at + 4096])
        begin = time.monotonic()
        assert running.wait(timeout=20) == 1
        assert time.monotonic() - begin < 2
        assert running.stderr is not None
        assert b"StepError" in running.stderr.read()
    os.close(writer)


def test_extract_when_a_writer_fails_then_its_file_is_named(jail):
    """RLIMIT_FSIZE is a full disk that anybody can have."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    data = file(b"small", b"x") + file(b"d/large", bytes(600_000))
    data += b"".join(file(b"%d" % i, b"y") for i in range(3000))
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, hard))
    try:
        with pytest.raises(StepError) as caught:
            source_is_elsewhere(jail, data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert (caught.value.step, caught.value.path, caught.value.errno) == ("WRITE", "d/large", errno.EFBIG)


def source_is_elsewhere(jail: Jail, data: bytes) -> None:
    reader, writer = os.pipe()
    feeder = os.fork()
    if feeder == 0:
        os.close(reader)
        with contextlib.suppress(OSError):
            while data:
                data = data[os.write(writer, data) :]
        os._exit(0)
    os.close(writer)
    (jail.base / "diff").mkdir()
    root = os.open(jail.base / "diff", os.O_RDONLY)
    owners = os.open(jail.base / "owners", os.O_RDWR | os.O_CREAT)
    try:
        layer.extract(reader, root, owners, mapped=False)
    finally:
        for fd in (reader, root, owners):
            os.close(fd)
        os.waitpid(feeder, 0)


FULL = """
import os, subprocess
from pod.ext import layer
from tests.ext.unpacking import *
subprocess.run(["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", "full"], check=True)
os.mkdir("full/diff")
data = b"".join(file(b"%d" % i, b"x" * 5000) for i in range(1000)) + file(b"end", bytes(5000000)) + END
with open("blob", "wb") as blob:
    blob.write(data)
before = len(os.listdir("/proc/self/fd"))
owners = os.open("owners", os.O_RDWR | os.O_CREAT)
root, source = os.open("full/diff", os.O_RDONLY), os.open("blob", os.O_RDONLY)
try:
    layer.extract(source, root, owners, mapped=False)
except OSError as error:
    print(error.strerror, error.step, error.path.isdigit())
for fd in (owners, root, source):
    os.close(fd)
print(len(os.listdir("/proc/self/fd")) - before, len(os.listdir("/proc/self/task")))
"""


def test_extract_when_disk_fills_up_then_says_so_and_keeps_nothing_open(tmp_path):
    if tools.find("unshare") is None:
        pytest.skip("capability unshare: not installed")
    (tmp_path / "full").mkdir()
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = ["unshare", "--user", "--map-root-user", "--mount", sys.executable, "-c", FULL]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert done.stdout in (
        "No space left on device WRITE True\n0 1\n",
        "No space left on device OPEN True\n0 1\n",
    ), done.stderr


def test_extract_when_there_are_few_descriptors_then_waits_for_writers(jail):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    data = b"".join(file(b"%d" % i, b"x" * 40_000) for i in range(400))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 12, hard))
    try:
        assert len(tree(jail.unpack(data).root)) == 400
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
