"""Records: atomic, bounded, exact; locks."""

from __future__ import annotations

import calendar
import errno
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pod.core import statefile
from pod.core.errors import Busy, StoreCorrupt

VALUES: list[Any] = [
    None, True, False, 0, -1, 2**70, 1.5, "", "ü\n\t\"\\\x00\x1f\u2028", "\udcff", [], {}, [[], {}],
    {"a": [1, {"b": None}], "c": ("t",)}, {"": ""}, [True, 1, 1.0],
]  # fmt: skip


@pytest.mark.parametrize("value", VALUES)
def test_dumps_when_read_by_json_then_the_same(value: Any) -> None:
    text = statefile.dumps(value)
    assert json.loads(text) == json.loads(json.dumps(value))
    assert statefile.loads(text) == json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        b"", b" ", b"{", b"[1,]", b"{} {}", b"nul", b"NaN", b"[Infinity]", b"{1: 2}", b"'a'", b"\xff", b'"\n"',
        b"[" * 99999,
        b'{"a":' * 99999, b"01", b"\xef\xbb\xbf{}", b'"\\ud8"', b"\0",
    ],
)  # fmt: skip
def test_loads_when_it_is_not_json_then_value_error(text: bytes) -> None:
    with pytest.raises(ValueError, match=r".*"):
        statefile.loads(text)


def test_loads_takes_white_space_around() -> None:
    assert statefile.loads(b' \r\n\t{"a": 1}\n ') == {"a": 1}


@pytest.mark.parametrize("value", [{1}, b"x", object(), {"a": {2}}])
def test_dumps_when_a_value_has_no_json_then_type_error(value: Any) -> None:
    with pytest.raises(TypeError, match="cannot write"):
        statefile.dumps(value)


@pytest.mark.parametrize("content", [b"", b"[]", b"3", b"{", b"\0" * 4096])
def test_read_when_it_is_no_object_then_store_corrupt(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "r").write_bytes(content)
    with pytest.raises(StoreCorrupt, match="read record"):
        statefile.read(str(tmp_path / "r"))


def test_read_when_it_is_larger_than_any_record_then_store_corrupt(tmp_path: Path) -> None:
    with (tmp_path / "r").open("wb") as file:
        file.truncate(statefile.MAX_RECORD + 1)
    with pytest.raises(StoreCorrupt, match="more than any record"):
        statefile.read(str(tmp_path / "r"))


def test_read_when_it_is_a_link_or_fifo_then_it_neither_follows_nor_waits(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/etc/passwd")
    os.mkfifo(tmp_path / "fifo")
    with pytest.raises(OSError, match="symbolic"):
        statefile.read(str(tmp_path / "link"))
    with pytest.raises(StoreCorrupt):
        statefile.read(str(tmp_path / "fifo"))


def test_write_replaces_and_leaves_no_other_file(tmp_path: Path) -> None:
    path = str(tmp_path / "r")
    for number in range(3):
        statefile.write(path, {"n": number}, sync=number == 2)
    assert statefile.read(path) == {"n": 2}
    assert os.listdir(tmp_path) == ["r"]
    assert os.stat(path).st_mode & 0o777 == 0o600


def test_write_when_exclusive_and_there_then_file_exists(tmp_path: Path) -> None:
    path = str(tmp_path / "r")
    statefile.write(path, {"n": 1}, exclusive=True)
    with pytest.raises(FileExistsError):
        statefile.write(path, {"n": 2}, exclusive=True)
    assert statefile.read(path) == {"n": 1}
    assert os.listdir(tmp_path) == ["r"]


@pytest.mark.parametrize("name", ["r", "n" * 255])
def test_write_when_it_fails_then_nothing_is_left(tmp_path: Path, name: str) -> None:
    (tmp_path / name).mkdir()
    with pytest.raises(OSError, match="directory"):
        statefile.write(str(tmp_path / name), {})
    assert os.listdir(tmp_path) == [name]


def test_write_when_the_disk_is_full_then_the_error_names_the_file_and_nothing_is_left(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write(fd: int, data: bytes) -> int:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", write)
        with pytest.raises(OSError, match="No space left") as raised:
            statefile.write(str(tmp_path / "r"), {})
    assert raised.value.filename == str(tmp_path / "r")
    assert os.listdir(tmp_path) == []


def test_write_when_many_write_then_readers_see_whole_records(tmp_path: Path) -> None:
    path = str(tmp_path / "r")
    statefile.write(path, {"v": "x" * 10})
    stop = threading.Event()

    def work(size: int) -> None:
        while not stop.is_set():
            statefile.write(path, {"v": "x" * size})

    threads = [threading.Thread(target=work, args=(size,)) for size in (10, 5000, 200_000)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(200):
            assert len(statefile.read(path)["v"]) in (10, 5000, 200_000)
    finally:
        stop.set()
        for thread in threads:
            thread.join(10)


def test_lock_when_held_then_the_wait_is_bounded(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with statefile.Lock(path):
        began = time.monotonic()
        with pytest.raises(Busy, match=r"0\.2 s"), statefile.Lock(path, timeout=0.2):
            pass
        assert 0.2 <= time.monotonic() - began < 5
    with statefile.Lock(path, timeout=0.2):
        pass


def test_lock_when_shared_then_two_readers_and_no_writer(tmp_path: Path) -> None:
    path = str(tmp_path / "lock")
    with statefile.Lock(path, shared=True), statefile.Lock(path, shared=True), pytest.raises(Busy):  # noqa: SIM117
        with statefile.Lock(path, timeout=0.05):
            pass


def test_lock_when_it_is_a_link_then_it_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "lock").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"), statefile.Lock(str(tmp_path / "lock")):
        pass
    assert not (tmp_path / "elsewhere").exists()


def test_timestamp_is_rfc_3339_and_sorts() -> None:
    stamps = [statefile.timestamp() for _ in range(100)]
    assert stamps == sorted(stamps)
    assert len(stamps[0]) == len("2024-01-31T12:00:00.123456789Z")
    moment = calendar.timegm(time.strptime(stamps[0][:19], "%Y-%m-%dT%H:%M:%S"))
    assert abs(moment - time.time()) < 5


def test_loads_when_json_was_never_imported_then_says_what_is_wrong() -> None:
    script = (
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "from pod.core import statefile\n"
        "assert 'json.decoder' not in sys.modules\n"
        "for text in ('{', '[1,', '\"a', '{\"a\" 1}', '[NaN]'):\n"
        "    try:\n"
        "        statefile.loads(text)\n"
        "    except ValueError:\n"
        "        continue\n"
        "    raise SystemExit(text)\n"
    )
    packaging = str(Path(__file__).resolve().parents[3] / "packaging")
    subprocess.run([sys.executable, "-I", "-S", "-c", script, packaging], check=True, timeout=30)
