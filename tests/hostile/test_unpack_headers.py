"""Numbers that lie: sizes, ids, times, checksums, sparse maps, devices, modes."""

from __future__ import annotations

import os
import stat

import pytest

from pod.ext.errors import StepError
from tests.ext.unpacking import (
    BLOCK,
    Jail,
    base256,
    checked,
    file,
    folder,
    hardlink,
    header,
    octal,
    pad,
    pax,
    symlink,
    tree,
)

HUGE = (1 << 63) - 1


@pytest.fixture(params=[True, False], ids=["threads", "in line"])
def jail(tmp_path, request):
    made = Jail(tmp_path, threads=request.param)
    yield made
    made.check()


def refused(jail, data, *steps, **options):
    with pytest.raises(StepError) as caught:
        jail.unpack(data, **options)
    assert caught.value.step in steps


def test_unpack_when_checksum_is_wrong_then_refuses(jail):
    block = bytearray(header(b"x"))
    block[0] ^= 1
    refused(jail, bytes(block), "TAR_HEADER")


def test_unpack_when_checksum_is_of_signed_bytes_then_takes_it(jail):
    block = header("é".encode() * 9)
    total = sum(byte - 256 if byte > 127 else byte for byte in block[:148] + b" " * 8 + block[156:])
    assert len(tree(jail.unpack(block[:148] + b"%06o\0 " % total + block[156:]).root)) == 1


@pytest.mark.parametrize(
    "size",
    [base256(-1, 12), base256(HUGE, 12), base256(1 << 80, 12), b"7777777777a\0", b"-0000000001\0", b"0 1"],
)
def test_unpack_when_size_is_no_size_then_refuses(jail, size):
    refused(jail, header(b"x", size=size), "TAR_HEADER", "LIMIT")


@pytest.mark.parametrize("size", [1, 512, 513, 10_000, 8_589_934_591])
def test_unpack_when_size_is_larger_than_the_data_then_refuses(jail, size):
    refused(jail, header(b"x", size=size), "TAR_DATA", "LIMIT", end=b"")


def test_unpack_when_size_is_smaller_than_the_data_then_refuses(jail):
    refused(jail, header(b"x", size=100) + b"a" * 1024, "TAR_HEADER")


@pytest.mark.parametrize("size", [b"18446744073709551615", b"9223372036854775808", b"-1", b"1e3", b"9" * 20])
def test_unpack_when_pax_overrides_size_with_nonsense_then_refuses(jail, size):
    refused(jail, pax({b"size": size}) + file(b"x", b"data"), "TAR_HEADER", "LIMIT")


def test_unpack_when_pax_overrides_size_then_it_holds_for_the_data(jail):
    inner = file(b"smuggled", b"x")
    data = pax({b"size": b"%d" % len(inner)}) + header(b"outer", size=0) + inner
    assert list(tree(jail.unpack(data).root)) == ["outer"]


@pytest.mark.parametrize("kind", [b"1", b"2", b"3", b"4", b"5", b"6"])
def test_unpack_when_entry_without_data_claims_a_size_then_the_next_header_follows(jail, kind):
    data = file(b"t") + header(b"x", kind, size=1024, link=b"t") + file(b"after", b"1")
    assert tree(jail.unpack(data).root)["after"] == "file 1"


@pytest.mark.parametrize("number", [4294967296, 4294967295, HUGE, 1 << 33])
@pytest.mark.parametrize("field", ["uid", "gid"])
def test_unpack_when_id_is_beyond_32_bits_then_refuses(jail, field, number):
    refused(jail, header(b"x", **{field: base256(number, 8)}), "TAR_HEADER")
    refused(jail, pax({field.encode(): b"%d" % number}) + file(b"x"), "TAR_HEADER")


@pytest.mark.parametrize("value", [base256(-1, 8), base256(-2, 8), b"-1\0", b"999\0"])
def test_unpack_when_id_is_negative_or_no_number_then_refuses(jail, value):
    refused(jail, header(b"x", uid=value), "TAR_HEADER")


def test_unpack_when_id_is_the_largest_then_records_it(jail):
    assert jail.unpack(header(b"x", uid=base256(4294967294, 8))).owners[0][1] == (4294967294, 0)


