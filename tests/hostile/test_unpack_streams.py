"""Compressed streams: several members, cut, corrupt, bombs, windows, and what stands behind the archive's end."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import lzma
import os
import resource
import struct
import subprocess
import sys
import threading
import zlib

import pytest

from pod.ext import layer
from pod.ext.errors import StepError
from tests.ext.unpacking import END, Jail, file, tree
from tests.support import tools

DATA = b"".join(file(b"f%d" % i, os.urandom(3000)) for i in range(40))


@pytest.fixture(params=[True, False], ids=["threads", "in line"])
def jail(tmp_path, request):
    made = Jail(tmp_path, threads=request.param)
    yield made
    made.check()


def zstd(data, *options):
    program = tools.find("zstd")
    if program is None:
        pytest.skip("capability zstd: zstd is not installed")
    return subprocess.run([program, "-c", *options], input=data, capture_output=True, check=True, timeout=60).stdout


def refused(jail, blob, *steps, **options):
    with pytest.raises(StepError) as caught:
        jail.unpack(blob, end=b"", **options)
    assert caught.value.step in steps


def check_sums(result, blob, data):
    expected = (hashlib.sha256(blob).hexdigest(), len(blob), hashlib.sha256(data).hexdigest(), len(data))
    assert result[:4] == expected


def compressions():
    data = DATA + END
    yield "plain", data
    yield "gzip", gzip.compress(data)
    yield "gzip members", b"".join(gzip.compress(data[i : i + 10_000]) for i in range(0, len(data), 10_000))
    yield "gzip stored", gzip.compress(data, 0)
    yield "gzip with name", gzip_with_fields(data)


def gzip_with_fields(data):
    deflate = zlib.compressobj(6, zlib.DEFLATED, -15)
    body = deflate.compress(data) + deflate.flush()
    head = b"\x1f\x8b\x08\x1e" + bytes(4) + b"\x00\x03" + struct.pack("<H", 4) + b"ABCD" + b"name\0" + b"comment\0"
    head += struct.pack("<H", zlib.crc32(head) & 0xFFFF)
    return head + body + struct.pack("<II", zlib.crc32(data), len(data))


@pytest.mark.parametrize("blob", [pytest.param(blob, id=name) for name, blob in compressions()])
def test_unpack_when_stream_is_whole_then_both_digests_are_right(jail, blob):
    unpacked = jail.unpack(blob, end=b"")
    check_sums(unpacked.result, blob, DATA + END)
    assert len(tree(unpacked.root)) == unpacked.result[4] == 40


@pytest.mark.parametrize("options", [["-1"], ["-19", "--long=27"], ["--no-check"]])
def test_unpack_when_stream_is_zstd_then_both_digests_are_right(jail, options):
    data = DATA + END
    half = len(data) // 2
    skippable = struct.pack("<II", 0x184D2A53, 5) + b"hello"
    blob = skippable + zstd(data[:half], *options) + skippable + zstd(data[half:], *options)
    check_sums(jail.unpack(blob, end=b"").result, blob, data)


def test_unpack_when_stream_is_zstd_chunked_then_its_table_is_passed_over(jail):
    """containers/storage pkg/chunked: a frame per file, then the table and a footer, each in a skippable frame."""
    data = DATA + END
    frames = b"".join(zstd(data[at : at + 30_000]) for at in range(0, len(data), 30_000))
    table = zstd(b'{"version":1,"entries":[]}' * 1000)
    blob = frames + struct.pack("<II", 0x184D2A50, len(table)) + table
    footer = struct.pack("<QQQQ", len(frames) + 8, len(table), 26_000, 1) + b"GNUlInUx"
    blob += struct.pack("<II", 0x184D2A50, len(footer)) + footer
    check_sums(jail.unpack(blob, end=b"").result, blob, data)


@pytest.mark.parametrize("cut", [1, 4, 8, 20])
def test_unpack_when_skippable_frame_is_cut_then_refuses(jail, cut):
    blob = zstd(DATA + END) + (struct.pack("<II", 0x184D2A50, 1000) + bytes(1000))[:-cut]
    refused(jail, blob, "DECOMPRESS")


@pytest.mark.parametrize("tail", [b"\0" * 512, b"\0" * 10_240, b"garbage behind the archive" * 50_000])
def test_unpack_when_bytes_follow_the_archive_then_they_count_for_the_digest_only(jail, tail):
    data = DATA + END + tail
    blob = gzip.compress(data)
    check_sums(jail.unpack(blob, end=b"").result, blob, data)


def test_unpack_when_archive_follows_the_archive_then_it_is_not_read(jail):
    assert tree(jail.unpack(file(b"a") + END + file(b"b") + END).root) == {"a": "file "}


def test_unpack_when_archive_has_no_end_blocks_then_takes_it(jail):
    assert jail.unpack(DATA, end=b"").result[4] == 40


def test_unpack_when_one_zero_block_is_followed_by_a_header_then_refuses(jail):
    refused(jail, file(b"a") + bytes(512) + file(b"b") + END, "TAR_HEADER")


@pytest.mark.parametrize("cut", [1, 5, 10, 18, 100, 5000, -1, -4, -8, -9])
def test_unpack_when_gzip_is_cut_then_refuses(jail, cut):
    refused(jail, gzip.compress(DATA + END)[:cut], "DECOMPRESS", "TAR_DATA", "TAR_HEADER")


@pytest.mark.parametrize("cut", [6, 100, 5000, -1, -4])
def test_unpack_when_zstd_is_cut_then_refuses(jail, cut):
    refused(jail, zstd(DATA + END)[:cut], "DECOMPRESS")


@pytest.mark.parametrize("cut", [100, 511, 513, 600, 5000])
def test_unpack_when_plain_archive_is_cut_then_refuses(jail, cut):
    refused(jail, DATA[:cut], "TAR_DATA")


@pytest.mark.parametrize("at", [2, 3, 15, 1000, 60_000, -5, -2])
def test_unpack_when_gzip_is_corrupt_then_refuses(jail, at):
    blob = bytearray(gzip.compress(DATA + END))
    blob[at] ^= 0x55
    refused(jail, bytes(blob), "DECOMPRESS", "TAR_HEADER", "TAR_DATA", "TAR_PATH")


@pytest.mark.parametrize("at", [4, 15, 1000, 60_000, -2])
def test_unpack_when_zstd_is_corrupt_then_refuses(jail, at):
    blob = bytearray(zstd(DATA + END))
    blob[at] ^= 0x55
    refused(jail, bytes(blob), "DECOMPRESS", "TAR_HEADER", "TAR_DATA")


@pytest.mark.parametrize("tail", [b"x", b"garbage", b"\x1f\x8b", b"\0", b"\x1f\x8b\x08\0broken"])
def test_unpack_when_garbage_follows_the_last_member_then_refuses(jail, tail):
    refused(jail, gzip.compress(DATA + END) + tail, "DECOMPRESS")
    refused(jail, zstd(DATA + END) + tail, "DECOMPRESS")


@pytest.mark.parametrize("compress", [bz2.compress, lzma.compress])
def test_unpack_when_compression_is_another_then_names_it(jail, compress):
    with pytest.raises(StepError) as caught:
        jail.unpack(compress(DATA), end=b"")
    assert caught.value.step == "DECOMPRESS"
    assert caught.value.path in ("xz", "bzip2")


def test_unpack_when_zstd_window_is_2_gb_then_refuses_without_the_memory(jail):
    """Window descriptor 0xa8: exponent 21, 2 GiB (RFC 8878, 3.1.1.1.2); one raw block of four bytes."""
    frame = b"\x28\xb5\x2f\xfd" + b"\x00" + b"\xa8" + b"\x21\x00\x00" + b"abcd"
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    refused(jail, frame, "DECOMPRESS")
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 64 << 10


def bomb(size):
    deflate = zlib.compressobj(9, zlib.DEFLATED, 31)
    parts = [deflate.compress(file(b"a", b"x")[:512])]
    zeros = bytes(1 << 20)
    parts += [deflate.compress(zeros) for _ in range(size >> 20)]
    return b"".join([*parts, deflate.flush()])


@pytest.mark.parametrize("wrap", [lambda data: data, lambda data: gzip.compress(data)], ids=["bomb", "bomb in a bomb"])
def test_unpack_when_gzip_is_a_bomb_then_ends_at_the_limit(jail, wrap):
    refused(jail, wrap(bomb(64 << 20)), "LIMIT", "TAR_HEADER", max_bytes=1 << 20)


def test_unpack_when_end_of_archive_hides_a_bomb_then_ends_at_the_limit(jail):
    refused(jail, gzip.compress(file(b"a") + END + bytes(64 << 20)), "LIMIT", max_bytes=1 << 20)


def test_unpack_when_there_are_ten_thousand_empty_members_then_takes_time_in_proportion(jail):
    assert jail.unpack(gzip.compress(b"") * 10_000 + gzip.compress(DATA + END), end=b"").result[4] == 40


@pytest.mark.parametrize("blob", [b"", b"\0", b"x", b"\x1f", b"\x28\xb5"])
def test_unpack_when_stream_is_tiny_then_answers(jail, blob):
    if not blob:
        assert jail.unpack(blob, end=b"").result[4] == 0
    else:
        refused(jail, blob, "TAR_DATA", "DECOMPRESS")


def test_unpack_when_it_comes_through_a_pipe_byte_by_byte_then_reads_it_all(jail, tmp_path):
    blob = gzip.compress(file(b"a", b"content") + END)
    reader, writer = os.pipe()

    def feed() -> None:
        for i in range(len(blob)):
            os.write(writer, blob[i : i + 1])
        os.close(writer)

    (jail.base / "diff").mkdir()
    root = os.open(jail.base / "diff", os.O_RDONLY)
    owners = os.open(jail.base / "owners", os.O_RDWR | os.O_CREAT, 0o600)
    thread = threading.Thread(target=feed)
    thread.start()
    try:
        result = layer.extract(reader, root, owners, mapped=False)
    finally:
        thread.join()
        for fd in (reader, root, owners):
            os.close(fd)
    check_sums(result, blob, file(b"a", b"content") + END)


def test_unpack_when_memory_is_measured_then_it_does_not_grow_with_the_layer(tmp_path):
    """300 MB and 20 000 recorded owners through one process: its peak, Python included, stays below 64 MB."""
    script = """
import os, threading
from pod.ext import layer
from tests.ext.unpacking import END, file, header
os.mkdir("diff")
root, owners = os.open("diff", os.O_RDONLY), os.open("owners", os.O_RDWR | os.O_CREAT)
reader, writer = os.pipe()
def feed():
    with os.fdopen(writer, "wb") as out:
        for i in range(300):
            out.write(header(b"big", size=1 << 20, uid=7))
            out.write(bytes(1 << 20))
        for i in range(20000):
            out.write(file(b"same", b"x", uid=i % 100))
        out.write(END)
thread = threading.Thread(target=feed)
thread.start()
layer.extract(reader, root, owners, mapped=False)
thread.join()
print(open("/proc/self/status").read().split("VmHWM:")[1].split()[0])
"""
    environ = {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}
    done = subprocess.run(
        [sys.executable, "-c", script], cwd=tmp_path, env=environ, stdout=subprocess.PIPE, timeout=120, check=True
    )
    assert int(done.stdout) < 64 << 10
