"""core/image/compress: which side is which, and failures in one line."""

from __future__ import annotations

import gzip
import hashlib
import os
from pathlib import Path

import pytest

from pod.core.errors import PodError
from pod.core.image import compress


def sha(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def told(written: compress.Written) -> tuple[str, int, str, int]:
    return written.digest, written.size, written.diff_id, written.raw_size


def test_write_and_plain_when_done_then_both_name_the_sides_alike(tmp_path: Path) -> None:
    data = b"an archive " * 90_000
    (tmp_path / "raw").write_bytes(data)
    with (tmp_path / "raw").open("rb") as source, (tmp_path / "blob").open("wb") as target:
        first = told(compress.write(source.fileno(), target.fileno()))
    blob = (tmp_path / "blob").read_bytes()
    assert first == (sha(blob), len(blob), sha(data), len(data))
    assert gzip.decompress(blob) == data
    with (tmp_path / "blob").open("rb") as source, (tmp_path / "again").open("wb") as target:
        assert told(compress.plain(source.fileno(), target.fileno())) == first
    assert (tmp_path / "again").read_bytes() == data


def test_write_to_a_full_disk_then_one_line_with_a_hint(tmp_path: Path) -> None:
    (tmp_path / "raw").write_bytes(os.urandom(1 << 20))
    with (tmp_path / "raw").open("rb") as source, open("/dev/full", "wb") as target, pytest.raises(PodError) as caught:
        compress.write(source.fileno(), target.fileno(), compress.NONE)
    assert str(caught.value.message) == "compress layer: write: No space left on device"
    assert "POD_ROOT" in str(caught.value.hint)


def test_plain_of_what_is_damaged_or_too_large_then_refused(tmp_path: Path) -> None:
    (tmp_path / "blob").write_bytes(gzip.compress(bytes(1 << 20))[:-1])
    with (tmp_path / "blob").open("rb") as source, open(os.devnull, "wb") as target:
        with pytest.raises(PodError, match=r"^decompress layer: decompress: ends too early"):
            compress.plain(source.fileno(), target.fileno())
        os.lseek(source.fileno(), 0, os.SEEK_SET)
        with pytest.raises(PodError, match=r"^decompress layer: stay within a limit"):
            compress.plain(source.fileno(), target.fileno(), max_bytes=1000)
