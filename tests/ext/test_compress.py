"""Streams to compressed layers and back: what comes out is what went in, and the same whoever compresses it."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import random
import shutil
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from pod.ext import layer
from pod.ext.errors import StepError
from tests.support import compilers, places

PIECE = 524288


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def mixed(size: int) -> bytes:
    """Bytes of which some repeat and some do not, the same each time."""
    some = random.Random(7)
    found = bytearray()
    while len(found) < size:
        found += some.choice((some.randbytes(3000), b"all the same " * 500, bytes(9000), some.randbytes(40) * 100))
    return bytes(found[:size])


SIZES = (0, 1, 1000, PIECE - 1, PIECE, PIECE + 1, 5 * PIECE + 17)


def compressed(tmp_path: Path, data: bytes, kind: str, threads: int = 0) -> bytes:
    """``data`` as ``kind``, after a look at what was said of both sides."""
    source, target = tmp_path / "source", tmp_path / "target"
    source.write_bytes(data)
    with source.open("rb") as reader, target.open("wb") as writer:
        told = layer.compress(reader.fileno(), writer.fileno(), kind, threads=threads)
    found = target.read_bytes()
    assert told == (sha(found), len(found), sha(data), len(data))
    return found


def decompressed(tmp_path: Path, blob: bytes, **more: int) -> bytes:
    source, target = tmp_path / "blob", tmp_path / "plain"
    source.write_bytes(blob)
    with source.open("rb") as reader, target.open("wb") as writer:
        child, answer = layer.start_decompress(reader.fileno(), writer.fileno(), userns=True, **more)
        said = b"".join(iter(lambda: os.read(answer, 4096), b""))
        os.close(answer)
        os.waitpid(child, 0)
        told = layer.extract_result(said)[:4]
    found = target.read_bytes()
    assert told == (sha(blob), len(blob), sha(found), len(found))
    return found


@pytest.mark.parametrize("size", SIZES)
def test_compress_to_gzip_then_another_decoder_reads_the_same(tmp_path: Path, size: int) -> None:
    data = mixed(size)
    blob = compressed(tmp_path, data, "gzip")
    assert gzip.decompress(blob) == data
    assert blob[:10] == b"\x1f\x8b\x08\0\0\0\0\0\0\xff"
    assert decompressed(tmp_path, blob) == data


@pytest.mark.parametrize("kind", ["zstd", "none"])
@pytest.mark.parametrize("size", SIZES)
def test_compress_to_zstd_or_not_then_the_same_comes_back(tmp_path: Path, size: int, kind: str) -> None:
    data = mixed(size)
    blob = compressed(tmp_path, data, kind)
    assert decompressed(tmp_path, blob) == data
    assert kind == "zstd" or blob == data
    if kind == "zstd" and shutil.which("zstd"):
        done = subprocess.run(["zstd", "-dc"], input=blob, capture_output=True, check=True, timeout=60)
        assert done.stdout == data


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_compress_with_any_number_of_threads_then_same_bytes(tmp_path: Path, kind: str) -> None:
    data = mixed(20 * PIECE + 5)
    found = [compressed(tmp_path, data, kind, threads) for threads in (1, 2, 3, 8, 0)]
    assert len(set(found)) == 1
    assert len(found[0]) < len(data)


def test_compress_what_does_not_shrink_then_it_grows_by_little(tmp_path: Path) -> None:
    data = os.urandom(4 * PIECE)
    for kind in ("gzip", "zstd"):
        blob = compressed(tmp_path, data, kind)
        assert len(blob) < len(data) * 1.001 + 100
        assert decompressed(tmp_path, blob) == data


def test_compress_from_a_pipe_that_gives_little_at_a_time_then_same_bytes(tmp_path: Path) -> None:
    data = mixed(2 * PIECE + 100)
    expected = compressed(tmp_path, data, "gzip")
    reader, writer = os.pipe()

    def feed() -> None:
        for at in range(0, len(data), 7001):
            os.write(writer, data[at : at + 7001])
        os.close(writer)

    thread = threading.Thread(target=feed)
    thread.start()
    with (tmp_path / "piped").open("wb") as target:
        told = layer.compress(reader, target.fileno(), "gzip")
    thread.join(30)
    os.close(reader)
    assert (tmp_path / "piped").read_bytes() == expected
    assert told[0] == sha(expected)


def test_decompress_several_members_then_all_of_them(tmp_path: Path) -> None:
    parts = [mixed(70_000), b"", mixed(PIECE)]
    assert decompressed(tmp_path, b"".join(map(gzip.compress, parts))) == b"".join(parts)
    with pytest.raises(StepError) as caught:
        decompressed(tmp_path, gzip.compress(parts[2])[:-9])
    assert (caught.value.step, caught.value.errno) == ("DECOMPRESS", errno.ENODATA)


def test_decompress_a_bomb_then_refused_at_the_limit(tmp_path: Path) -> None:
    with pytest.raises(StepError) as caught:
        decompressed(tmp_path, gzip.compress(bytes(8 << 20)), max_bytes=4 << 20)
    assert (caught.value.step, caught.value.errno) == ("LIMIT", errno.EFBIG)
    assert (tmp_path / "plain").stat().st_size <= 4 << 20


@pytest.mark.parametrize("threads", [1, 3])
@pytest.mark.parametrize("kind", ["gzip", "zstd", "none"])
def test_compress_to_a_full_disk_then_its_errno(tmp_path: Path, kind: str, threads: int) -> None:
    (tmp_path / "source").write_bytes(os.urandom(12 * PIECE))
    with (tmp_path / "source").open("rb") as source, open("/dev/full", "wb") as target:
        with pytest.raises(StepError) as caught:
            layer.compress(source.fileno(), target.fileno(), kind, threads=threads)
        assert (caught.value.step, caught.value.errno) == ("WRITE", errno.ENOSPC)


def test_compress_what_never_comes_then_an_interrupt_ends_it() -> None:
    lines = ("import os", "from pod.ext import layer", "r, w = os.pipe()", "print('ready', flush=True)")
    command = [sys.executable, "-c", "\n".join([*lines, "layer.compress(r, 1, 'none')"])]
    folder = places.REPOSITORY / "packaging"
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert "KeyboardInterrupt" in said


FILL = """
#include <stdint.h>
#include <stddef.h>