@pytest.mark.parametrize(
    "mtime", [b"-99999999999999", b"99999999999999999", b"0.999999999999", b"-1.5", b"0", b"9" * 19, b"-" + b"9" * 19]
)
def test_unpack_when_mtime_is_extreme_then_clamps_it(jail, mtime):
    unpacked = jail.unpack(pax({b"mtime": mtime}) + file(b"x") + header(b"y", mtime=base256(-(1 << 70), 12)))
    assert -(1 << 31) <= (unpacked.root / "x").stat().st_mtime <= 1 << 34
    jail.unpack(header(b"z", mtime=base256(HUGE, 12)) + folder(b"d", mtime=base256(HUGE, 12)))


@pytest.mark.parametrize("mtime", [b"1.2.3", b"x", b"1e5", b"--1", b"+1", b"1.5x"])
def test_unpack_when_mtime_is_no_number_then_refuses(jail, mtime):
    refused(jail, pax({b"mtime": mtime}) + file(b"x"), "TAR_HEADER")


@pytest.mark.parametrize(
    "body",
    [
        *(b"", b"5", b"5 a=", b"999999 path=x\n", b"0 path=x\n", b"-9 path=x\n"),
        *(b"9 path=x\x00\n", b"6 pat\n", b"5 =x\n", b"9 path=xx"),
    ],
)
def test_unpack_when_pax_record_is_malformed_then_refuses(jail, body):
    data = header(b"PaxHeader", b"x", size=len(body)) + pad(body) + file(b"x")
    if not body:
        jail.unpack(data)
    else:
        refused(jail, data, "TAR_HEADER")


@pytest.mark.parametrize("name", [b"", b"x" * 300, b"user." + b"y" * 300])
def test_unpack_when_xattr_name_is_no_name_then_refuses(jail, name):
    refused(jail, pax({b"SCHILY.xattr." + name: b"v"}) + file(b"x"), "TAR_HEADER")


def test_unpack_when_xattr_is_larger_than_the_disk_takes_then_records_it(jail):
    unpacked = jail.unpack(pax({b"SCHILY.xattr.user.big": b"v" * 60_000}) + file(b"x"))
    held = {**dict(unpacked.owners[0][4] if unpacked.owners else {})}
    for name in os.listxattr(unpacked.root / "x"):
        held[name] = os.getxattr(unpacked.root / "x", name)
    assert held == {"user.big": b"v" * 60_000}


@pytest.mark.parametrize("kind", [b"3", b"4"])
def test_unpack_when_device_then_makes_a_placeholder_and_a_record(jail, kind):
    unpacked = jail.unpack(header(b"sda", kind, device=(8, 0), mode=0o660, gid=6))
    status = (unpacked.root / "sda").lstat()
    assert stat.S_ISREG(status.st_mode)
    assert status.st_size == 0
    ((path, ids, mode, device, _xattrs),) = unpacked.owners
    assert (path, ids, device) == ("sda", (0, 6), (8, 0))
    assert stat.S_ISCHR(mode) if kind == b"3" else stat.S_ISBLK(mode)


def test_unpack_when_device_numbers_are_nonsense_then_refuses(jail):
    block = header(b"d", b"3")
    refused(jail, checked(block[:329] + base256(1 << 40, 8) + block[337:]), "TAR_HEADER")


def test_unpack_when_fifo_then_makes_one_and_never_opens_it(jail):
    assert tree(jail.unpack(header(b"f", b"6", mode=0o622) + file(b"f.txt")).root)["f"] == "fifo"


@pytest.mark.parametrize("kind", [b"M", b"N", b"Z", b"\x80", b"8", b"A"])
def test_unpack_when_kind_is_unknown_then_refuses(jail, kind):
    refused(jail, header(b"x", kind), "TAR_HEADER")


@pytest.mark.parametrize("mode", [0o4755, 0o2755, 0o6711, 0o1777, 0o000])
def test_unpack_when_mode_has_special_bits_then_they_stay_as_the_archive_has_them(jail, mode):
    unpacked = jail.unpack(header(b"x", mode=mode) + folder(b"d", mode=mode))
    assert stat.S_IMODE((unpacked.root / "x").stat().st_mode) == mode
    assert stat.S_IMODE((unpacked.root / "d").stat().st_mode) == mode
    os.chmod(unpacked.root / "d", 0o700)


def test_unpack_when_owner_changes_then_setuid_never_meets_the_wrong_owner(jail):
    """Unmapped, the file stays ours: root's setuid bit must not come to mean us for another id's record."""
    unpacked = jail.unpack(header(b"x", mode=0o4755, uid=1000))
    assert (unpacked.root / "x").stat().st_uid == os.getuid()
    assert unpacked.owners[0][1:3] == ((1000, 0), stat.S_IFREG | 0o4755)


