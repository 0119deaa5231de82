"""Small files made by several threads: the tree is that of one thread, whatever an archive does with its names."""

from __future__ import annotations

import errno
import os
import random
import resource
import subprocess
from pathlib import Path

import pytest

from pod.ext import layer
from pod.ext.errors import StepError
from tests.ext.unpacking import file, folder, hardlink, header, symlink, unpack
from tests.fuzz import targets
from tests.support import compilers

NAMES = [b"a", b"b", b"c", b"d"]
BELOW = [*NAMES, *NAMES, *(b"a/" + y for y in NAMES)]
LATER = 1_500_000_000_000_000_000
"""Archives here are of 2001: a later time (ns) is that of the test."""


def look(root: Path) -> dict[str, tuple[object, ...]]:
    """Everything about a tree that an archive decides; directories that no entry made have the time of now."""
    found: dict[str, tuple[object, ...]] = {}
    for parent, folders, files in os.walk(root):
        for name in [*folders, *files, "."]:
            path = Path(parent, name)
            status = path.lstat()
            what = b""
            if path.is_symlink():
                what = os.readlink(os.fsencode(path))
            elif path.is_file():
                what = path.read_bytes()
            links = 0 if name in folders or name == "." else status.st_nlink
            time = status.st_mtime_ns if status.st_mtime_ns < LATER else 0
            xattrs = sorted(os.listxattr(path, follow_symlinks=False))
            found[str(path)[len(str(root)) :]] = (status.st_mode, links, time, what, xattrs)
    return found


def run(data: bytes, place: Path, *, threads: bool) -> object:
    """The tree with its record, or the step and errno of the failure."""
    place.mkdir()
    try:
        unpacked = unpack(data, place, threads=threads)
    except StepError as error:
        return error.step, error.errno
    return look(unpacked.root), unpacked.owners, unpacked.result


def any_entry(chance: random.Random, place: bytes, number: int, files: list[bytes]) -> bytes:
    """FILES: names that were files, for hard links; other entries may have come since."""
    name = place + b"/" + chance.choice(BELOW)
    mode = chance.choice([0o644, 0o600, 0o4755, 0o444])
    parent, slash, last = name.rpartition(b"/")
    kind = chance.randrange(24)
    if kind < 13:
        files.append(name)
        body = b"%d" % number * chance.choice([0, 1, 1, 300, 20_000])
        return file(name, body, mode=mode, uid=chance.choice([0, 0, 7]), mtime=1_000_000_000 + number)
    if kind < 18:
        return folder(name, chance.choice([0o755, 0o700, 0o555]), mtime=1_000_000_000 + number)
    if kind < 20:
        return symlink(name, chance.choice([b"b", b"/a", b"../c", b"."]))
    if kind < 22:
        return hardlink(name, chance.choice(files[-4:] or NAMES))
    return [header(name, b"6"), file(parent + slash + b".wh." + last)][kind - 22]


def any_archive(chance: random.Random) -> bytes:
    """Visits to directories, most of them made for it (makers may fill those), with a few entries each."""
    files: list[bytes] = []
    data = b""
    for visit in range(chance.randrange(1, 5)):
        place = b"%d" % chance.randrange(3)
        if chance.random() < 0.8:
            data += folder(place, chance.choice([0o755, 0o500]), mtime=1_000_000_000 + visit)
        count = chance.randrange(2, 7)
        data += b"".join(any_entry(chance, place, 10 * visit + number, files) for number in range(count))
    return data


def test_extract_when_names_are_used_at_random_then_tree_is_that_of_one_thread(tmp_path):
    whole = 0
    for seed in range(200):
        data = any_archive(random.Random(seed))
        threaded = run(data, tmp_path / f"{seed}-threads", threads=True)
        assert threaded == run(data, tmp_path / f"{seed}-one", threads=False), seed
        whole += len(threaded) == 3
    assert whole >= 60


