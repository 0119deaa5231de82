"""pod.core.image.blobs: nothing visible but what has its digest."""

from __future__ import annotations

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
    old = time.time() - 3600
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
