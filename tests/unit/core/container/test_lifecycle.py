"""Settling what a crash left: orphans, exits that nobody recorded, --rm that was not carried out; create that fails."""

from __future__ import annotations

import errno
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pod.core import rundir
from pod.core.container import lifecycle, model, settling, stopping
from pod.core.engine import Engine
from pod.core.errors import Conflict, NameInUse, NoSuchImage, UsageError
from tests.unit.core.container.conftest import Image, put, record, request, running_state

GONE = 2**22 + 1


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(["/bin/sleep", "60"])
    yield process
    process.kill()
    process.wait()


def test_settle_when_the_supervisor_died_then_the_orphan_is_ended(
    engine: Engine, child: subprocess.Popen[bytes]
) -> None:
    start = model.process_start(child.pid)
    container = put(engine, record(), running_state(supervisor=GONE, pid=child.pid, pidStart=start))
    assert container.status == "orphaned"
    settled = lifecycle.settle(engine, container)
    assert (settled.status, settled.exit_code) == ("exited", model.UNKNOWN_EXIT)
    assert child.wait(5) == -9
    assert model.read(engine, container.id).state["status"] == "exited"


def test_settle_when_the_pid_was_reused_then_the_stranger_lives(engine: Engine, child: subprocess.Popen[bytes]) -> None:
    container = put(engine, record(), running_state(supervisor=GONE, pid=child.pid, pidStart=1))
    assert lifecycle.settle(engine, container).status == "exited"
    time.sleep(0.05)
    assert child.poll() is None


def test_settle_when_nobody_recorded_the_exit_then_unknown_and_when(engine: Engine) -> None:
    settled = lifecycle.settle(engine, put(engine, record(), running_state(boot="another")))
    assert settled.exit_code == model.UNKNOWN_EXIT
    assert settled.state["finishedAt"].startswith(time.strftime("%Y-"))


@pytest.mark.parametrize("state", [running_state(machine="0"), running_state(pidns=1), running_state()])
def test_settle_when_elsewhere_or_running_then_nothing_changes(engine: Engine, state: dict[str, Any]) -> None:
    container = put(engine, record(auto_remove=True), state)
    assert lifecycle.settle(engine, container) is container
    assert model.read(engine, container.id).state == state


@pytest.mark.parametrize("state", [{"status": "exited", "exitCode": 0}, running_state(boot="another")])
def test_settle_when_rm_was_not_carried_out_then_it_is_now(engine: Engine, state: dict[str, Any]) -> None:
    container = put(engine, record(auto_remove=True), state)
    lifecycle.settle(engine, container)
    assert os.listdir(engine.paths.containers) == []
    assert os.listdir(engine.paths.names) == []


def test_settle_when_created_with_rm_and_never_started_then_it_stays(engine: Engine) -> None:
    container = put(engine, record(auto_remove=True))
    assert lifecycle.settle(engine, container).status == "created"


def test_settle_all_collects_what_a_killed_create_left(engine: Engine) -> None:
    boot = engine.host.mark
    kept = {f".{'5' * 64}.{boot}.{os.getpid()}", f".{'6' * 64}.another0.{GONE}"}
    for name in (*kept, f".{'4' * 64}.{boot}.{GONE}", f".{'7' * 64}.another0.{os.getpid()}"):
        os.mkdir(engine.paths.container(name))
    os.utime(engine.paths.container(f".{'7' * 64}.another0.{os.getpid()}"), (0, 0))
    assert settling.settle_all(engine) == []
    assert set(os.listdir(engine.paths.containers)) == kept


