"""pod.core.image.blobs: nothing visible but what has its digest."""

from __future__ import annotations

import fcntl
import os
import resource
import threading
import time

import pytest

from pod.core.engine import Engine
from pod.core.errors import DigestMismatch, PodError, StoreCorrupt
from pod.core.image import blobs, layout, leftovers
from tests.unit.core.image.conftest import digest


@pytest.fixture(autouse=True)
def _prepared(engine: Engine) -> None:
    layout.prepare(engine)


def test_put_when_twice_then_one_blob(engine: Engine) -> None:
    assert blobs.put(engine, b"x") == blobs.put(engine, b"x") == digest(b"x")
    assert os.listdir(engine.paths.blobs) == [digest(b"x")[7:]]
    assert blobs.read(engine, digest(b"x"), 10) == b"x"


@pytest.mark.parametrize("data", [b"xy", b"xyz!", b"xyy", b""])
def test_writer_when_content_differs_then_nothing_left(engine: Engine, data: bytes) -> None:
    def write() -> None:
        with blobs.Writer(engine, digest(b"xyz"), 3) as writer:
            writer.write(data)
            writer.commit()

    with pytest.raises(DigestMismatch):
        write()
    assert os.listdir(engine.paths.blobs) == []


def test_writer_when_the_disk_is_full_then_one_line_a_hint_and_nothing_left(engine: Engine) -> None:
    data = b"x" * 100_000
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, limits[1]))
    try:
        with pytest.raises(PodError, match=r"store blob: sha256:.*: File too large") as caught:
            blobs.put(engine, data)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert "POD_ROOT" in str(caught.value.hint)
    assert os.listdir(engine.paths.blobs) == []


def test_writer_when_restarted_then_only_the_second_half_counts(engine: Engine) -> None:
    with blobs.Writer(engine, digest(b"new"), 3) as writer:
        writer.write(b"ol")
        assert writer.received == 2
        writer.restart()
        writer.write(b"new")
        writer.commit()
    assert blobs.read(engine, digest(b"new"), 3) == b"new"


def test_read_when_changed_or_missing_then_store_corrupt(engine: Engine) -> None:
    name = blobs.put(engine, b"x")
    with open(engine.paths.blob(name), "wb") as file:
        file.write(b"y")
    with pytest.raises(StoreCorrupt, match="has changed"):
        blobs.read(engine, name, 10)
    with pytest.raises(StoreCorrupt, match="missing"):
        blobs.read(engine, digest(b"z"), 10)


def test_collect_when_writer_is_dead_then_removed_and_the_living_stay(engine: Engine) -> None:
    old = time.time() - 2 * leftovers.PART_AGE
    dead = engine.paths.blobs + "/.part-0000-1-dead"
    with open(dead, "wb"):
        pass
    os.utime(dead, (old, old))
    fresh = engine.paths.blobs + "/.part-0000-1-fresh"
    with open(fresh, "wb"):
        pass
    with blobs.Writer(engine, digest(b"x"), 1) as writer:
        (living,) = [name for name in os.listdir(engine.paths.blobs) if "0000-1" not in name]
        os.utime(f"{engine.paths.blobs}/{living}", (old, old))
        assert leftovers.collect(engine) == 1
        writer.write(b"x")
        writer.commit()
    assert sorted(os.listdir(engine.paths.blobs)) == [".part-0000-1-fresh", digest(b"x")[7:]]


def test_turn_when_another_holds_it_and_the_blob_appears_then_no_wait(engine: Engine) -> None:
    with blobs.Turn(engine, digest(b"x")) as first, blobs.Turn(engine, digest(b"x")) as second:
        first.wait(threading.Event())
        timer = threading.Timer(0.2, blobs.put, (engine, b"x"))
        timer.start()
        began = time.monotonic()
        second.wait(threading.Event())
        timer.join()
        assert 0.1 < time.monotonic() - began < 3
        assert blobs.has(engine, digest(b"x"), 1)


def test_turn_when_the_holder_is_stuck_then_goes_ahead(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blobs.Turn, "STALL", 0.3)
    with blobs.Turn(engine, digest(b"x")) as first, blobs.Turn(engine, digest(b"x")) as second:
        first.wait(threading.Event())
        began = time.monotonic()
        second.wait(threading.Event())
        assert 0.2 < time.monotonic() - began < 3


def test_prepare_when_umask_is_wide_then_store_is_private(engine: Engine) -> None:
    for folder in (engine.paths.root, engine.paths.blobs, engine.paths.refs, engine.paths.images):
        assert os.stat(folder).st_mode & 0o777 == 0o700


def abandon(engine: Engine, data: bytes, whole: bytes) -> None:
    """What a writer leaves that is killed after ``data`` of the blob ``whole``."""
    writer = blobs.Writer(engine, digest(whole), len(whole)).__enter__()
    writer.write(data)
    os.close(writer._fd)


