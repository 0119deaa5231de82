"""Extraction of a blob that is still being written: what the pipe says holds."""

from __future__ import annotations

import errno
import gzip
import hashlib
import os
import signal
import struct
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from pod.ext import layer
from pod.ext.errors import StepError
from tests.ext.unpacking import END, file, folder, tree

FINAL = 1 << 63
PLAIN = folder(b"d") + b"".join(file(b"d/%d" % i, os.urandom(50_000)) for i in range(40)) + END
BLOB = gzip.compress(PLAIN, 1)


class Growing:
    """A blob, its pipe, and a place to extract to."""

    def __init__(self, base: Path) -> None:
        self.blob = os.open(base / "blob", os.O_RDWR | os.O_CREAT)
        self.follow, self.told = os.pipe()
        (base / "diff").mkdir()
        self.path = base / "diff"
        self.root = os.open(self.path, os.O_RDONLY)
        self.owners = os.open(base / "owners", os.O_RDWR | os.O_CREAT)

    def write(self, data: bytes) -> None:
        """Behind what is there; extraction does not mind the file's position."""
        while data:
            data = data[os.write(self.blob, data) :]

    def tell(self, *values: int) -> None:
        os.write(self.told, b"".join(struct.pack("<Q", value) for value in values))

    def end(self) -> None:
        """Closes the writer's side."""
        if self.told >= 0:
            os.close(self.told)
            self.told = -1

    def extract(self) -> tuple[str, int, str, int, int]:
        return layer.extract(self.blob, self.root, self.owners, mapped=False, follow=self.follow)

    def refused(self) -> tuple[str, int | None]:
        with pytest.raises(StepError) as caught:
            self.extract()
        return caught.value.step, caught.value.errno

    def close(self) -> None:
        self.end()
        for fd in (self.blob, self.follow, self.root, self.owners):
            os.close(fd)


@pytest.fixture
def growing(tmp_path: Path) -> Iterator[Growing]:
    made = Growing(tmp_path)
    yield made
    made.close()


def check(growing: Growing, result: tuple[str, int, str, int, int], blob: bytes, plain: bytes) -> None:
    expected = (hashlib.sha256(blob).hexdigest(), len(blob), hashlib.sha256(plain).hexdigest(), len(plain))
    assert result[:4] == expected
    assert len(tree(growing.path)) == 41


@pytest.mark.parametrize("blob", [PLAIN, BLOB], ids=["plain", "gzip"])
def test_extract_when_blob_grows_then_follows_it_to_its_end(growing, blob):
    def feed() -> None:
        at = 0
        for size in (1, 2, 3, 20_000, 7, 300_000, 100_000):
            growing.write(blob[at : at + size])
            at += size
            growing.tell(at)
            time.sleep(0.01)
        growing.write(blob[at:])
        growing.tell(len(blob) | FINAL)

    thread = threading.Thread(target=feed)
    thread.start()
    result = growing.extract()
    thread.join()
    check(growing, result, blob, PLAIN)


def test_extract_when_messages_come_in_pieces_and_heaps_then_the_last_whole_one_counts(growing):
    def feed() -> None:
        growing.write(BLOB)
        whole = b"".join(struct.pack("<Q", at) for at in range(0, len(BLOB), 1000))
        whole += struct.pack("<Q", len(BLOB) | FINAL)
        for at in range(0, len(whole), 1003):
            os.write(growing.told, whole[at : at + 1003])
            time.sleep(0.001)

    thread = threading.Thread(target=feed)
    thread.start()
    result = growing.extract()
    thread.join()
    check(growing, result, BLOB, PLAIN)


def test_extract_when_all_is_there_at_once_then_reads_from_the_start(growing):
    growing.write(BLOB)
    growing.tell(len(BLOB) | FINAL)
    growing.end()
    check(growing, growing.extract(), BLOB, PLAIN)


def test_extract_when_file_goes_on_behind_what_is_valid_then_that_is_not_read(growing):
    growing.write(BLOB + b"not yet")
    growing.tell(10, len(BLOB) | FINAL)
    check(growing, growing.extract(), BLOB, PLAIN)


@pytest.mark.parametrize("told", [[], [0], [5000], [len(BLOB)]])
def test_extract_when_writer_gives_up_then_is_cancelled(growing, told):
    growing.write(BLOB)
    growing.tell(*told)
    growing.end()
    assert growing.refused() == ("READ", errno.ECANCELED)


def test_extract_when_last_message_is_cut_then_is_cancelled(growing):
    growing.write(BLOB)
    os.write(growing.told, struct.pack("<Q", len(BLOB) | FINAL)[:7])
    growing.end()
    assert growing.refused() == ("READ", errno.ECANCELED)


def test_extract_when_less_is_valid_than_before_then_refuses(growing):
    growing.write(BLOB)
    growing.tell(5000, 4000, len(BLOB) | FINAL)
    assert growing.refused() == ("READ", errno.EBADMSG)


def test_extract_when_file_is_shorter_than_was_said_then_refuses(growing):
    growing.write(BLOB[:-10])
    growing.tell(len(BLOB) | FINAL)
    assert growing.refused() == ("READ", errno.ENODATA)


def test_extract_when_layer_is_cut_short_by_its_writer_then_is_no_whole_layer(growing):
    growing.write(BLOB)
    growing.tell((len(BLOB) - 100) | FINAL)
    assert growing.refused()[0] in ("DECOMPRESS", "TAR_DATA")


def test_extract_when_interrupted_while_nothing_comes_then_raises_it(growing):
    growing.write(BLOB[:1000])
    growing.tell(1000)
    main = threading.main_thread().ident
    assert main is not None

    def interrupt() -> None:
        time.sleep(0.2)
        signal.pthread_kill(main, signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        thread.start()
        with pytest.raises(KeyboardInterrupt):
            growing.extract()
        thread.join()
    finally:
        signal.signal(signal.SIGINT, before)
