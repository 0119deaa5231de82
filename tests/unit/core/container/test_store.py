"""Names, prefixes, stale names, two makers at once."""

from __future__ import annotations

import os
import threading
from pathlib import Path

import pytest

from pod.core.container import store
from pod.core.engine import Engine
from pod.core.errors import NameInUse, NoSuchContainer, PodError, UsageError
from tests.unit.core.container.conftest import put, record


@pytest.mark.parametrize("name", ["ab", "a.b-c_d", "0x", "a" * 200, "A1"])
def test_check_name_when_dockers_then_fine(name: str) -> None:
    store.check_name(name)


@pytest.mark.parametrize(
    "name", ["", "a", "-ab", ".ab", "_ab", "a/b", "../x", "a b", "a" * 201, "a\n", "ä" * 3, "a:b", "a\0b", "²a"]
)
def test_check_name_when_not_dockers_then_refused(name: str) -> None:
    with pytest.raises(UsageError, match="Invalid container name"):
        store.check_name(name)


def test_find_by_name_slash_name_id_and_prefix(engine: Engine) -> None:
    put(engine, record("12" * 32))
    for text in ("it", "/it", "12" * 32, "12", "1212"):
        assert store.find(engine, text).id == "12" * 32


def test_find_name_wins_over_prefix(engine: Engine) -> None:
    put(engine, record("ab" * 32, name="first"))
    put(engine, record("cd" * 32, name="ab"))
    assert store.find(engine, "ab").id == "cd" * 32


def test_find_when_prefix_is_ambiguous_then_says_so(engine: Engine) -> None:
    put(engine, record("a1" * 32, name="n1"))
    put(engine, record("a2" * 32, name="n2"))
    with pytest.raises(PodError, match="multiple IDs"):
        store.find(engine, "a")
    assert store.find(engine, "a2").name == "n2"


@pytest.mark.parametrize("text", ["", "/", ".", "..", "../containers", "x" * 300, "nope", "f" * 64, "//it", "it/", "ſ"])
def test_find_when_there_is_none_then_no_such_container(engine: Engine, text: str) -> None:
    put(engine, record())
    with pytest.raises(NoSuchContainer):
        store.find(engine, text)


@pytest.mark.parametrize("content", ["", "../../etc", "zz", "f" * 64])
def test_find_when_the_name_leads_nowhere_then_no_such_container(engine: Engine, content: str) -> None:
    Path(engine.paths.name("it")).write_text(content)
    with pytest.raises(NoSuchContainer):
        store.find(engine, "it")


def test_reserve_name_when_taken_then_conflict_names_the_owner(engine: Engine) -> None:
    put(engine, record())
    with pytest.raises(NameInUse, match=f'"/it" is already in use by container "{"1" * 64}"'):
        store.reserve_name(engine, "it", "2" * 64)


@pytest.mark.parametrize("content", ["3" * 64 + "\n", ""])
def test_reserve_name_when_stale_then_taken_over_but_not_from_a_maker_at_work(engine: Engine, content: str) -> None:
    path = Path(engine.paths.name("it"))
    path.write_text(content)
    with pytest.raises(NameInUse):
        store.reserve_name(engine, "it", "2" * 64)
    os.utime(path, (1, 1))
    store.reserve_name(engine, "it", "2" * 64)
    assert path.read_text() == "2" * 64 + "\n"


def test_reserve_name_when_many_find_it_stale_then_one_gets_it(engine: Engine) -> None:
    path = Path(engine.paths.name("it"))
    assert engine.run_dir
    for _ in range(20):
        path.write_text("3" * 64)
        os.utime(path, (1, 1))
        won: list[str] = []
        barrier = threading.Barrier(4)

        def take(digit: str, won: list[str] = won, barrier: threading.Barrier = barrier) -> None:
            barrier.wait()
            try:
                store.reserve_name(engine, "it", digit * 64)
            except NameInUse:
                return
            won.append(digit)

        threads = [threading.Thread(target=take, args=(digit,)) for digit in "4567"]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(10)
        assert len(won) == 1
        assert path.read_text().strip() == won[0] * 64
        path.unlink()


def test_confirm_name_when_another_took_it_over_then_conflict(engine: Engine) -> None:
    store.reserve_name(engine, "it", "2" * 64)
    store.confirm_name(engine, "it", "2" * 64)
    Path(engine.paths.name("it")).write_text("3" * 64)
    with pytest.raises(NameInUse):
        store.confirm_name(engine, "it", "2" * 64)


def test_release_name_when_it_means_another_then_it_stays(engine: Engine) -> None:
    store.reserve_name(engine, "it", "2" * 64)
    store.release_name(engine, "it", "3" * 64)
    assert os.path.exists(engine.paths.name("it"))
    store.release_name(engine, "it", "2" * 64)
    store.release_name(engine, "it", "2" * 64)
    assert not os.path.exists(engine.paths.name("it"))
