"""Names that are too long, empty, dots, bytes, or not what they seem."""

from __future__ import annotations

import os
import stat

import pytest

from pod.ext.errors import StepError
from tests.ext.unpacking import Jail, file, folder, gnu_long, header, pax, symlink, tree


@pytest.fixture(params=[True, False], ids=["threads", "in line"])
def jail(tmp_path, request):
    made = Jail(tmp_path, threads=request.param)
    yield made
    made.check()


@pytest.mark.parametrize("name", [b"../x", b"a/../../x", b"/../x", b"./../x", b"../../outside/secret", b".."])
@pytest.mark.parametrize("kind", [b"0", b"5", b"2", b"3", b"6"])
def test_unpack_when_path_leads_up_then_refuses(jail, name, kind):
    with pytest.raises(StepError) as caught:
        jail.unpack(folder(b"a") + header(name, kind, link=b"x"))
    assert (caught.value.step, caught.value.path) == ("TAR_PATH", os.fsdecode(name))


@pytest.mark.parametrize("name", [b"/abs", b"//abs", b"./abs", b"a/../abs", b"/./abs", b"a/..//./abs"])
def test_unpack_when_path_is_absolute_or_dotted_then_lands_inside(jail, name):
    assert tree(jail.unpack(file(name, b"x")).root)["abs"] == "file x"


@pytest.mark.parametrize("name", [b".", b"./", b"/", b"/.", b"a/..", b"//", b"./."])
def test_unpack_when_entry_is_the_root_then_only_a_directory_may_be(jail, name):
    unpacked = jail.unpack(folder(name, 0o751, mtime=77))
    assert stat.S_IMODE(unpacked.root.stat().st_mode) == 0o751
    assert unpacked.root.stat().st_mtime == 77
    for kind in (b"0", b"1", b"2", b"3", b"4", b"6"):
        if kind == b"0" and name.endswith(b"/"):
            continue  # v7's way to say directory
        with pytest.raises(StepError) as caught:
            jail.unpack(header(name, kind, link=b"x"))
        assert caught.value.step == "TAR_PATH"


@pytest.mark.parametrize("name", [b"new\nline", b"\xff\xfe\x80", b"tab\there", b"-rf", b"a b", b"\\", b"*", b"\x1b[2J"])
def test_unpack_when_name_is_odd_then_keeps_its_bytes(jail, name):
    assert os.listdir(os.fsencode(jail.unpack(file(name)).root)) == [name]


def test_unpack_when_part_has_255_bytes_then_takes_it_and_256_not(jail):
    assert os.listdir(jail.unpack(gnu_long(b"n" * 255) + file(b"x")).root) == ["n" * 255]
    with pytest.raises(StepError) as caught:
        jail.unpack(gnu_long(b"n" * 256) + file(b"x"))
    assert caught.value.step == "TAR_PATH"


