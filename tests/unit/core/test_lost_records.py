"""pod.core.lost_records: what a crash of the machine cut is noticed by the next boot's first command."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pod.core import rundir, statefile, storedir
from pod.core.engine import Engine

ID = "ab" * 32
OTHER = "cd" * 32
CUT = (b"", b"\0" * 300, b'{"version": 1, "na')


def put(path: str, data: bytes, age: float = 100) -> Path:
    os.makedirs(os.path.dirname(path), exist_ok=True)
    Path(path).write_bytes(data)
    now = Path(path).stat().st_mtime
    os.utime(path, (now - age, now - age))
    return Path(path)


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = Engine({"POD_ROOT": str(tmp_path / "store"), "HOME": str(tmp_path), "POD_RUN_DIR": str(tmp_path)})
    storedir.prepare(made.paths)
    return made


def after_reboot(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """The first command of the next boot has run."""
    monkeypatch.setattr(rundir, "boot_id", lambda: "00000000-1111-2222-3333-444444444444")
    later = Engine(engine.environ, root=engine.paths.root)
    assert later.run_dir
    return later


@pytest.mark.parametrize("cut", CUT)
def test_records_when_cut_by_a_crash_then_they_are_gone_and_whole_ones_stay(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, cut: bytes
) -> None:
    paths = engine.paths
    places = [
        paths.root + "/index.json", paths.ref("docker.io/library/a:1"), paths.image("sha256:" + ID),
        *(paths.container(ID) + "/" + name for name in ("state.json", "changes.json", "health.json")),
        paths.volume("data") + "/volume.json",
    ]  # fmt: skip
    lost = [put(path, cut) for path in places]
    config = put(paths.container(ID) + "/config.json", statefile.dumps({"Id": ID, "Name": "/one"}).encode())
    whole = put(paths.ref("docker.io/library/b:1"), b'{"version": 1}\n')
    after_reboot(engine, monkeypatch)
    assert [path for path in lost if path.exists()] == []
    assert config.exists()
    assert whole.exists()


@pytest.mark.parametrize("cut", CUT)
def test_container_when_its_configuration_was_cut_then_it_is_no_container(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, cut: bytes
) -> None:
    put(engine.paths.container(ID) + "/config.json", cut)
    put(engine.paths.container(OTHER) + "/config.json", statefile.dumps({"Id": OTHER, "Name": "/two"}).encode())
    after_reboot(engine, monkeypatch)
    assert os.listdir(engine.paths.containers) == [OTHER]


@pytest.mark.parametrize("cut", [b"", b"\0" * 65])
def test_name_when_it_was_cut_then_it_is_made_again_from_the_record(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, cut: bytes
) -> None:
    put(engine.paths.container(ID) + "/config.json", statefile.dumps({"Id": ID, "Name": "/one"}).encode())
    put(engine.paths.name("one"), cut)
    put(engine.paths.name("nobodys"), cut)
    put(engine.paths.name("other"), OTHER.encode() + b"\n")
    after_reboot(engine, monkeypatch)
    assert Path(engine.paths.name("one")).read_text() == ID + "\n"
    assert sorted(os.listdir(engine.paths.names)) == ["one", "other"]


def test_records_when_made_this_moment_then_another_node_is_at_work_and_they_stay(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    fresh = [put(engine.paths.name("one"), b"", age=0), put(engine.paths.ref("docker.io/library/a:1"), b"", age=0)]
    after_reboot(engine, monkeypatch)
    assert all(path.exists() for path in fresh)


@pytest.mark.parametrize("cut", [b"", b"\0\0"])
def test_store_when_its_marker_was_cut_then_it_is_written_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, cut: bytes
) -> None:
    Path(engine.paths.version).write_bytes(cut)
    after_reboot(engine, monkeypatch)
    assert Path(engine.paths.version).read_text() == "1\n"


@pytest.mark.parametrize("data", CUT)
def test_cut_record_of_a_network_goes(engine: Engine, monkeypatch: pytest.MonkeyPatch, data: bytes) -> None:
    lost = put(f"{engine.paths.networks}/{ID}.json", data)
    kept = put(f"{engine.paths.networks}/{OTHER}.json", b'{"version": 1}')
    after_reboot(engine, monkeypatch)
    assert not lost.exists()
    assert kept.exists()