def test_writer_when_another_died_then_goes_on_with_its_file(engine: Engine) -> None:
    whole = os.urandom(3_000_000)
    abandon(engine, whole[:2_000_000], whole)
    with blobs.Writer(engine, digest(whole), len(whole)) as writer:
        assert writer.resumed
        writer.catch_up(threading.Event())
        assert writer.received == 2_000_000
        writer.write(whole[2_000_000:])
        writer.commit()
    assert blobs.read(engine, digest(whole), 1 << 22) == whole
    assert os.listdir(engine.paths.blobs) == [digest(whole)[7:]]


def test_writer_when_another_lives_then_a_file_of_its_own(engine: Engine) -> None:
    with blobs.Writer(engine, digest(b"x"), 1) as first, blobs.Writer(engine, digest(b"x"), 1) as second:
        assert not second.resumed
        assert len(os.listdir(engine.paths.blobs)) == 2
        first.write(b"x")
        first.commit()
    assert os.listdir(engine.paths.blobs) == [digest(b"x")[7:]]


def test_writer_when_its_file_is_taken_over_before_it_is_locked_then_another_file(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    really_open, others = os.open, []

    def open_and_be_late(path: str, flags: int, mode: int = 0o777) -> int:
        fd = really_open(path, flags, mode)
        if flags & os.O_EXCL and not others:  # another process finds it before it has its lock
            others.append(really_open(path, os.O_RDWR))
            fcntl.flock(others[0], fcntl.LOCK_EX | fcntl.LOCK_NB)
        return fd

    monkeypatch.setattr(os, "open", open_and_be_late)
    with blobs.Writer(engine, digest(b"x"), 1) as writer:
        writer.write(b"x")
        assert os.fstat(others[0]).st_size == 0
        writer.commit()
    os.close(others[0])
    assert blobs.has(engine, digest(b"x"), 1)


def test_writer_when_the_dead_one_had_more_than_there_is_then_not_used(engine: Engine) -> None:
    abandon(engine, b"abc", b"abcdef")
    with blobs.Writer(engine, digest(b"abcdef"), 2) as writer:
        assert not writer.resumed


@pytest.mark.parametrize(("count", "kept"), [(blobs.Writer.KEEP, 1), (blobs.Writer.KEEP - 1, 0)])
def test_writer_when_given_up_then_a_beginning_worth_it_stays(engine: Engine, count: int, kept: int) -> None:
    with blobs.Writer(engine, digest(b"x"), 1 << 30) as writer:
        writer.write(bytes(count))
    assert len(os.listdir(engine.paths.blobs)) == kept


def messages(pipe: int) -> list[int]:
    data = os.read(pipe, 1 << 16)
    return [int.from_bytes(data[at : at + 8], "little") for at in range(0, len(data), 8)]


def test_writer_when_followed_then_tells_how_far_it_is_and_the_end_only_when_verified(engine: Engine) -> None:
    with blobs.Writer(engine, digest(b"abcdef"), 6) as writer:
        writer.write(b"ab")
        followed = writer.follow()
        assert followed is not None
        file, pipe = followed
        writer.write(b"cdef")
        assert messages(pipe) == [2, 6]
        assert os.pread(file, 10, 0) == b"abcdef"
        writer.commit()
        assert messages(pipe) == [6 | 1 << 63]
        assert messages(pipe) == []
        assert writer.follow() is None
    os.close(file)
    os.close(pipe)


@pytest.mark.parametrize("how", ["restart", "give up"])
def test_writer_when_begun_again_or_given_up_then_followers_see_the_end(engine: Engine, how: str) -> None:
    with blobs.Writer(engine, digest(b"abcdef"), 6) as writer:
        followed = writer.follow()
        assert followed is not None
        writer.write(b"xy")
        if how == "restart":
            writer.restart()
            assert (writer.received, writer.restarts) == (0, 1)
            assert messages(followed[1]) == [0, 2]
            assert messages(followed[1]) == []
    assert messages(followed[1]) == ([0, 2] if how == "give up" else [])
    for descriptor in followed:
        os.close(descriptor)


def test_writer_when_a_follower_is_slow_then_it_is_not_waited_for(engine: Engine) -> None:
    with blobs.Writer(engine, digest(b"x"), 1 << 20) as writer:
        followed = writer.follow()
        assert followed is not None
        for _ in range(20_000):  # More messages than a pipe holds.
            writer.write(b"x")
        assert writer.received == 20_000
    for descriptor in followed:
        os.close(descriptor)


def test_writer_when_another_took_its_file_and_published_it_then_it_makes_a_new_one(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between the making of the file and its lock: what is published must not be written to."""
    data = b"published" * 100
    name = digest(data)
    taken: list[int] = []
    real = fcntl.flock

    def flock(fd: int, kind: int) -> None:
        if not taken:
            taken.append(fd)
            with blobs.Writer(engine, name, len(data)) as other:
                other.write(data)
                other.commit()
        real(fd, kind)

    monkeypatch.setattr(fcntl, "flock", flock)
    with blobs.Writer(engine, name, len(data)) as writer:
        assert taken
        inode = os.stat(engine.paths.blob(name)).st_ino
        writer.write(b"something" + data[9:])
        assert os.stat(engine.paths.blob(name)).st_ino == inode
        assert blobs.read(engine, name, 4096) == data
