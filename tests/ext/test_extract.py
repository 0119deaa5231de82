"""What a well-meant layer becomes on disk and in the owners record."""

from __future__ import annotations

import os
import signal
import stat
import subprocess
import sys
import threading
import time

import pytest

from pod.ext import layer
from pod.ext.errors import StepError
from tests.ext.unpacking import END, Jail, file, folder, hardlink, header, opaque, pax, symlink, tree
from tests.support import tools


@pytest.fixture(params=[True, False], ids=["threads", "in line"])
def jail(tmp_path, request):
    made = Jail(tmp_path, threads=request.param)
    yield made
    made.check()


def test_extract_when_layer_has_all_kinds_then_tree_has_them(jail):
    data = folder(b"./", 0o755) + folder(b"d") + file(b"d/f", b"text", mode=0o640) + symlink(b"d/s", b"../x")
    data += hardlink(b"d/h", b"d/f") + header(b"d/p", b"6", mode=0o600) + file(b"deep/er/f")
    unpacked = jail.unpack(data)
    assert tree(unpacked.root) == {
        "d": "dir",
        "d/f": "file text",
        "d/s": "link ../x",
        "d/h": "file text",
        "d/p": "fifo",
        "deep": "dir",
        "deep/er": "dir",
        "deep/er/f": "file ",
    }
    assert unpacked.result[4] == 7
    assert stat.S_IMODE((unpacked.root / "deep").stat().st_mode) == 0o755
    assert unpacked.owners == []


@pytest.mark.parametrize("umask", [0, 0o22, 0o77, 0o777])
def test_extract_when_umask_is_strict_then_modes_are_the_archives(jail, umask):
    before = os.umask(umask)
    try:
        unpacked = jail.unpack(
            file(b"f", mode=0o666) + folder(b"d", 0o777) + header(b"p", b"6", mode=0o666) + file(b"i/f", mode=0o604)
        )
    finally:
        os.umask(before)
    modes = {name: stat.S_IMODE((unpacked.root / name).stat().st_mode) for name in ("f", "d", "p", "i", "i/f")}
    assert modes == {"f": 0o666, "d": 0o777, "p": 0o666, "i": 0o755, "i/f": 0o604}


def test_extract_when_directories_are_filled_in_turns_then_their_times_stay(jail):
    data = folder(b"a", mtime=11) + folder(b"b", mtime=12) + folder(b"a/c", mtime=13)
    for i in range(5):
        data += file(b"a/%d" % i) + file(b"b/%d" % i) + file(b"a/c/%d" % i) + symlink(b"b/l%d" % i, b"/")
    data += hardlink(b"b/h", b"a/c/1") + file(b"b/.wh.x")
    root = jail.unpack(data).root
    assert [(root / name).stat().st_mtime for name in ("a", "b", "a/c")] == [11, 12, 13]


def test_extract_when_times_have_fractions_then_keeps_nanoseconds(jail):
    data = pax({b"mtime": b"1234567890.123456789"}) + file(b"f") + pax({b"mtime": b"-1.25"}) + symlink(b"s", b"f")
    root = jail.unpack(data).root
    assert (root / "f").stat().st_mtime_ns == 1234567890123456789
    assert (root / "s").lstat().st_mtime_ns == -1_250_000_000


def test_extract_when_single_id_then_owners_are_recorded_sorted(jail):
    data = file(b"b-c", uid=1) + folder(b"b", uid=2) + file(b"b/x", gid=3) + file(b"a") + symlink(b"l", b"a")
    data += header(b"s", b"2", link=b"a", uid=5, gid=6)
    owners = jail.unpack(data).owners
    assert [(path, ids) for path, ids, *_ in owners] == [("b", (2, 0)), ("b/x", (0, 3)), ("b-c", (1, 0)), ("s", (5, 6))]
    assert stat.S_ISLNK(owners[3][2])


def test_extract_when_path_goes_through_a_link_then_record_has_the_real_path(jail):
    unpacked = jail.unpack(folder(b"usr/lib") + symlink(b"lib", b"usr/lib") + file(b"lib/x", b"1", uid=9))
    assert [record[0] for record in unpacked.owners] == ["usr/lib/x"]


def test_extract_when_things_are_replaced_then_only_the_last_record_counts(jail):
    data = folder(b"d", uid=1) + file(b"d/f", uid=1) + file(b"g", uid=1) + header(b"n", b"3", device=(1, 3))
    data += file(b"d", b"now a file") + file(b"g", uid=2) + file(b"n") + folder(b"e", uid=3) + folder(b"e")
    owners = jail.unpack(data).owners
    assert [(path, ids) for path, ids, *_ in owners if ids] == [("g", (2, 0))]
    assert all(device is None for *_, device, _xattrs in owners)