@pytest.mark.parametrize("wrap", [gnu_long, lambda name: pax({b"path": name})])
def test_unpack_when_path_is_4094_bytes_deep_then_takes_it(jail, wrap):
    path = b"d/" * 2046 + b"fi"
    unpacked = jail.unpack(wrap(path) + file(b"x", b"deep"))
    fd = os.open(unpacked.root, os.O_RDONLY)
    for part in path.split(b"/")[:-1]:
        below = os.open(part, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    assert os.listdir(fd) == ["fi"]
    os.close(fd)


@pytest.mark.parametrize("size", [4098, 5000, 70_000, 1_000_000])
def test_unpack_when_path_is_longer_than_the_kernel_takes_then_refuses(jail, size):
    for wrapped in (gnu_long(b"d/" * (size // 2)), pax({b"path": b"d/" * (size // 2)})):
        with pytest.raises(StepError) as caught:
            jail.unpack(wrapped + file(b"x"))
        assert caught.value.step == "TAR_PATH"


def test_unpack_when_symlink_target_is_too_long_then_refuses(jail):
    jail.unpack(gnu_long(b"t" * 4095, b"K") + symlink(b"ok", b"x"))
    with pytest.raises(StepError) as caught:
        jail.unpack(gnu_long(b"t" * 4096, b"K") + symlink(b"s", b"x"))
    assert caught.value.step == "SYMLINK"


def test_unpack_when_links_blow_the_path_up_then_refuses(jail):
    """Each part fits into PATH_MAX, what they come to does not."""
    data = gnu_long(b"a/" * 1900, b"K") + symlink(b"l", b"x") + gnu_long(b"l/" + b"b/" * 1900 + b"x") + file(b"x")
    with pytest.raises(StepError) as caught:
        jail.unpack(data)
    assert caught.value.step == "TAR_PATH"


@pytest.mark.parametrize("special", [b"L", b"K", b"x", b"g"])
def test_unpack_when_special_header_is_huge_then_refuses_before_reading_it(jail, special):
    with pytest.raises(StepError) as caught:
        jail.unpack(header(b"huge", special, size=8_000_000_000), end=b"")
    assert caught.value.step == "LIMIT"


def test_unpack_when_special_headers_never_end_then_refuses(jail):
    with pytest.raises(StepError) as caught:
        jail.unpack(pax({b"comment": b"x"}) * 1000 + file(b"x"))
    assert caught.value.step == "LIMIT"


def test_unpack_when_name_comes_three_ways_then_pax_wins(jail):
    unpacked = jail.unpack(pax({b"path": b"by-pax"}) + gnu_long(b"by-gnu") + file(b"by-header"))
    assert os.listdir(unpacked.root) == ["by-pax"]
    unpacked = jail.unpack(file(b"second"))
    assert sorted(os.listdir(unpacked.root)) == ["by-pax", "second"]


@pytest.mark.parametrize("key", [b"path", b"linkpath", b"GNU.sparse.name"])
def test_unpack_when_pax_name_has_a_nul_then_refuses(jail, key):
    with pytest.raises(StepError) as caught:
        jail.unpack(pax({key: b"good\0../../evil"}) + symlink(b"x", b"y"))
    assert caught.value.step == "TAR_HEADER"


@pytest.mark.parametrize("key", [b"path", b"linkpath", b"size", b"GNU.sparse.name", b"GNU.sparse.map"])
def test_unpack_when_global_header_renames_all_then_refuses(jail, key):
    with pytest.raises(StepError) as caught:
        jail.unpack(pax({key: b"1,2"}, b"g") + file(b"x"))
    assert caught.value.step == "TAR_HEADER"


def test_unpack_when_name_is_empty_then_refuses(jail):
    with pytest.raises(StepError) as caught:
        jail.unpack(file(b""))
    assert caught.value.step == "TAR_PATH"


def test_unpack_when_entry_comes_twice_then_the_last_wins(jail):
    data = file(b"a", b"first", uid=7, mode=0o600) + file(b"a", b"last") + folder(b"b", uid=9) + file(b"b/c", uid=9)
    unpacked = jail.unpack(data + file(b"b", b"now a file"))
    assert tree(unpacked.root) == {"a": "file last", "b": "file now a file"}
    assert unpacked.owners == []


def test_unpack_when_parent_is_a_file_then_refuses(jail):
    with pytest.raises(StepError) as caught:
        jail.unpack(file(b"a") + file(b"a/b"))
    assert (caught.value.step, caught.value.path) == ("TAR_PATH", "a/b")


def test_unpack_when_directories_shut_themselves_then_they_are_filled_and_shut(jail):
    data = folder(b"a", 0) + folder(b"a/b", 0o111) + file(b"a/b/c", b"1") + file(b"z") + file(b"a/b/d", b"2")
    data += header(b"a/e", b"1", link=b"a/b/c")
    unpacked = jail.unpack(data)
    assert stat.S_IMODE((unpacked.root / "a").stat().st_mode) == 0
    os.chmod(unpacked.root / "a", 0o700)
    assert stat.S_IMODE((unpacked.root / "a/b").stat().st_mode) == 0o111
    os.chmod(unpacked.root / "a/b", 0o700)
    assert (unpacked.root / "a/e").stat().st_nlink == 2
    assert sorted(os.listdir(unpacked.root / "a/b")) == ["c", "d"]