def gnu_sparse(name: bytes, regions: list[tuple[int, int]], real: int, data: bytes, *, extended: bytes = b"") -> bytes:
    block = bytearray(header(name, b"S", size=len(data), magic=b"ustar  \0"))
    for i, (offset, length) in enumerate(regions[:4]):
        block[386 + 24 * i : 410 + 24 * i] = octal(offset, 12) + octal(length, 12)
    block[482] = bool(extended)
    block[483:495] = octal(real, 12) if real < 8**11 else base256(real, 12)
    return checked(bytes(block)) + extended + pad(data)


def test_unpack_when_gnu_sparse_then_data_lies_where_the_map_says(jail):
    data = gnu_sparse(b"s", [(1024, 3), (100_000, 2)], 200_000, b"abcde")
    content = (jail.unpack(data).root / "s").read_bytes()
    assert (len(content), content[1024:1027], content[100_000:100_002]) == (200_000, b"abc", b"de")
    assert content.strip(b"\0").replace(b"\0", b"") == b"abcde"


@pytest.mark.parametrize(
    ("regions", "real", "data"),
    [
        ([(0, 10)], 5, b"x" * 10),  # beyond the end
        ([(10, 5), (0, 5)], 100, b"x" * 10),  # backwards
        ([(0, 5), (4, 5)], 100, b"x" * 10),  # overlapping
        ([(0, 5)], 100, b"x" * 10),  # less than the data
        ([(0, 50)], 100, b"x" * 10),  # more than the data
        ([(8**11 - 1, 8**11 - 1)], 100, b""),
    ],
)
def test_unpack_when_sparse_map_lies_then_refuses(jail, regions, real, data):
    refused(jail, gnu_sparse(b"s", regions, real, data), "TAR_HEADER")


def test_unpack_when_sparse_extensions_never_end_then_refuses(jail):
    endless = bytearray(BLOCK)
    for i in range(21):
        endless[24 * i : 24 * i + 24] = octal(0, 12) + octal(0, 12)
    endless[504] = 1
    refused(jail, gnu_sparse(b"s", [(0, 0)], 10, b"", extended=bytes(endless) * 13_000), "LIMIT")


def test_unpack_when_sparse_file_is_huge_then_the_limit_counts_its_size(jail):
    refused(jail, gnu_sparse(b"s", [(0, 1)], 1 << 50, b"x"), "LIMIT", max_bytes=1 << 20)


SPARSE_0_0 = [
    (b"GNU.sparse.size", b"5000"),
    (b"GNU.sparse.numblocks", b"1"),
    (b"GNU.sparse.offset", b"4000"),
    (b"GNU.sparse.numbytes", b"3"),
]
SPARSE_0_1 = {b"GNU.sparse.size": b"5000", b"GNU.sparse.name": b"s", b"GNU.sparse.map": b"4000,3"}
SPARSE_1_0 = {
    b"GNU.sparse.major": b"1",
    b"GNU.sparse.minor": b"0",
    b"GNU.sparse.name": b"s",
    b"GNU.sparse.realsize": b"5000",
}


@pytest.mark.parametrize(
    "data",
    [
        pax(SPARSE_0_0) + file(b"s", b"abc"),
        pax(SPARSE_0_1) + file(b"GNUSparseFile.0/s", b"abc"),
        pax(SPARSE_1_0) + file(b"GNUSparseFile.0/s", pad(b"1\n4000\n3\n") + b"abc"),
    ],
    ids=["0.0", "0.1", "1.0"],
)
def test_unpack_when_pax_sparse_then_data_lies_where_the_map_says(jail, data):
    unpacked = jail.unpack(data + file(b"after", b"1"))
    assert sorted(os.listdir(unpacked.root)) == ["after", "s"]
    assert (unpacked.root / "s").read_bytes() == bytes(4000) + b"abc" + bytes(997)


@pytest.mark.parametrize(
    "body",
    [b"", b"1\n", b"x\n", b"1\n4000\n", b"9" * 11 + b"\n", b"1\n-1\n3\n", b"1\n4000\n3000\n", b"\n" * 512, b"1" * 600],
)
def test_unpack_when_pax_sparse_map_lies_then_refuses(jail, body):
    refused(jail, pax(SPARSE_1_0) + file(b"x", pad(body) + b"abc"), "TAR_HEADER", "LIMIT")


@pytest.mark.parametrize("key", [b"offset", b"numbytes"])
def test_unpack_when_pax_sparse_pairs_are_broken_then_refuses(jail, key):
    records = [(b"GNU.sparse.size", b"10"), (b"GNU.sparse." + key, b"1"), (b"GNU.sparse." + key, b"1")]
    refused(jail, pax(records) + file(b"x", b"a"), "TAR_HEADER")


