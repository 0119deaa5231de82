"""The file of events: lines stay whole, nothing is lost in a rotation, damage is passed over; filters as Docker's."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest

from pod.core import events
from pod.core.engine import Engine
from pod.core.errors import PodError


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine({}, root=str(tmp_path))


def _numbers(found: list[dict[str, Any]]) -> list[int]:
    return [int(event["Actor"]["Attributes"]["n"]) for event in found]


def test_emit_writes_dockers_document(engine: Engine, tmp_path: Path) -> None:
    events.emit(engine, "container", "die", "c" * 64, {"image": "busybox", "name": "x", "exitCode": "3"})
    (line,) = (tmp_path / "events").read_text().splitlines()
    event = json.loads(line)
    assert abs(event["timeNano"] - time.time_ns()) < 60e9
    assert event.pop("timeNano") // 1_000_000_000 == event.pop("time")
    assert event == {
        "status": "die", "id": "c" * 64, "from": "busybox", "Type": "container", "Action": "die",
        "Actor": {"ID": "c" * 64, "Attributes": {"image": "busybox", "name": "x", "exitCode": "3"}}, "scope": "local",
    }  # fmt: skip
    assert (tmp_path / "events").stat().st_mode & 0o777 == 0o600


def test_emit_where_nothing_can_be_written_fails_nothing(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "events").symlink_to(tmp_path / "elsewhere")
    events.emit(engine, "volume", "create", "v", {})
    assert not (tmp_path / "elsewhere").exists()
    (tmp_path / "events").unlink()
    os.mkfifo(tmp_path / "events")
    events.emit(engine, "volume", "create", "v", {})


def test_emit_after_a_cut_line_begins_a_new_one(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "events").write_bytes(b'{"Type": "conta')
    events.emit(engine, "volume", "create", "v", {"n": "1"})
    assert _numbers(list(events.Reader(engine, whole=True).read())) == [1]


def test_emit_by_many_through_rotations_loses_and_tears_nothing(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Six processes, a file that is rotated once meanwhile, and a follower."""
    monkeypatch.setattr(events, "MAX_FILE", 48 << 10)
    each, writers = 60, 6
    reader = events.Reader(engine, whole=True)
    children = []
    for number in range(writers):
        child = os.fork()
        if child == 0:
            for step in range(each):
                events.emit(engine, "volume", "mount", "v", {"n": str(number * each + step), "pad": "p" * 40})
                time.sleep(0.001)
            os._exit(0)
        children.append(child)
    found: list[dict[str, Any]] = []
    deadline = time.monotonic() + 30
    while len(found) < each * writers and time.monotonic() < deadline:
        found += reader.read()
    for child in children:
        assert os.waitpid(child, 0)[1] == 0
    found += reader.read()
    reader.close()
    assert sorted(_numbers(found)) == list(range(each * writers))
    for path in ("events", "events.1"):
        # Who looked before the others wrote adds a line more.
        assert os.stat(f"{engine.paths.root}/{path}").st_size <= 56 << 10


