"""Layers into one tree, and trees into trees."""

from __future__ import annotations

import os
import stat

import pytest

from pod.ext import layer
from tests.ext.unpacking import file, folder, gnu_long, hardlink, header, symlink, tree, unpack

BASE = folder(b"d") + file(b"d/old", b"1") + file(b"d/kept", b"2") + file(b"gone", b"3") + folder(b"o")
BASE += file(b"o/hidden", b"4") + folder(b"tree") + file(b"tree/x/y", b"5") + symlink(b"s", b"d") + file(b"f", b"6")
UPPER = file(b"d/.wh.old") + file(b".wh.gone") + folder(b"o", 0o700) + file(b"o/new", b"7") + file(b"o/.wh..wh..opq")
UPPER += file(b".wh.tree") + folder(b"s") + file(b"s/in", b"8") + folder(b"f") + file(b"d/kept", b"9")
EXPECTED = {
    "d": "dir",
    "d/kept": "file 9",
    "o": "dir",
    "o/new": "file 7",
    "s": "dir",
    "s/in": "file 8",
    "f": "dir",
}


def flatten(tmp_path, *layers, dialects=None):
    fds = []
    for number, data in enumerate(layers):
        place = tmp_path / str(number)
        place.mkdir()
        dialect = dialects[number] if dialects else "overlay"
        fds.append(os.open(unpack(data, place, dialect=dialect).root, os.O_RDONLY))
    (tmp_path / "flat").mkdir()
    target = os.open(tmp_path / "flat", os.O_RDONLY)
    layer.flatten(fds, target)
    for fd in (*fds, target):
        os.close(fd)
    return tmp_path / "flat"


@pytest.mark.parametrize("dialect", ["overlay", "aufs"])
def test_flatten_when_layers_hide_things_then_result_is_the_union(tmp_path, dialect):
    flat = flatten(tmp_path, BASE, UPPER, dialects=["overlay", dialect])
    assert tree(flat) == EXPECTED
    assert stat.S_IMODE((flat / "o").stat().st_mode) == 0o700
    assert os.listxattr(flat / "o") == []


def test_flatten_when_root_is_opaque_then_nothing_below_shows(tmp_path):
    assert tree(flatten(tmp_path, BASE, file(b".wh..wh..opq") + file(b"only"))) == {"only": "file "}


def test_flatten_when_whiteout_goes_through_a_lower_link_then_stays_inside(tmp_path):
    (tmp_path / "outside").mkdir()
    (tmp_path / "outside/secret").write_text("kept")
    target = os.fsencode(tmp_path / "outside")
    if len(target) > 99:
        pytest.fail("the test's folder is too long for a v7 link")
    flat = flatten(tmp_path, symlink(b"esc", target), folder(b"esc") + file(b"esc/.wh.secret") + file(b"esc/x"))
    assert tree(flat) == {"esc": "dir", "esc/x": "file "}
    assert os.listdir(tmp_path / "outside") == ["secret"]


def test_flatten_when_lower_file_has_links_then_replacing_one_keeps_the_others(tmp_path):
    base = file(b"a", b"old") + hardlink(b"b", b"a") + hardlink(b"z/c", b"a")
    flat = flatten(tmp_path, base, file(b"a", b"new"))
    assert tree(flat) == {"a": "file new", "b": "file old", "z": "dir", "z/c": "file old"}
    assert (flat / "b").stat().st_ino == (flat / "z/c").stat().st_ino


def test_flatten_when_layers_are_none_then_target_stays_empty(tmp_path):
    assert tree(flatten(tmp_path)) == {}


def test_flatten_when_modes_shut_the_owner_out_then_copies_and_shuts_again(tmp_path):
    base = folder(b"d", 0o100) + file(b"d/f", b"x", mode=0) + folder(b"d/e", 0) + file(b"d/e/g", b"y", mode=0o200)
    flat = flatten(tmp_path, base)
    for root in (flat, tmp_path / "0/diff"):
        assert stat.S_IMODE((root / "d").stat().st_mode) == 0o100
        os.chmod(root / "d", 0o700)
        assert stat.S_IMODE((root / "d/f").stat().st_mode) == 0
        assert stat.S_IMODE((root / "d/e").stat().st_mode) == 0
        os.chmod(root / "d/e", 0o700)
        os.chmod(root / "d/f", 0o600)
        os.chmod(root / "d/e/g", 0o600)
        assert (root / "d/f").read_bytes() + (root / "d/e/g").read_bytes() == b"xy"


def test_flatten_when_tree_is_very_deep_then_copies_it(tmp_path):
    path = b"d/" * 1500 + b"f"
    flat = flatten(tmp_path, gnu_long(path) + file(b"x", b"deep"))
    fd = os.open(flat, os.O_RDONLY)
    for part in path.split(b"/")[:-1]:
        below = os.open(part, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    assert os.listdir(fd) == ["f"]
    os.close(fd)
    fd = os.open(tmp_path, os.O_RDONLY)
    layer.rmtree(fd, "flat")
    layer.rmtree(fd, "0")
    os.close(fd)


def test_copytree_when_source_has_all_kinds_then_copy_has_them(tmp_path):
    data = file(b"f", b"x" * 70_000, mode=0o4711, mtime=5) + hardlink(b"sub/h", b"f") + symlink(b"s", b"/etc")
    data += header(b"p", b"6", mode=0o644) + folder(b"ro", 0o555, mtime=6) + file(b"ro/in", b"1") + file(b".wh.kept")
    source = unpack(data, tmp_path, dialect="plain").root
    with open(source / "sparse", "wb") as sparse:
        sparse.seek(10_000_000)
        sparse.write(b"end")
        sparse.truncate(20_000_000)
    os.setxattr(source / "f", "user.note", b"text")
    os.chmod(source, 0o751)
    target = tmp_path / "copy"
    target.mkdir()
    (target / "f").mkdir()
    (target / "f/in the way").write_text("x")
    fds = [os.open(source, os.O_RDONLY), os.open(target, os.O_RDONLY)]
    layer.copytree(*fds)
    for fd in fds:
        os.close(fd)
    assert tree(target) == tree(source)
    assert stat.S_IMODE(target.stat().st_mode) == 0o751
    assert target.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert ((target / "f").stat().st_mtime, (target / "ro").stat().st_mtime) == (5, 6)
    assert stat.S_IMODE((target / "f").stat().st_mode) == 0o4711
    assert (target / "f").stat().st_ino == (target / "sub/h").stat().st_ino
    assert os.getxattr(target / "f", "user.note") == b"text"
    assert (target / "sparse").read_bytes() == (source / "sparse").read_bytes()
    assert (target / "sparse").stat().st_blocks < 2000
    os.chmod(target / "ro", 0o755)
    os.chmod(source / "ro", 0o755)