def test_extract_when_single_id_then_files_carry_what_the_disk_does_not_say(jail):
    """As attributes, which overlayfs copies up: of what can have some and is not root's, and as the last entry says."""
    forged = pax({b"SCHILY.xattr.user.pod.owner": b"9:9"}) + file(b"forged")
    data = file(b"f", b"x", uid=1, gid=2) + file(b"empty", uid=3) + file(b"big", bytes(100_000), uid=4) + file(b"root")
    data += folder(b"d", uid=5) + folder(b"was", uid=6) + folder(b"was") + header(b"n", b"3", device=(1, 3), uid=7)
    data += header(b"b", b"4", device=(8, 1)) + hardlink(b"again", b"f", uid=1, gid=2) + symlink(b"l", b"f") + forged
    root = jail.unpack(data).root
    held = [path for path in root.iterdir() if os.listxattr(path, follow_symlinks=False)]
    noted = {path.name: os.getxattr(path, "user.pod.owner") for path in held}
    assert noted == {
        "f": b"1:2", "again": b"1:2", "empty": b"3:0", "big": b"4:0", "d": b"5:0", "n": b"7:0:c:1:3", "b": b"0:0:b:8:1",
    }  # fmt: skip


def test_extract_when_pax_has_owner_and_xattrs_then_uses_them(jail):
    capability = bytes.fromhex("0100000200200000000000000000000000000000")
    data = pax({b"uid": b"70000", b"gid": b"70001", b"SCHILY.xattr.user.a": b"v", b"SCHILY.xattr.user.nul": b"\0x\n"})
    data += file(b"f") + pax({b"SCHILY.xattr.security.capability": capability}) + file(b"ping")
    data += pax({b"SCHILY.xattr.security.selinux": b"label", b"SCHILY.xattr.system.x": b"y"}) + file(b"labelled")
    unpacked = jail.unpack(data)
    records = {record[0]: record for record in unpacked.owners}
    assert records["f"][1] == (70000, 70001)
    held = {**records["f"][4]}
    held.update({name: os.getxattr(unpacked.root / "f", name) for name in os.listxattr(unpacked.root / "f")})
    assert held == {"user.a": b"v", "user.nul": b"\0x\n", "user.pod.owner": b"70000:70001"}
    on_disk = "security.capability" in os.listxattr(unpacked.root / "ping")
    assert on_disk or records["ping"][4] == {"security.capability": capability}
    assert records["labelled"][4] == {"security.selinux": b"label"}


def test_extract_when_global_header_names_an_owner_then_it_holds_until_said_otherwise(jail):
    data = pax({b"uid": b"5", b"comment": b"of git"}, b"g") + file(b"a") + pax({b"uid": b"6"}) + file(b"b") + file(b"c")
    assert [ids for _, ids, *_ in jail.unpack(data).owners] == [(5, 0), (6, 0), (5, 0)]


def test_extract_when_format_is_v7_then_directories_end_in_a_slash(jail):
    assert tree(jail.unpack(header(b"d/", b"\0", magic=b"", mode=0o755) + header(b"d/f", b"\0", magic=b"")).root) == {
        "d": "dir",
        "d/f": "file ",
    }


def test_extract_when_name_has_a_prefix_then_joins_them(jail):
    assert tree(jail.unpack(header(b"name", prefix=b"some/where")).root)["some/where/name"] == "file "


def test_extract_when_whiteouts_then_overlay_terms(jail):
    unpacked = jail.unpack(folder(b"d") + file(b"d/.wh.gone") + folder(b"o") + file(b"o/.wh..wh..opq") + file(b".wh.t"))
    assert tree(unpacked.root) == {"d": "dir", "d/gone": "whiteout", "o": "dir", "t": "whiteout"}
    assert (opaque(unpacked.root / "o"), opaque(unpacked.root / "d")) == (True, False)