def test_extract_when_directory_is_full_of_small_files_then_has_its_own_mode_and_time(tmp_path):
    data = b""
    for number in range(40):
        data += folder(b"%d" % number, 0o555, mtime=1_000_000_000 + number)
        data += b"".join(file(b"%d/%d" % (number, i), b"%d" % i, mtime=900_000_000 + i) for i in range(70))
    root = unpack(data, tmp_path).root
    for number in range(40):
        status = (root / str(number)).stat()
        assert (status.st_mode & 0o7777, status.st_mtime) == (0o555, 1_000_000_000 + number)
        for i in range(70):
            path = root / str(number) / str(i)
            assert (path.read_bytes(), path.stat().st_mtime) == (b"%d" % i, 900_000_000 + i)


def test_extract_when_there_are_more_names_than_are_remembered_then_later_ones_still_count(tmp_path):
    data = folder(b"d") + b"".join(file(b"d/%d" % i, b"first") for i in range(9000))
    data += b"".join(file(b"d/%d" % i, b"second") for i in range(0, 9000, 90))
    root = unpack(data, tmp_path).root
    assert len(os.listdir(root / "d")) == 9000
    assert [(root / f"d/{i}").read_bytes() for i in (0, 1, 90, 8910, 8999)] == [
        b"second",
        b"first",
        b"second",
        b"second",
        b"first",
    ]


def test_extract_when_there_are_few_descriptors_then_small_files_are_made_all_the_same(tmp_path):
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    data = b"".join(folder(b"%d" % d) + b"".join(file(b"%d/%d" % (d, i), b"x") for i in range(40)) for d in range(20))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 12, hard))
    try:
        root = unpack(data, tmp_path).root
        assert sum(len(files) for _, _, files in os.walk(root)) == 800
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


def test_extract_when_many_directories_are_open_and_descriptors_are_few_then_tree_is_whole(tmp_path):
    """Each directory on the way down has files that wait; a limit of 64 leaves about 56 to a process that unpacks."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    used = len(os.listdir("/proc/self/fd"))
    places = [b"/".join([b"d"] * depth) for depth in range(1, 49)]
    data = b"".join(folder(place) + file(place + b"/x", b"x") + file(place + b"/y", b"y") for place in places)
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 56, hard))
    try:
        root = unpack(data, tmp_path).root
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert sum(len(files) for _, _, files in os.walk(root)) == 96


def test_extract_when_a_small_file_cannot_be_written_then_is_named_and_nothing_stays_open(tmp_path):
    """The failure is one of a maker: files may have 20 000 bytes here."""
    data = folder(b"d") + b"".join(file(b"d/%d" % i, b"x") for i in range(300))
    data += folder(b"e") + file(b"e/large", b"y" * 30_000) + b"".join(file(b"e/%d" % i, b"x") for i in range(300))
    (tmp_path / "diff").mkdir()
    before = os.listdir("/proc/self/fd")
    opened = [os.memfd_create("layer"), os.open(tmp_path / "diff", os.O_RDONLY), os.memfd_create("owners")]
    os.write(opened[0], data)
    os.lseek(opened[0], 0, os.SEEK_SET)
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, hard))
    try:
        with pytest.raises(StepError) as caught:
            layer.extract(*opened, mapped=False)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        for fd in opened:
            os.close(fd)
    assert (caught.value.step, caught.value.errno, caught.value.path) == ("WRITE", errno.EFBIG, "e/large")
    assert os.listdir("/proc/self/fd") == before


def test_source_when_who_waits_gives_a_block_back_then_goes_on(tmp_path: Path) -> None:
    """The reading thread makes a batch itself before it waits, where others are behind."""
    layers = compilers.SOURCES / "layer"
    names = ("source", "decode", "inflate", "input", "sha256", "threads")
    files = [str(layers / f"{name}.c") for name in names] + [str(compilers.SOURCES / "core/err.c")]
    program = compilers.build(
        compilers.host(), Path(__file__).with_name("source_harness.c"), tmp_path / "source",
        f"-I{layers}", *targets.unpacked(), *files, *targets.libraries(),
    )  # fmt: skip
    done = subprocess.run([str(program)], capture_output=True, text=True, timeout=60, check=False)
    assert (done.returncode, done.stdout) == (0, "131077\n"), done.stderr
