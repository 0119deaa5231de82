"""SIGKILL at every call by which a command on volumes changes something: the store is as before or as after."""

from __future__ import annotations

import errno
import json
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

from pod.core import statefile
from pod.core.engine import Engine
from pod.core.errors import Conflict, NoSuchVolume
from pod.core.image import trash
from pod.core.volume import attach, leftovers, remove, store
from pod.core.volume.syntax import VolumeSpec

CHANGES = ("chmod", "link", "mkdir", "open", "rename", "rmdir", "unlink", "write")


def killed_at(number: int, work: Callable[[], object]) -> bool:
    """Runs ``work`` in a child that is killed before its change of that number; whether it came so far."""
    pid = os.fork()
    if pid == 0:
        count = 0

        def counting(real: Any) -> Any:
            def call(*args: Any, **options: Any) -> Any:
                nonlocal count
                count += 1
                if count == number:
                    os.kill(os.getpid(), signal.SIGKILL)
                return real(*args, **options)

            return call

        for name in CHANGES:
            setattr(os, name, counting(getattr(os, name)))
        try:
            work()
        finally:
            os._exit(0)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def names(engine: Engine) -> list[str]:
    leftovers.collect(engine, os.listdir(engine.paths.volumes))
    return sorted(os.listdir(engine.paths.volumes))


def test_create_when_killed_anywhere_then_it_is_there_whole_or_not_at_all(engine: Engine) -> None:
    number = 1
    while killed_at(number, lambda: store.create(engine, "made", labels={"a": "b"})):
        found = names(engine)
        assert found in ([], ["made"]), number
        if found:
            assert store.find(engine, "made").labels == {"a": "b"}
        volume = store.create(engine, "made")
        assert os.path.isdir(volume.mountpoint)
        remove.remove(engine, "made", force=False)
        number += 1
    assert number > 5


def test_remove_when_killed_anywhere_then_it_is_there_whole_or_not_at_all(engine: Engine) -> None:
    number = 1
    while True:
        volume = store.create(engine, "gone")
        with open(volume.mountpoint + "/file", "w") as file:
            file.write("kept")
        if not killed_at(number, lambda: remove.remove(engine, "gone", force=False)):
            break
        if names(engine):
            assert os.path.exists(store.find(engine, "gone").mountpoint + "/file")
            remove.remove(engine, "gone", force=False)
        trash.empty(engine)
        assert names(engine) == os.listdir(engine.paths.trash) == []
        number += 1
    assert names(engine) == []
    assert number > 1


def use(engine: Engine, container: str, *volumes: str, **further: Any) -> None:
    mounts = [{"Type": "volume", "Name": name, **further} for name in volumes]
    os.makedirs(engine.paths.container(container))
    statefile.write(engine.paths.container(container) + "/config.json", {"Mounts": mounts})


def test_remove_when_a_container_takes_it_meanwhile_then_it_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    volume = store.create(engine, "wanted")
    real = os.rename

    def rename(source: str, target: str) -> None:
        if source == volume.folder:
            use(engine, "c" * 64, "wanted")
        real(source, target)

    monkeypatch.setattr(os, "rename", rename)
    with pytest.raises(Conflict, match=r"remove wanted: volume is in use - \[c+\]"):
        remove.remove(engine, "wanted", force=True)
    assert names(engine) == ["wanted"]


def test_confirm_when_a_volume_was_removed_before_the_record_was_there_then_error(engine: Engine) -> None:
    store.create(engine, "fleeting")
    mounts = [{"Type": "volume", "Name": "fleeting"}]
    attach.confirm(engine, mounts)
    remove.remove(engine, "fleeting", force=False)
    with pytest.raises(Exception, match="no such volume"):
        attach.confirm(engine, mounts)


def test_release_leaves_what_another_has_and_collect_takes_it_in_the_end(engine: Engine) -> None:
    own, shared = store.create(engine).name, store.create(engine).name
    use(engine, "a" * 64, own, shared, Anonymous=True)
    use(engine, "b" * 64, shared, Anonymous=True)
    remove.share(engine, shared)
    remove.release(engine, [own, shared], "a" * 64)
    assert names(engine) == [shared]
    open(engine.paths.volume(shared) + "/released", "w").close()
    assert names(engine) == [shared]
    os.unlink(engine.paths.container("b" * 64) + "/config.json")
    os.unlink(engine.paths.container("a" * 64) + "/config.json")
    assert names(engine) == []


def test_leftovers_of_makers_that_live_stay(engine: Engine) -> None:
    boot = engine.host.mark
    mine, dead, foreign = f".{boot}.{os.getpid()}.x", f".{boot}.4194999.x", ".otherbot.1.x"
    for name in (mine, dead, foreign):
        os.mkdir(engine.paths.volume(name))
    assert names(engine) == sorted([mine, foreign])
    os.utime(engine.paths.volume(foreign), (0, 0))
    assert names(engine) == [mine]


def test_find_when_the_record_was_lost_then_the_content_is_there(engine: Engine) -> None:
    volume = store.create(engine, "lost", labels={"a": "b"})
    os.unlink(volume.folder + "/volume.json")
    assert store.find(engine, "lost").document()["Labels"] is None
    os.rmdir(volume.mountpoint)
    with pytest.raises(NoSuchVolume):
        store.find(engine, "lost")


def test_create_when_the_disk_is_full_then_nothing_is_left(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    for module, name in ((os, "rename"), (statefile, "write"), (os, "chmod")):
        with monkeypatch.context() as patch:
            patch.setattr(module, name, fail)
            with pytest.raises(OSError, match="No space left"):
                store.create(engine, "full")
        assert os.listdir(engine.paths.volumes) == []


def test_two_makers_of_one_name_agree(engine: Engine) -> None:
    for _ in range(20):
        pids = []
        for number in range(4):
            pid = os.fork()
            if pid == 0:
                code = 1
                try:
                    store.create(engine, "common", labels={"maker": str(number)})
                    code = 0
                finally:
                    os._exit(code)
            pids.append(pid)
        assert [os.waitpid(pid, 0)[1] for pid in pids] == [0, 0, 0, 0]
        assert os.listdir(engine.paths.volumes) == ["common"]
        with open(engine.paths.volume("common") + "/volume.json") as file:
            assert json.load(file)["Labels"]["maker"] in "0123"
        remove.remove(engine, "common", force=False)


def test_resolve_gives_volumes_from_then_binds_then_the_images(engine: Engine) -> None:
    bind = VolumeSpec("bind", "/tmp", "/b", "")
    config: dict[str, Any] = {
        "Config": {"Volumes": {"/a": {}, "/b/": {}, "/c": {}, "/": {}}, "User": ""},
        "HostConfig": {"Tmpfs": {"/c": ""}},
    }
    other = {"Mounts": [
        {"Type": "bind", "Source": "/usr", "Destination": "/a", "RW": True},
        {"Type": "bind", "Source": "/usr", "Destination": "/b", "RW": True},
        {"Type": "tmpfs", "Source": "", "Destination": "/t", "RW": True},
    ]}  # fmt: skip
    found = attach.resolve(engine, [bind], config, [], [(other, True)])
    assert [(mount["Destination"], mount["Source"], mount["RW"]) for mount in found] == [
        ("/a", "/usr", False), ("/b", "/tmp", True),
    ]  # fmt: skip
    assert os.listdir(engine.paths.volumes) == []
