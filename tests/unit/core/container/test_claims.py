"""Who of several nodes may start or remove a container: the link in its folder."""

from __future__ import annotations

import os
import threading
import time
from typing import Any

import pytest

from pod.core import statefile
from pod.core.container import claims, lifecycle, model, settling
from pod.core.engine import Engine
from pod.core.errors import Busy, Conflict, NoSuchContainer
from tests.unit.core.container.conftest import put, record, running_state

LONG_AGO, FAR_AHEAD = "2001-01-01T00:00:00.000000000Z", "2999-01-01T00:00:00.000000000Z"
BETA = {"hostname": "beta", "machine": "0" * 32}


@pytest.fixture
def container(engine: Engine) -> model.Container:
    return put(engine, record(), {})


def claim(engine: Engine, container: model.Container, when: str = FAR_AHEAD, **changed: object) -> str:
    """Somebody's claim: this host's, but for what is ``changed``; its path."""
    here = {**engine.host.as_dict(), **changed}
    words = [str(here[name]) for name in ("hostname", "machine", "boot", "pidns")]
    path = f"{container.directory}/{claims.NAME}"
    os.symlink(" ".join([*words, when]), path)
    return path


def left(container: model.Container) -> list[str]:
    return [name for name in os.listdir(container.directory) if "starting" in name]


def test_take_when_free_then_ours_until_dropped(engine: Engine, container: model.Container) -> None:
    assert claims.take(engine, container).id == container.id
    held = os.readlink(f"{container.directory}/{claims.NAME}").split(" ")
    assert held[:2] == [engine.host.hostname, engine.host.machine]
    claims.drop(container)
    claims.drop(container)
    assert left(container) == []


@pytest.mark.parametrize("changed", [{}, {"boot": "another", "pidns": 7}, {"hostname": "two words of nothing"}])
def test_take_when_its_maker_is_gone_for_sure_then_taken_over(
    engine: Engine, container: model.Container, changed: dict[str, Any]
) -> None:
    """This host's, whose lock is ours; of another boot of it; not one of ours."""
    claim(engine, container, **changed)
    claims.take(engine, container, patience=0.0)
    assert left(container) == [claims.NAME]


@pytest.mark.parametrize("changed", [BETA, {"pidns": 7}, {"hostname": "beta"}])
def test_take_when_another_node_has_it_then_busy_names_it(
    engine: Engine, container: model.Container, changed: dict[str, Any]
) -> None:
    path = claim(engine, container, **changed)
    with pytest.raises(Busy, match=str(changed.get("hostname", engine.host.hostname))) as caught:
        claims.take(engine, container, patience=0.2)
    assert path in str(caught.value.hint)
    with pytest.raises(Busy):
        claims.take(engine, container, patience=0.0)
    assert left(container) == [claims.NAME]


def test_take_when_another_node_gives_it_back_then_it_was_waited_for(
    engine: Engine, container: model.Container
) -> None:
    path = claim(engine, container, **BETA)
    later = threading.Timer(0.3, os.unlink, (path,))
    later.start()
    began = time.monotonic()
    claims.take(engine, container, patience=20.0)
    assert 0.2 < time.monotonic() - began < 10
    later.join()


@pytest.mark.parametrize("member", ["startedAt", "finishedAt"])
def test_take_when_its_maker_has_recorded_since_then_taken_over(engine: Engine, member: str) -> None:
    """A supervisor that was killed between the record and the link."""
    state = running_state(**BETA, status="exited", exitCode=0, **{"startedAt": LONG_AGO, member: FAR_AHEAD})
    container = put(engine, record(), state)
    claim(engine, container, statefile.timestamp(), **BETA)
    claims.take(engine, container, patience=0.0)
    claims.drop(container)
    claim(engine, container, statefile.timestamp(), hostname="gamma", machine="1" * 32)
    with pytest.raises(Busy):
        claims.take(engine, container, patience=0.0)


def test_take_when_it_runs_elsewhere_then_conflict_and_nothing_is_left(engine: Engine) -> None:
    container = put(engine, record(), running_state(**BETA))
    with pytest.raises(Conflict, match="elsewhere, on beta"):
        claims.take(engine, container)
    assert left(container) == []
    claim(engine, container, **BETA)
    with pytest.raises(Conflict, match="elsewhere, on beta"):
        claims.take(engine, container)


def test_take_when_the_container_is_gone_then_no_such(engine: Engine, container: model.Container) -> None:
    os.rename(container.directory, container.directory + "x")
    with pytest.raises(NoSuchContainer):
        claims.take(engine, container)


def test_break_when_a_new_claim_came_in_between_then_that_stays(
    engine: Engine, container: model.Container
) -> None:
    path = claim(engine, container, **BETA)
    claims._break(path, "what was stale")
    assert left(container) == [claims.NAME]
    claims._break(path, os.readlink(path))
    assert left(container) == []


def test_delete_when_it_runs_by_now_then_nothing_happens(engine: Engine, container: model.Container) -> None:
    statefile.write(container.directory + "/state.json", running_state())
    assert not lifecycle.delete(engine, container, volumes=True)
    assert model.read(engine, container.id).is_running
    assert left(container) == []


def test_settle_when_another_node_restarts_a_container_with_rm_then_it_stays(engine: Engine) -> None:
    """Between the end and the new start its record says what would make this host remove it."""
    state = running_state(**BETA, status="exited", exitCode=137)
    container = put(engine, record(auto_remove=True), state)
    keep = container.directory + "/" + model.KEEP
    os.close(os.open(keep, os.O_CREAT))
    assert [one.id for one in settling.settle_all(engine)] == [container.id]
    os.unlink(keep)
    assert settling.settle_all(engine) == []
