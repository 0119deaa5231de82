"""Reading a log: tail, since, until, follow, cut lines, very long ones."""

from __future__ import annotations

import json
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pod.core import statefile
from pod.core.container import logs
from pod.core.engine import Engine
from pod.core.errors import PodError, UsageError
from tests.unit.core.container.conftest import put, record, running_state

EXITED = {"status": "exited", "exitCode": 0}


def line(text: str, second: int = 0, stream: str = "stdout") -> bytes:
    value = {"log": text, "stream": stream, "time": f"2024-01-31T12:00:{second:02}.000000000Z"}
    return json.dumps(value).encode() + b"\n"


def read(engine: Engine, data: bytes, **options: Any) -> list[str]:
    container = put(engine, record(), EXITED)
    Path(container.directory, "log").write_bytes(data)
    found: list[str] = []
    wanted = {"tail": -1, "since": "", "until": "", "follow": False, **options}
    logs.read(engine, container, lambda entry: found.append(entry.text), **wanted)
    return found


@pytest.mark.parametrize(
    ("tail", "expected"),
    [(-1, ["a", "b", "c"]), (0, []), (1, ["c"]), (2, ["b", "c"]), (3, ["a", "b", "c"]), (99, ["a", "b", "c"])],
)
def test_read_tail_gives_the_last_lines(engine: Engine, tail: int, expected: list[str]) -> None:
    assert read(engine, line("a") + line("b") + line("c"), tail=tail) == expected


@pytest.mark.parametrize("count", [1, 10, 1999, 2000, 2001])
def test_read_tail_over_many_chunks(engine: Engine, count: int) -> None:
    data = b"".join(line(f"{n} " + "x" * 100) for n in range(2000))
    assert [text.split()[0] for text in read(engine, data, tail=count)] == [
        str(n) for n in range(max(0, 2000 - count), 2000)
    ]


def test_read_since_and_until_bound_the_time(engine: Engine) -> None:
    data = line("a", 1) + line("b", 2) + line("c", 3)
    assert read(engine, data, since="2024-01-31T12:00:02.000000000Z") == ["b", "c"]


def test_read_until_ends(engine: Engine) -> None:
    data = line("a", 1) + line("b", 2) + line("c", 3)
    assert read(engine, data, until="2024-01-31T12:00:02.000000000Z") == ["a", "b"]


@pytest.mark.parametrize(
    "cut", [b'{"log":"half', b"\0" * 4096 + b"\n", b"\n\n", b"[]\n", b'{"log": 1}\n', b"\xff\n", b"{" * 5000 + b"\n"]
)
def test_read_when_a_full_disk_cut_a_line_then_the_others_are_there(engine: Engine, cut: bytes) -> None:
    assert read(engine, line("a") + cut + (b"" if cut.endswith(b"\n") else b"\n") + line("b")) == ["a", "b"]


def test_read_when_the_last_line_is_not_finished_then_it_is_left_out(engine: Engine) -> None:
    assert read(engine, line("a") + line("b")[:-5]) == ["a"]


def test_read_when_a_line_has_ten_megabytes_then_it_is_read_in_time(engine: Engine) -> None:
    began = time.monotonic()
    found = read(engine, line("x" * 10_000_000) + line("end"))
    assert [len(text) for text in found] == [10_000_000, 3]
    assert time.monotonic() - began < 10


def test_read_tail_when_a_line_has_ten_megabytes_then_it_is_found(engine: Engine) -> None:
    assert [len(text) for text in read(engine, line("a") + line("x" * 10_000_000), tail=1)] == [10_000_000]


def test_read_when_there_is_no_log_yet_then_nothing(engine: Engine) -> None:
    container = put(engine, record(), EXITED)
    logs.read(engine, container, pytest.fail, tail=-1, since="", until="", follow=True)


def test_read_when_the_driver_keeps_none_then_says_so(engine: Engine) -> None:
    container = put(engine, record(log_driver="none"), EXITED)
    with pytest.raises(PodError, match="does not support reading"):
        logs.read(engine, container, pytest.fail, tail=-1, since="", until="", follow=False)


def test_read_follow_goes_on_until_the_container_has_ended(engine: Engine) -> None:
    container = put(engine, record(), running_state())
    path = Path(container.directory, "log")
    path.write_bytes(line("a"))

    def run() -> None:
        time.sleep(0.1)
        with path.open("ab") as file:
            half = line("b")
            file.write(half[:10])
            file.flush()
            time.sleep(0.1)
            file.write(half[10:] + line("c"))
        statefile.write(container.directory + "/state.json", {**container.state, **EXITED})

    writer = threading.Thread(target=run)
    writer.start()
    found: list[str] = []
    logs.read(engine, container, lambda entry: found.append(entry.text), tail=-1, since="", until="", follow=True)
    writer.join(5)
    assert found == ["a", "b", "c"]


NOW = 1_706_702_400.0  # 2024-01-31T12:00:00Z


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ""),
        ("1706702400", "2024-01-31T12:00:00.000000000Z"),
        ("1706702400.5", "2024-01-31T12:00:00.500000000Z"),
        ("1706702400.123456789", "2024-01-31T12:00:00.123456789Z"),
        ("0", "1970-01-01T00:00:00.000000000Z"),
        ("10m", "2024-01-31T11:50:00.000000000Z"),
        ("1h30m5s", "2024-01-31T10:29:55.000000000Z"),
        ("1.5h", "2024-01-31T10:30:00.000000000Z"),
        ("500ms", "2024-01-31T11:59:59.500000000Z"),
        ("2024-01-31T12:00:00Z", "2024-01-31T12:00:00.000000000Z"),
        ("2024-01-31T12:00:00.123456789Z", "2024-01-31T12:00:00.123456789Z"),
        ("2024-01-31T12:00:00.5+01:00", "2024-01-31T11:00:00.500000000Z"),
    ],
)
def test_parse_moment_takes_dockers_forms(text: str, expected: str) -> None:
    assert logs.parse_moment(text, NOW) == expected


@pytest.mark.parametrize(
    "text",
    [
        "yesterday",
        "inf", "nan", "-inf", "1e300", "²s", "1e400s", "m", "1h2", "10d", "9" * 400 + "h", "2024-13-01",
        "9999-99-99T00:00:00Z", "infs", "\0", "²", "1hh",
    ],
)  # fmt: skip
def test_parse_moment_when_it_is_none_then_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="time"):
        logs.parse_moment(text, NOW)