def test_extract_when_gnu_tar_wrote_it_then_reads_it(jail, tmp_path):
    source = jail.outside / "../source"
    source.mkdir()
    try:
        (source / ("long" * 50)).mkdir()
        (source / ("long" * 50) / ("name" * 40)).write_text("x")
        with open(source / "sparse", "wb") as sparse:
            for at in range(30):
                sparse.seek(at * 100_000)
                sparse.write(b"%d" % at)
            sparse.truncate(5_000_000)
        contents = (source / "sparse").read_bytes()
        for style in (["--format=gnu"], ["--format=posix"], ["--format=posix", "--sparse-version=0.1"]):
            done = subprocess.run(
                ["tar", *style, "-S", "-C", str(source), "-c", "."], stdout=subprocess.PIPE, check=True, timeout=60
            )
            root = jail.unpack(done.stdout, end=b"").root
            assert (root / "sparse").read_bytes() == contents
            assert (root / ("long" * 50) / ("name" * 40)).read_text() == "x"
    finally:
        fd = os.open(source / "..", os.O_RDONLY)
        layer.rmtree(fd, "source")
        os.close(fd)
        os.utime(tmp_path, (1, 1))


def test_extract_when_disk_is_full_then_says_so(jail):
    device = os.open("/dev/full", os.O_RDWR)
    root = os.open(jail.base, os.O_RDONLY)
    reader = pipe_of(header(b"x", b"3") + END)
    with pytest.raises(StepError) as caught:
        layer.extract(reader, root, device, mapped=False)
    for fd in (reader, root, device):
        os.close(fd)
    os.unlink(jail.base / "x")
    assert (caught.value.step, caught.value.strerror) == ("OWNERS", "No space left on device")


def pipe_of(data):
    reader, writer = os.pipe()
    os.write(writer, data)
    os.close(writer)
    return reader


def test_extract_when_interrupted_while_it_waits_then_raises_it(tmp_path):
    reader, writer = os.pipe()
    os.mkdir(tmp_path / "diff")
    root = os.open(tmp_path / "diff", os.O_RDONLY)
    owners = os.open(tmp_path / "owners", os.O_RDWR | os.O_CREAT)
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        time.sleep(0.2)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # a suite in the background is born ignoring it
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            layer.extract(reader, root, owners, mapped=False)
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
    for fd in (reader, writer, root, owners):
        os.close(fd)


@pytest.mark.parametrize("bad", [{"dialect": "zfs"}, {"max_bytes": -1}])
def test_extract_when_arguments_are_wrong_then_refuses(jail, bad):
    with pytest.raises((KeyError, OverflowError)):
        jail.unpack(b"", **bad)


MAPPED = """
import os, sys
from pathlib import Path
from tests.ext.unpacking import *
capability = bytes.fromhex("0100000200200000000000000000000000000000")
data = folder(b"d", 0o2775, uid=5, gid=6) + file(b"d/f", mode=0o4755, uid=7, gid=8) + symlink(b"d/s", b"x")
data += header(b"l", b"2", link=b"x", uid=9) + file(b"far", uid=3000000) + hardlink(b"h", b"d/f")
data += pax({b"SCHILY.xattr.security.capability": capability}) + file(b"cap", uid=3, mode=0o755)
data += file(b"d/late")
unpacked = unpack(data, Path("."), mapped=True)
for name in ("d", "d/f", "d/s", "l", "far", "cap", "h", "d/late"):
    status = (unpacked.root / name).lstat()
    print(name, status.st_uid, status.st_gid, oct(status.st_mode & 0o7777))
print([record[:2] for record in unpacked.owners], os.listxattr(unpacked.root / "cap"))
fd = os.open(".", os.O_RDONLY)
layer.rmtree(fd, "diff")
"""


@pytest.mark.sub_ids
def test_extract_when_mapped_then_chowns_for_real(tmp_path):
    if tools.find("unshare") is None:
        pytest.skip("capability unshare: not installed")
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    command = ["unshare", "--map-root-user", "--map-auto", sys.executable, "-c", MAPPED]
    done = subprocess.run(command, cwd=tmp_path, env=environ, capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        "d 5 6 0o2775",
        "d/f 7 8 0o4755",
        "d/s 0 0 0o777",
        "l 9 0 0o777",
        "far 0 0 0o644",
        "cap 3 0 0o755",
        "h 7 8 0o4755",
        "d/late 0 0 0o644",
        "[('far', (3000000, 0))] ['security.capability']",
    ]


def test_probe_dialect_when_tried_then_leaves_nothing(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    assert layer.probe_dialect(fd) in ("overlay", "aufs")
    os.close(fd)
    assert os.listdir(tmp_path) == []


def test_step_error_when_raised_then_has_errno_step_and_path(jail):
    with pytest.raises(OSError, match=r"accept an entry's path: \.\./x: Invalid cross-device link") as caught:
        jail.unpack(file(b"../x"))
    assert isinstance(caught.value, StepError)
    assert (caught.value.step, caught.value.path, caught.value.filename) == ("TAR_PATH", "../x", "../x")