def test_delete_takes_records_names_and_anonymous_volumes_and_can_be_repeated(engine: Engine) -> None:
    config = record()
    for name in ("anonymous", "named"):
        os.makedirs(engine.paths.volume(name) + "/_data")
    config["Mounts"] = [
        {"Type": "volume", "Name": "anonymous", "Anonymous": True},
        {"Type": "volume", "Name": "named"},
    ]
    container = put(engine, config, {"status": "exited", "exitCode": 0})
    os.makedirs(rundir.container_dir(engine, container.id))
    for _ in range(2):
        lifecycle.delete(engine, container, volumes=True)
    assert os.listdir(engine.paths.containers) + os.listdir(engine.paths.names) == []
    assert os.listdir(engine.paths.volumes) == ["named"]
    assert os.listdir(engine.run_dir + "/c") + os.listdir(engine.run_dir + "/locks") == []


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT])
def test_remove_when_the_disk_is_full_and_its_end_was_not_recorded_then_it_goes(
    engine: Engine, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    container = put(engine, record(), running_state(supervisor=GONE, pid=GONE))

    def write(path: str, value: object, **options: bool) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(lifecycle.statefile, "write", write)
    lifecycle.remove(engine, container, force=True, volumes=False)
    assert os.listdir(engine.paths.containers) == []


@pytest.mark.parametrize(("state", "words"), [(running_state(), "running"), (running_state(machine="0"), "elsewhere")])
def test_remove_when_running_or_elsewhere_then_conflict(engine: Engine, state: dict[str, Any], words: str) -> None:
    with pytest.raises(Conflict, match=words):
        lifecycle.remove(engine, put(engine, record(), state), force=False, volumes=False)


def test_create_when_the_name_is_taken_then_nothing_is_left(engine: Engine) -> None:
    put(engine, record())
    with pytest.raises(NameInUse):
        lifecycle.create(engine, request(name="it"), _image(engine))
    assert os.listdir(engine.paths.containers) == ["1" * 64]


def test_create_when_the_image_is_removed_meanwhile_then_nothing_is_left(engine: Engine) -> None:
    with pytest.raises(NoSuchImage):
        lifecycle.create(engine, request(name="it"), _image(engine, present=False))
    assert os.listdir(engine.paths.containers) + os.listdir(engine.paths.names) == []


def test_create_when_a_volume_cannot_be_made_then_nothing_is_left(engine: Engine) -> None:
    config = {"Volumes": {"/data": {}, "/proc/x": {}}, "Cmd": ["true"]}
    with pytest.raises(UsageError, match="/proc/x"):
        lifecycle.create(engine, request(name="it"), _image(engine, config))
    left = [*os.listdir(engine.paths.containers), *os.listdir(engine.paths.names), *os.listdir(engine.paths.volumes)]
    assert left == []


def test_create_makes_the_record_the_name_and_the_folders(engine: Engine) -> None:
    container = lifecycle.create(engine, request(), _image(engine))
    assert container.status == "created"
    assert Path(engine.paths.name(container.name)).read_text().strip() == container.id
    assert sorted(os.listdir(container.directory)) == ["config.json", "merged", "upper", "work"]
    assert model.read(engine, container.id).config == container.config


def test_send_when_the_process_is_gone_or_another_then_nothing_happens(child: subprocess.Popen[bytes]) -> None:
    lifecycle.send(GONE, 1, 9)
    lifecycle.send(child.pid, 1, 9)
    time.sleep(0.05)
    assert child.poll() is None


@pytest.mark.parametrize(
    ("image", "expected"), [("", 15), ("SIGUSR1", 10), ("9", 9), ("NONSENSE", 15), ("-1", 15), ("9999999999", 15)]
)
def test_stop_signal_when_the_image_says(engine: Engine, image: str, expected: int) -> None:
    assert stopping.stop_signal(put(engine, record(image={"StopSignal": image}))) == expected


def _image(engine: Engine, config: dict[str, Any] | None = None, *, present: bool = True) -> Any:
    class Present(Image):
        def config(self, engine: Engine) -> dict[str, Any]:
            return {"config": config or {"Cmd": ["true"]}}

    if present:
        Path(engine.paths.image(Image.id)).write_text("{}")
    return Present()
