"""Layers into one tree, and trees into trees."""

from __future__ import annotations

import os
import stat

import pytest

from pod.ext import layer
from tests.ext.unpacking import file, folder, gnu_long, hardlink, header, pax, symlink, tree, unpack

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


def flatten_owners(tmp_path, *layers, dialect="overlay"):
    """{path: ids or device} of the flat tree, told by its own record."""
    trees, owners = [], []
    for number, data in enumerate(layers):
        place = tmp_path / str(number)
        place.mkdir()
        trees.append(os.open(unpack(data, place, dialect=dialect).root, os.O_RDONLY))
        owners.append(os.open(place / "owners", os.O_RDONLY))
    (tmp_path / "flat").mkdir()
    trees.append(os.open(tmp_path / "flat", os.O_RDONLY))
    owners.append(os.open(tmp_path / "record", os.O_RDWR | os.O_CREAT))
    layer.flatten(trees[:-1], trees[-1], owners[:-1], owners[-1])
    found = {path: ids or device for path, ids, _mode, device, _xattrs in layer.read_owners(owners[-1])}
    for fd in (*trees, *owners):
        os.close(fd)
    return found


@pytest.mark.parametrize("dialect", ["overlay", "aufs"])
def test_flatten_when_layers_have_owners_then_each_path_has_that_of_its_layer(tmp_path, dialect):
    base = folder(b"./", uid=1) + folder(b"d", uid=2) + file(b"d/a", uid=3) + file(b"d/b", uid=4) + file(b"d-c", uid=5)
    base += folder(b"o", uid=6) + file(b"o/x", uid=7) + folder(b"t", uid=8) + file(b"t/u/v", uid=9) + file(b"f", uid=10)
    base += folder(b"kept", uid=11) + file(b"kept/x", uid=12) + header(b"n", b"3", device=(1, 3)) + file(b"w", uid=13)
    upper = folder(b"d") + file(b"d/a") + file(b"d/.wh.b") + folder(b"o", uid=60) + file(b"o/.wh..wh..opq")
    upper += file(b"o/y", uid=61) + file(b"t", uid=80) + folder(b"f") + file(b"f/in", uid=100) + file(b".wh.w")
    upper += folder(b"w") + file(b"w/w", uid=130)
    assert flatten_owners(tmp_path, base, upper, dialect=dialect) == {
        "d-c": (5, 0),
        "o": (60, 0),
        "o/y": (61, 0),
        "t": (80, 0),
        "f/in": (100, 0),
        "kept": (11, 0),
        "kept/x": (12, 0),
        "n": (1, 3),
        "w/w": (130, 0),
    }


def test_flatten_when_a_layer_makes_a_folder_roots_then_nothing_of_its_owner_is_left(tmp_path):
    base = folder(b"d", uid=2) + folder(b"kept", uid=3) + file(b"f", uid=4) + folder(b"e")
    flat = flatten(tmp_path, base, folder(b"d") + file(b"f") + folder(b"e", uid=5))
    noted = {path.name: os.getxattr(path, "user.pod.owner") for path in flat.iterdir() if os.listxattr(path)}
    assert noted == {"kept": b"3:0", "e": b"5:0"}


def test_flatten_when_top_is_opaque_then_nothing_recorded_below_is_left(tmp_path):
    base = folder(b"./", uid=1) + file(b"a", uid=2) + folder(b"d", uid=3) + file(b"d/x", uid=4)
    assert flatten_owners(tmp_path, base, file(b".wh..wh..opq") + file(b"b", uid=5)) == {"b": (5, 0)}


def test_flatten_when_xattrs_were_refused_then_the_record_has_them(tmp_path):
    label = pax({b"SCHILY.xattr.security.selinux": b"label\0of five"})
    trees = [unpack(label + file(b"x"), tmp_path).root]
    (tmp_path / "flat").mkdir()
    fds = [os.open(path, os.O_RDONLY) for path in (*trees, tmp_path / "flat", tmp_path / "owners")]
    record = os.open(tmp_path / "record", os.O_RDWR | os.O_CREAT)
    layer.flatten(fds[:1], fds[1], fds[2:], record)
    assert layer.read_owners(record)[0][4] == {"security.selinux": b"label\0of five"}
    for fd in (*fds, record):
        os.close(fd)


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
