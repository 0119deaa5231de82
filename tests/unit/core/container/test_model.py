"""Status is derived: what state.json means depends on who looks, where and when."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from pod.core import rundir
from pod.core.container import inspect, model
from pod.core.engine import Engine
from pod.core.errors import StoreCorrupt
from tests.unit.core.container.conftest import put, record, running_state

GONE = 2**22 + 1
"""Above pid_max: no process has it."""


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({}, "running"),
        ({"supervisor": GONE}, "orphaned"),
        ({"supervisor": GONE, "pid": GONE}, "exited"),
        ({"supervisorStart": 1}, "orphaned"),
        ({"supervisorStart": 1, "pidStart": 1}, "exited"),
        ({"supervisorStart": 0, "pidStart": 0}, "exited"),
        ({"supervisor": 0, "pid": -1}, "exited"),
        ({"boot": "00000000-0000-0000-0000-000000000000"}, "exited"),
        ({"machine": "0" * 32}, "elsewhere"),
        ({"hostname": "another"}, "elsewhere"),
        ({"machine": "0" * 32, "boot": "0"}, "elsewhere"),
        ({"pidns": 1}, "elsewhere"),
        ({"pidns": 1, "boot": "0"}, "exited"),
        ({"status": "exited", "exitCode": 3}, "exited"),
        ({"status": "created"}, "created"),
    ],
)
def test_derive_status_when_state_says(engine: Engine, changes: dict[str, Any], status: str) -> None:
    assert model.derive_status(engine, running_state(**changes)) == status


def test_derive_status_when_there_is_no_state_then_created(engine: Engine) -> None:
    assert model.derive_status(engine, {}) == "created"


def test_process_start_when_zombie_or_gone_then_zero() -> None:
    child = subprocess.Popen(["/bin/true"])
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    assert model.process_start(child.pid) == 0
    child.wait()
    assert model.process_start(GONE) == 0


def test_process_start_when_the_name_has_brackets_and_spaces_then_is_read(tmp_path: Path) -> None:
    program = tmp_path / ") S 1 ("
    program.symlink_to("/bin/sleep")
    child = subprocess.Popen([program, "30"])
    try:
        assert model.process_start(child.pid) > model.process_start(os.getpid()) - 1 > 0
    finally:
        child.kill()
        child.wait()


def test_container_pid_and_exit_code_when_running_then_pid_and_zero(engine: Engine) -> None:
    container = put(engine, record(), running_state())
    assert (container.is_running, container.pid, container.exit_code) == (True, os.getpid(), 0)


def test_container_exit_code_when_nobody_saw_the_exit_then_unknown(engine: Engine) -> None:
    container = put(engine, record(), running_state(supervisor=GONE, pid=GONE))
    assert (container.status, container.pid, container.exit_code) == ("exited", 0, model.UNKNOWN_EXIT)


def test_read_when_the_record_is_anothers_then_store_corrupt(engine: Engine) -> None:
    put(engine, record())
    os.rename(engine.paths.container("1" * 64), engine.paths.container("2" * 64))
    with pytest.raises(StoreCorrupt):
        model.read(engine, "2" * 64)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"Id": 1}', b"\xff\xfe", b"[" * 100_000])
def test_read_when_config_is_no_record_then_store_corrupt(engine: Engine, content: bytes) -> None:
    put(engine, record())
    Path(engine.paths.container("1" * 64), "config.json").write_bytes(content)
    with pytest.raises(StoreCorrupt):
        model.read(engine, "1" * 64)


@pytest.mark.parametrize(
    "state", [{"status": "running"}, {**running_state(), "pid": "x"}, {**running_state(), "supervisor": None}]
)
def test_read_when_state_lacks_or_twists_members_then_store_corrupt(engine: Engine, state: dict[str, Any]) -> None:
    state = {**running_state(), **state} if len(state) > 1 else {**state, **_here()}
    with pytest.raises(StoreCorrupt):
        put(engine, record(), state)


def _here() -> dict[str, Any]:
    whole = running_state()
    return {name: whole[name] for name in ("machine", "hostname", "boot", "pidns")}


def test_list_all_is_newest_first_and_skips_half_made(engine: Engine) -> None:
    for digit, created in (("1", "2024-01-01"), ("2", "2024-03-01"), ("3", "2024-02-01")):
        put(engine, {**record(digit * 64, name="n" + digit), "Created": created})
    os.mkdir(engine.paths.container("." + "4" * 64 + ".123"))
    os.mkdir(engine.paths.container("5" * 64))
    assert [container.id[0] for container in model.list_all(engine)] == ["2", "3", "1"]


def test_inspect_state_when_start_failed_then_error_is_told(engine: Engine) -> None:
    state = {"status": "exited", "exitCode": 127, "error": {"step": "EXEC", "errno": 2, "path": "/x"}}
    told = inspect.state(put(engine, record(), state))
    assert (told["Status"], told["ExitCode"], told["Running"], told["Error"]) == ("exited", 127, False, "exec: /x")


def test_list_all_when_many_run_then_the_host_is_asked_once(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    machine_id = rundir.machine_id

    def asking() -> str:
        asked.append("machine")
        return machine_id()

    monkeypatch.setattr(rundir, "machine_id", asking)
    for digit in "123":
        put(engine, record(digit * 64, name="n" + digit), running_state())
    asked.clear()
    fresh = Engine(engine.environ, root=engine.paths.root)
    assert [container.status for container in model.list_all(fresh)] == ["running"] * 3
    assert asked == ["machine"]


def test_list_all_when_one_record_is_broken_then_it_is_warned_of_and_the_others_are_there(engine: Engine) -> None:
    put(engine, record("1" * 64, name="n1"))
    put(engine, record("2" * 64, name="n2"))
    Path(engine.paths.container("1" * 64), "config.json").write_bytes(b"")
    told: list[str] = []
    engine.progress = lambda event, fields: told.append(f"{event} {fields['text']}")
    assert [container.id[0] for container in model.list_all(engine)] == ["2"]
    assert len(told) == 1
    assert told[0].startswith("warning read record: ")