def test_unpack_when_there_are_more_entries_than_allowed_then_refuses(jail):
    refused(jail, file(b"a") + file(b"b") + file(b"c"), "LIMIT", max_entries=2)


def test_unpack_when_hardlink_leads_to_a_device_then_it_is_recorded_as_one_too(jail):
    data = folder(b"dev") + header(b"dev/null", b"3", device=(1, 3), mode=0o666, uid=4) + file(b"empty")
    data += hardlink(b"a", b"dev/null", mode=0o666) + symlink(b"l", b"dev") + hardlink(b"b", b"l/null")
    data += hardlink(b"c", b"a") + hardlink(b"d", b"empty")
    data += header(b"dev/sda", b"4", device=(8, 0)) + file(b"dev/sda") + hardlink(b"e", b"dev/sda")
    records = {path: (stat.S_IFMT(mode), device) for path, _ids, mode, device, _xattrs in jail.unpack(data).owners}
    null = (stat.S_IFCHR, (1, 3))
    assert {path: said for path, said in records.items() if said[1]} == {
        "dev/null": null,
        "a": null,
        "b": null,
        "c": null,
    }


def test_unpack_when_device_was_replaced_with_its_directory_then_links_to_the_new_file_are_none(jail):
    data = folder(b"d") + header(b"d/n", b"3", device=(1, 3)) + file(b"d") + folder(b"d") + file(b"d/n")
    assert [record for record in jail.unpack(data + hardlink(b"x", b"d/n")).owners if record[3]] == []


@pytest.mark.parametrize(
    ("name", "value", "expected"),
    [
        (b"user.a", b"dmFsdWU=", {"user.a": b"value"}),
        (b"user.a", b"dmFsdWU", {"user.a": b"value"}),
        (b"user.a%20b%25", b"", {"user.a b%": b""}),
        (b"user.nul", b"AAEC/w==", {"user.nul": b"\0\1\2\xff"}),
    ],
)
def test_unpack_when_xattr_is_in_libarchives_form_then_decodes_it(jail, name, value, expected):
    unpacked = jail.unpack(pax({b"LIBARCHIVE.xattr." + name: value}) + file(b"x"))
    held = {**dict(unpacked.owners[0][4] if unpacked.owners else {})}
    for held_name in os.listxattr(unpacked.root / "x"):
        held[held_name] = os.getxattr(unpacked.root / "x", held_name)
    assert held == expected


@pytest.mark.parametrize(("name", "value"), [(b"user.a", b"d!"), (b"user.%4", b""), (b"user.%00", b""), (b"", b"")])
def test_unpack_when_libarchives_form_is_malformed_then_refuses(jail, name, value):
    refused(jail, pax({b"LIBARCHIVE.xattr." + name: value}) + file(b"x"), "TAR_HEADER")


def test_unpack_when_xattr_is_said_in_both_forms_then_it_is_recorded_once(jail):
    forms = [(b"SCHILY.xattr.security.x", b"one"), (b"LIBARCHIVE.xattr.security.x", b"dHdv")]
    assert jail.unpack(pax(forms) + file(b"x")).owners[0][4] == {"security.x": b"two"}


def test_unpack_when_there_are_more_xattrs_than_a_file_can_have_then_refuses(jail):
    many = [(b"SCHILY.xattr.user.%d" % i, b"") for i in range(5000)]
    refused(jail, pax(many) + file(b"x"), "LIMIT")


def test_unpack_when_pax_overrides_every_field_then_the_extended_header_wins(jail):
    told = {b"path": b"by-pax", b"linkpath": b"to-pax", b"uid": b"70000", b"gid": b"80000", b"mtime": b"12.5"}
    unpacked = jail.unpack(pax(told) + header(b"x", b"2", link=b"y", uid=1, gid=2))
    assert os.readlink(unpacked.root / "by-pax") == "to-pax"
    assert unpacked.owners[0][:2] == ("by-pax", (70000, 80000))
    assert (unpacked.root / "by-pax").lstat().st_mtime == 12.5


def test_unpack_when_pax_value_is_empty_then_the_header_counts_again(jail):
    told = {b"uid": b"5", b"mtime": b"7"}
    data = pax(told, b"g") + pax({b"uid": b"", b"path": b""}) + file(b"x", uid=9) + file(b"y")
    assert [record[:2] for record in jail.unpack(data).owners] == [("x", (9, 0)), ("y", (5, 0))]
