"""Whiteouts that aim at what they may not, in both dialects."""

from __future__ import annotations

import os

import pytest

from pod.ext.errors import StepError
from tests.ext.unpacking import Jail, file, folder, header, opaque, pax, symlink, tree


@pytest.fixture(params=[True, False], ids=["threads", "in line"])
def jail(tmp_path, request):
    made = Jail(tmp_path, threads=request.param)
    yield made
    made.check()


@pytest.mark.parametrize("dialect", ["overlay", "aufs"])
@pytest.mark.parametrize("name", [b".wh.", b".wh..", b".wh...", b"d/.wh.", b"d/.wh..", b"d/.wh..."])
def test_unpack_when_whiteout_is_of_no_name_or_a_dot_then_refuses(jail, name, dialect):
    with pytest.raises(StepError) as caught:
        jail.unpack(folder(b"d") + file(name), dialect=dialect)
    assert caught.value.step == "TAR_PATH"


@pytest.mark.parametrize("dialect", ["overlay", "aufs"])
@pytest.mark.parametrize("target", [b"../../outside", b"/", b"../outside/dir"])
def test_unpack_when_whiteout_goes_through_symlink_then_stays_inside(jail, target, dialect):
    jail.unpack(symlink(b"esc", target) + file(b"esc/.wh.secret") + file(b"esc/.wh..wh..opq"), dialect=dialect)


@pytest.mark.parametrize("dialect", ["overlay", "aufs"])
def test_unpack_when_whiteout_leads_up_then_refuses(jail, dialect):
    with pytest.raises(StepError):
        jail.unpack(file(b"../outside/.wh.secret"), dialect=dialect)


def test_unpack_when_whiteout_is_of_a_directory_made_here_then_it_stays_and_hides_the_lower_one(jail):
    unpacked = jail.unpack(folder(b"d") + file(b"d/mine", b"x") + file(b".wh.d"))
    assert tree(unpacked.root) == {"d": "dir", "d/mine": "file x"}
    assert opaque(unpacked.root / "d")


def test_unpack_when_whiteout_is_of_a_file_made_here_then_the_file_stays(jail):
    assert tree(jail.unpack(file(b"f", b"x") + file(b".wh.f")).root) == {"f": "file x"}


@pytest.mark.parametrize("later", [folder(b"n"), b""])
def test_unpack_when_directory_follows_its_whiteout_then_it_is_opaque(jail, later):
    unpacked = jail.unpack(file(b".wh.n") + later + file(b"n/x", b"1"))
    assert tree(unpacked.root) == {"n": "dir", "n/x": "file 1"}
    assert opaque(unpacked.root / "n")


def test_unpack_when_file_follows_its_whiteout_then_it_replaces_it(jail):
    assert tree(jail.unpack(file(b".wh.n") + file(b"n", b"1")).root) == {"n": "file 1"}


def test_unpack_when_opaque_comes_after_entries_then_they_stay(jail):
    unpacked = jail.unpack(folder(b"d") + file(b"d/x", b"1") + file(b"d/.wh..wh..opq") + file(b"d/y", b"2"))
    assert tree(unpacked.root) == {"d": "dir", "d/x": "file 1", "d/y": "file 2"}
    assert opaque(unpacked.root / "d")


@pytest.mark.parametrize("kind", [b"5", b"2", b"6", b"3", b"1"])
def test_unpack_when_whiteout_is_no_file_then_it_counts_by_its_name(jail, kind):
    assert tree(jail.unpack(header(b".wh.x", kind, link=b"../../outside/secret")).root) == {"x": "whiteout"}


def test_unpack_when_name_is_aufs_own_then_passes_it_over(jail):
    data = file(b".wh..wh.aufs") + folder(b".wh..wh.plnk") + file(b".wh..wh.plnk/1.2", b"x") + file(b"k", b"v")
    assert tree(jail.unpack(data).root) == {"k": "file v"}


def test_unpack_when_something_lies_below_a_whiteout_name_then_refuses(jail):
    with pytest.raises(StepError) as caught:
        jail.unpack(file(b".wh.x/y"))
    assert caught.value.step == "TAR_PATH"


def test_unpack_when_hardlink_names_a_whiteout_node_then_refuses(jail):
    with pytest.raises(StepError) as caught:
        jail.unpack(file(b".wh.x") + header(b"y", b"1", link=b"x"))
    assert caught.value.step == "LINK"


def test_unpack_when_archive_brings_overlay_marks_then_drops_them(jail):
    data = pax({b"SCHILY.xattr.user.overlay.opaque": b"y", b"SCHILY.xattr.trusted.overlay.opaque": b"y"})
    data += folder(b"d") + pax({b"SCHILY.xattr.user.overlay.redirect": b"/etc", b"SCHILY.xattr.user.pod.owner": b"0:0"})
    unpacked = jail.unpack(data + file(b"d/f"))
    assert os.listxattr(unpacked.root / "d") == []
    assert os.listxattr(unpacked.root / "d/f") == []
    assert unpacked.owners == []


def test_unpack_when_archive_brings_a_0_0_device_then_it_is_no_whiteout(jail):
    unpacked = jail.unpack(header(b"d", b"3", device=(0, 0)))
    assert tree(unpacked.root) == {"d": "file "}
    assert unpacked.owners[0][3] == (0, 0)


def test_unpack_when_dialect_is_aufs_then_whiteouts_stay_files(jail):
    unpacked = jail.unpack(file(b"d/.wh.x", b"junk") + file(b"d/.wh..wh..opq") + file(b"d/x", b"1"), dialect="aufs")
    assert tree(unpacked.root) == {"d": "dir", "d/.wh.x": "file ", "d/.wh..wh..opq": "file ", "d/x": "file 1"}


def test_unpack_when_dialect_is_plain_then_such_names_mean_nothing(jail):
    unpacked = jail.unpack(file(b".wh.x", b"1") + file(b".wh..", b"2"), dialect="plain")
    assert tree(unpacked.root) == {".wh.x": "file 1", ".wh..": "file 2"}