def test_reader_that_looks_late_has_what_was_rotated_away_before_it_looked(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    for whole in (True, False):
        reader = events.Reader(engine, whole=whole)  # there is no file yet
        monkeypatch.setattr(events, "MAX_FILE", 200)
        for number in range(2):
            events.emit(engine, "volume", "create", "v", {"n": str(number), "pad": "p" * 200})
        assert os.path.exists(f"{engine.paths.root}/events.1")
        assert _numbers(list(reader.read())) == [0, 1]
        assert list(reader.read()) == []
        reader.close()
        for name in ("events", "events.1"):
            os.unlink(f"{engine.paths.root}/{name}")


def test_reader_from_now_on_gives_only_what_comes(engine: Engine) -> None:
    events.emit(engine, "volume", "create", "v", {"n": "1"})
    reader = events.Reader(engine, whole=False)
    assert list(reader.read()) == []
    events.emit(engine, "volume", "create", "v", {"n": "2"})
    assert _numbers(list(reader.read())) == [2]
    assert list(reader.read()) == []


def test_reader_passes_over_what_is_no_event(engine: Engine, tmp_path: Path) -> None:
    good = b'{"Type":"volume","Action":"a","Actor":{"ID":"v","Attributes":{"n":"%d"}},"timeNano":5}\n'
    bad = [
        b"\n", b"nonsense\n", b"[1]\n", b"{}\n", b'{"Type":1}\n', b"\0\xff\xfe\n", b'{"a":' * 5000 + b"\n",
        b'{"Type":"v","Action":"a","Actor":{"ID":"v","Attributes":{"n":7}},"timeNano":5}\n',
        b'{"Type":"v","Action":"a","Actor":{"ID":"v","Attributes":{}},"timeNano":1e999}\n',
        b'{"Type":"v","Action":"a","Actor":{"ID":"v","Attributes":{}},"timeNano":true}\n',
        b'{"Type":"v","Action":"a","Actor":{"ID":"v","Attributes":{}},"timeNano":%s}\n' % (b"9" * 4000),
        b'{"x":"' + b"y" * (1 << 20) + b'"}\n',
    ]  # fmt: skip
    (tmp_path / "events").write_bytes(good % 1 + b"".join(bad) + good % 2 + b'{"Type":"volume"')
    assert _numbers(list(events.Reader(engine, whole=True).read())) == [1, 2]


def test_reader_holds_little_of_a_file_without_lines(engine: Engine, tmp_path: Path) -> None:
    import resource

    with open(tmp_path / "events", "wb") as file:
        file.truncate(300 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert list(events.Reader(engine, whole=True).read()) == []
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000


def test_label_members_are_bounded_and_leave_the_events_own() -> None:
    assert events.label_members({"b": "2", "name": "no", "a": '"\x1b'}) == '"a":"\\"\\u001b","b":"2"'
    many = {f"l{number:05d}": "v" * 1000 for number in range(1000)}
    assert 10_000 < len(events.label_members(many)) <= events.MAX_LABELS
    assert events.label_members({"a": "x" * (1 << 20)}) == ""


def _event(kind: str, action: str, actor: str, **attributes: str) -> dict[str, Any]:
    return {"Type": kind, "Action": action, "Actor": {"ID": actor, "Attributes": attributes}, "scope": "local"}


@pytest.mark.parametrize(
    ("filters", "fits"),
    [
        ([], True),
        (["type=container"], True),
        (["type=image"], False),
        (["type=image", "type=container"], True),
        (["event=die"], True),
        (["event=di"], False),
        (["container=abc"], True),
        (["container=web"], True),
        (["container=other"], False),
        (["volume=web"], False),
        (["daemon=web"], False),
        (["image=team/app"], True),
        (["image=team/app:1"], True),
        (["image=team/app:2"], False),
        (["image=localhost:5000/team"], False),
        (["label=a"], True),
        (["label=a=b"], True),
        (["label=a=c"], False),
        (["label=a", "label=z"], False),
        (["scope=local"], True),
        (["scope=swarm"], False),
    ],
)
def test_matcher_is_dockers(filters: list[str], fits: bool) -> None:
    event = _event("container", "die", "abcdef", image="team/app:1", name="webserver", a="b")
    assert events.matcher(filters)(event) is fits


def test_matcher_of_exec_and_health_takes_the_beginning() -> None:
    event = _event("container", "exec_create: sh -c ls", "abc")
    assert events.matcher(["event=exec_create"])(event)
    assert not events.matcher(["event=exec_start"])(event)
    assert events.matcher(["event=health_status"])(_event("container", "health_status: healthy", "abc"))


def test_matcher_of_an_unknown_filter_is_refused() -> None:
    with pytest.raises(PodError, match="invalid filter 'colour'"):
        events.matcher(["colour=red"])
