"""An engine on a store in tmp_path with known facts, and records as lifecycle.create writes them."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from pod.core import rundir, statefile, storedir
from pod.core.container import model, spec
from pod.core.engine import Engine
from pod.core.runtime.userns import IdMap

IMAGE_ID = "sha256:" + "ab" * 32


class Image:
    """What make_record asks of an image."""

    id = IMAGE_ID
    record = {"manifest": "sha256:" + "cd" * 32, "os": "linux", "architecture": "amd64"}  # noqa: RUF012


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    home = tmp_path / "home"
    home.mkdir()
    environ = {"HOME": str(home), "POD_RUN_DIR": str(tmp_path), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin"}
    made = Engine(environ, root=str(tmp_path / "store"))
    storedir.prepare(made.paths)
    return made


def request(**fields: Any) -> spec.Request:
    made = spec.Request("busybox")
    made.command = ["true"]
    made.idmap = IdMap("single", "single", [(0, os.geteuid(), 1)], [(0, os.getegid(), 1)])
    for name, value in fields.items():
        setattr(made, name, value)
    return made


def record(container_id: str = "1" * 64, image: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """config.json of a container named "it" unless told."""
    made = request(**{"name": "it", **fields})
    return spec.make_record(made, Image(), {"config": image or {}}, container_id, statefile.timestamp())


def running_state(**changes: Any) -> dict[str, Any]:
    """state.json of a container whose processes are this one."""
    own = {"pid": os.getpid(), "start": model.process_start(os.getpid())}
    return {
        "version": 1, "status": "running", "pid": own["pid"], "pidStart": own["start"],
        "supervisor": own["pid"], "supervisorStart": own["start"], "startedAt": statefile.timestamp(),
        **rundir.host_identity().as_dict(), **changes,
    }  # fmt: skip


def put(engine: Engine, config: dict[str, Any], state: dict[str, Any] | None = None) -> model.Container:
    """A container in the store, with its name."""
    folder = Path(engine.paths.container(config["Id"]))
    folder.mkdir()
    statefile.write(str(folder / "config.json"), config)
    if state is not None:
        statefile.write(str(folder / "state.json"), state)
    Path(engine.paths.name(config["Name"][1:])).write_text(config["Id"] + "\n")
    return model.read(engine, config["Id"])
