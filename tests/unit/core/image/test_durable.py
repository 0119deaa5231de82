"""pod.core.image.durable: what a machine that went down may have cut is judged by the next boot's first command."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from pod.core import rundir
from pod.core.engine import Engine
from pod.core.errors import StoreCorrupt
from pod.core.image import blobs, durable, install, layers, pull
from pod.core.image.store import Image
from pod.core.oci import platform
from pod.core.runtime import plaintree
from tests.unit.core.image.conftest import Built, Pusher, archive

HOST = platform.host().architecture


def marks(engine: Engine) -> list[str]:
    found: list[str] = []
    for _, _, names in os.walk(engine.paths.cache + "/unsynced"):
        found += names
    return sorted(name.rpartition("@")[0] for name in found)


def children() -> list[str]:
    return Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()


def wait_until_synced(engine: Engine) -> None:
    deadline = time.monotonic() + 60
    while marks(engine):
        assert time.monotonic() < deadline, "the process in the background did not take the marks away"
        time.sleep(0.02)


@pytest.fixture
def pulled(engine: Engine, pusher: Pusher, monkeypatch: pytest.MonkeyPatch) -> Image:
    """An image of two layers whose marks are still there: the machine goes down right after the pull."""
    with monkeypatch.context() as patch:
        patch.setattr(durable, "settle_later", lambda _: None)
        name = pusher.image("team/app", "v1", Built(archive(a="1"), archive(b="2"), architecture=HOST))
        return pull.pull(engine, name)


def after_reboot(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    monkeypatch.setattr(rundir, "boot_id", lambda: "00000000-1111-2222-3333-444444444444")
    return Engine(engine.environ, root=engine.paths.root)


def test_pull_when_it_has_ended_then_everything_is_marked_until_the_disk_has_it(
    engine: Engine, pulled: Image
) -> None:
    key = engine.idmap.key
    parts = [pulled.id, pulled.record["manifest"], *(layer["digest"] for layer in pulled.record["layers"])]
    expected = [f"blob@{digest[7:]}" for digest in parts] + [f"layer@{key}:{one[7:]}" for one in pulled.chain_ids]
    assert marks(engine) == sorted(expected)
    durable.settle(engine)
    assert marks(engine) == []


def test_pull_when_it_has_ended_then_a_process_in_the_background_syncs(engine: Engine, pusher: Pusher) -> None:
    name = pusher.image("team/app", "v1", Built(archive(a="1"), architecture=HOST))
    before = children()
    pull.pull(engine, name)
    assert children() == before  # What syncs is no child of ours, what unpacked is gone.
    wait_until_synced(engine)


def test_recover_when_same_boot_then_nothing_is_touched(engine: Engine, pulled: Image) -> None:
    before = marks(engine)
    durable.recover(engine)
    assert marks(engine) == before
    assert all(layers.is_done(engine.paths.layer(engine.idmap.key, one)) for one in pulled.chain_ids)


def test_recover_when_rebooted_then_layers_are_made_anew_from_verified_blobs(
    engine: Engine, pulled: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = engine.paths.layer(engine.idmap.key, pulled.chain_ids[0])
    Path(first, "diff/a").write_text("")  # What a crash makes of a file: there, and empty.
    later = after_reboot(engine, monkeypatch)
    assert later.run_dir != engine.run_dir
    assert marks(later) == []
    assert not os.path.exists(first)
    layers.ensure(later, pulled)
    assert Path(first, "diff/a").read_text() == "1"
    durable.settle(later)


def test_recover_when_rebooted_and_a_blob_was_cut_then_it_is_gone_and_fetched_again(
    engine: Engine, pulled: Image, pusher: Pusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut, whole = (layer["digest"] for layer in pulled.record["layers"])
    path = engine.paths.blob(cut)
    size = os.stat(path).st_size
    with open(path, "r+b") as file:
        file.truncate(size // 2)
        file.truncate(size)
    later = after_reboot(engine, monkeypatch)
    assert later.run_dir
    assert not blobs.has(later, cut)
    assert blobs.has(later, whole)
    with pytest.raises(StoreCorrupt, match="its blob is missing"):
        layers.ensure(later, pulled)
    again = pull.pull(later, f"{pusher.host}/team/app:v1")
    assert again.id == pulled.id
    assert len(layers.ensure(later, again)) == 2
    wait_until_synced(later)


def test_recover_when_synced_then_the_next_boot_uses_everything_as_it_is(
    engine: Engine, pulled: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable.settle(engine)
    folders = layers.ensure(engine, pulled)
    inodes = [os.stat(folder).st_ino for folder in folders]
    later = after_reboot(engine, monkeypatch)
    assert later.run_dir
    assert [os.stat(folder).st_ino for folder in layers.ensure(later, pulled)] == inodes


def test_recover_when_another_host_shares_the_store_then_its_marks_stay(
    engine: Engine, pulled: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder,) = os.listdir(engine.paths.cache + "/unsynced")
    other = "elsewhere-" + folder
    os.rename(f"{engine.paths.cache}/unsynced/{folder}", f"{engine.paths.cache}/unsynced/{other}")
    before = marks(engine)
    assert after_reboot(engine, monkeypatch).run_dir
    assert marks(engine) == before
    assert install.store.by_id(engine, pulled.id).id == pulled.id


def test_recover_when_rebooted_then_a_containers_copy_is_made_anew(
    engine: Engine, pulled: Image, monkeypatch: pytest.MonkeyPatch
) -> None:
    durable.settle(engine)
    folder = Path(engine.paths.container("c" * 64))
    folder.mkdir(parents=True)
    source = layers.ensure_flat(engine, pulled) + "/diff"
    durable.settle(engine)
    plaintree.make(engine, source, f"{folder}/rootfs", engine.idmap)
    assert marks(engine) == ["tree@" + "c" * 64]
    Path(folder, "rootfs/a").write_text("")
    later = after_reboot(engine, monkeypatch)
    assert later.run_dir
    assert marks(later) == []
    assert not Path(folder, "rootfs").exists()
    plaintree.make(later, source, f"{folder}/rootfs", later.idmap)
    assert Path(folder, "rootfs/a").read_text() == "1"
    durable.settle(later)


def test_recover_when_a_containers_copy_is_on_disk_then_it_stays(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = Path(engine.paths.container("d" * 64), "rootfs")
    kept.mkdir(parents=True)
    durable.mark_tree(engine, "d" * 64)
    durable.settle(engine)
    durable.mark_tree(engine, "..")  # no id
    later = after_reboot(engine, monkeypatch)
    assert later.run_dir
    assert kept.is_dir()
