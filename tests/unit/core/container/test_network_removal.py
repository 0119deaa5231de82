"""``network rm`` beside a start: one of the two fails."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pod.core import rundir, statefile
from pod.core.container import network_removal
from pod.core.engine import Engine
from pod.core.errors import Conflict, NoSuchNetwork
from pod.core.network import create, options, store

ID = "ab" * 32


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    made = Engine({"HOME": str(tmp_path), "POD_RUN_DIR": str(tmp_path)}, root=str(tmp_path / "store"))
    create.create(made, options.Asked("front"))
    folder = made.paths.container(ID)
    os.mkdir(folder)
    host = {"NetworkMode": "front", "AutoRemove": False}
    record = {"Id": ID, "Name": "/web", "Created": "2024-01-01T00:00:00Z", "HostConfig": host, "Config": {}}
    statefile.write(folder + "/config.json", record)
    return made


def test_network_of_a_container_that_is_being_started_stays(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(network_removal, "_PATIENCE", 0.05)
    before = store.find(engine, "front")
    with rundir.container_lock(engine, ID), pytest.raises(Conflict, match="network front has active endpoints"):
        network_removal.remove(engine, "front")
    assert store.find(engine, "front") == before


def test_network_of_a_container_that_does_not_run_goes(engine: Engine) -> None:
    assert network_removal.prune(engine) == []
    assert network_removal.remove(engine, "front") == "front"
    with pytest.raises(NoSuchNetwork):
        store.find(engine, "front")