extern void *__libc_malloc(size_t size);

void *malloc(size_t size)
{
    uint16_t *found = __libc_malloc(size);

    for (size_t i = 0; found && size > 65536 && i < size / 2; i++)
        found[i] = 9;
    return found;
}
"""


def test_compress_whatever_the_memory_held_before_then_same_bytes(tmp_path: Path) -> None:
    data = mixed(2 * PIECE + 100)
    expected = sha(compressed(tmp_path, data, "gzip"))
    (tmp_path / "fill.c").write_text(FILL)
    filler = compilers.build(compilers.host(), tmp_path / "fill.c", tmp_path / "fill.so", "-shared", "-fPIC")
    lines = ("import sys", "from pod.ext import layer", "one, other = (open(name, 'rb+') for name in sys.argv[1:])")
    call = "print(layer.compress(one.fileno(), other.fileno(), 'gzip')[0])"
    done = subprocess.run(
        [sys.executable, "-c", "\n".join([*lines, call]), tmp_path / "source", tmp_path / "target"],
        env={**os.environ, "LD_PRELOAD": f"{os.environ.get('LD_PRELOAD', '')} {filler}"},  # sanitizers want to be first
        cwd=places.REPOSITORY / "packaging",
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    assert done.stdout == expected + "\n"


MAIN = r"""
#include <stdio.h>
#include "deflate.h"

int main(void)
{
    static unsigned char in[1 << 20], out[2 << 20];
    struct pod_err err = {0};
    struct pod_deflate *deflate;
    size_t length = fread(in, 1, sizeof in, stdin), put;
    unsigned crc = pod_deflate_crc(0, in, length);
    unsigned char tail[10] = {3, 0, crc, crc >> 8, crc >> 16, crc >> 24};

    for (int i = 0; i < 4; i++)
        tail[6 + i] = length >> 8 * i;

    if (pod_deflate_open(&deflate, &err) || pod_deflate_run(deflate, in, length, out, &put, &err))
        return 1;
    pod_deflate_close(&deflate);
    fwrite("\x1f\x8b\x08\0\0\0\0\0\0\xff", 1, 10, stdout);
    fwrite(out, 1, put, stdout);
    return fwrite(tail, 1, 10, stdout) != 10;
}
"""


def test_deflate_without_isal_writes_what_anyone_reads(tmp_path: Path) -> None:
    program = compilers.without_isal(tmp_path, "deflate", MAIN)
    for data in (mixed(900_000), os.urandom(900_000)):
        done = subprocess.run([program], input=data, capture_output=True, check=True, timeout=60)
        assert gzip.decompress(done.stdout) == data
