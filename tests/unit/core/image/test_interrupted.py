"""Pulls that are killed, interrupted or meet each other: the next command works and nothing half made is visible."""

from __future__ import annotations

import os
import random
import signal
import threading
import time
import traceback
from collections.abc import Mapping
from typing import Any

import pytest

from pod.core.engine import Engine
from pod.core.errors import DigestMismatch
from pod.core.image import blobs, layers, leftovers, pull, remove, store, trash
from pod.core.oci import platform
from tests.unit.core.image.conftest import Built, Pusher, archive

HOST = platform.host().architecture


def built(seed: int = 1, count: int = 3) -> Built:
    dice = random.Random(seed)
    contents = [{f"file{layer}{n}": dice.randbytes(40_000).hex() for n in range(4)} for layer in range(count)]
    return Built(*(archive(**files) for files in contents), architecture=HOST)


def age(engine: Engine) -> None:
    """Makes everything hidden in the store old."""
    old = time.time() - 2 * leftovers.PART_AGE
    for folder, folders, names in os.walk(engine.paths.root):
        for name in (*folders, *names):
            if name.startswith("."):
                os.utime(os.path.join(folder, name), (old, old))


def hidden(engine: Engine) -> list[str]:
    found = []
    for folder, folders, names in os.walk(engine.paths.root):
        found += [os.path.join(folder, name) for name in (*folders, *names) if name.startswith(".")]
    return [path for path in found if "/cache/" not in path]


def in_child(work: Any) -> int:
    """A forked process that runs ``work`` and ends without Python's clean-up."""
    pid = os.fork()
    if pid == 0:
        try:
            work()
        except BaseException:  # noqa: BLE001 - shown, then the parent sees the status
            traceback.print_exc()
        finally:
            os._exit(0)
    return pid


def test_pull_when_killed_at_any_moment_then_the_next_one_works(engine: Engine, pusher: Pusher) -> None:
    dice = random.Random(3)
    name = pusher.image("team/app", "v1", built())
    for _ in range(12):
        pid = in_child(lambda: pull.pull(Engine(engine.environ, root=engine.paths.root), name))
        time.sleep(dice.random() * 0.15)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)
        for image in store.list_images(engine):
            layers.ensure(engine, image)
    age(engine)
    image = pull.pull(engine, name)
    leftovers.collect(engine)
    assert hidden(engine) == []
    assert len(layers.ensure(engine, image)) == 3
    remove.remove(engine, name, force=False, is_running=lambda _: False)
    assert os.listdir(engine.paths.blobs) == []


def test_pull_when_interrupted_then_nothing_left(engine: Engine, pusher: Pusher) -> None:
    name = pusher.image("team/app", "v1", built())

    def interrupt(event: str, fields: Mapping[str, Any]) -> None:
        if fields.get("status") == "Extracting":
            raise KeyboardInterrupt

    engine.progress = interrupt
    with pytest.raises(KeyboardInterrupt):
        pull.pull(engine, name)
    assert hidden(engine) == []
    assert store.list_refs(engine) == []
    assert [thread.name for thread in threading.enumerate() if thread.name.startswith("pull-")] == []


def test_pull_when_four_at_once_and_rmi_between_then_all_end_well(engine: Engine, pusher: Pusher) -> None:
    name = pusher.image("team/app", "v1", built())
    first = pull.pull(engine, name)

    def work() -> None:
        mine = Engine(engine.environ, root=engine.paths.root)
        for _ in range(3):
            pull.pull(mine, name)
        os._exit(7)

    children = [in_child(work) for _ in range(3)]
    for _ in range(6):
        for image in store.list_images(engine):
            names = [ref["name"] for ref in store.list_refs(engine) if ref["image"] == image.id]
            for ref in names:
                store.untag(engine, ref)
            remove.delete(engine, [image])
        time.sleep(0.05)
    statuses = [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children]
    assert statuses == [7, 7, 7]
    image = pull.pull(engine, name)
    assert image.id == first.id
    assert all(blobs.has(engine, layer["digest"], layer["size"]) for layer in image.record["layers"])
    assert len(layers.ensure(engine, image)) == 3


def test_pull_when_a_blob_was_damaged_then_says_so_and_heals(engine: Engine, pusher: Pusher) -> None:
    name = pusher.image("team/app", "v1", built(count=1))
    image = pull.pull(engine, name)
    (layer,) = image.record["layers"]
    with open(engine.paths.blob(layer["digest"]), "r+b") as file:
        file.seek(-1, os.SEEK_END)
        file.write(b"!")
    (folder,) = layers.ensure(engine, image)
    trash.discard(engine, folder, engine.idmap)
    with pytest.raises(DigestMismatch, match="blob is"):
        layers.ensure(engine, image)
    assert layers.ensure(engine, pull.pull(engine, name)) == [folder]


def test_pull_when_it_meets_a_damaged_blob_then_fetches_it_again(engine: Engine, pusher: Pusher) -> None:
    name = pusher.image("team/app", "v1", built(count=1))
    image = pull.pull(engine, name)
    (layer,) = image.record["layers"]
    (folder,) = layers.ensure(engine, image)
    trash.discard(engine, folder, engine.idmap)
    with open(engine.paths.blob(layer["digest"]), "r+b") as file:
        file.write(b"?")
    assert layers.ensure(engine, pull.pull(engine, name)) == [folder]
