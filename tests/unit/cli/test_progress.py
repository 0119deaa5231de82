"""cli/progress and its live block: Docker's lines without a terminal, a line for each layer with one."""

from __future__ import annotations

import random
import sys
import threading

import pytest

from pod.cli import progress, progress_block
from pod.cli.progress_block import Block
from tests.support.screen import Screen


class Window:
    """A screen that a Block writes to, and how much it was sent."""

    def __init__(self, rows: int = 24, columns: int = 80) -> None:
        self.screen = Screen(rows, columns)
        self.writes: list[str] = []
        self.block = Block(self.write, lambda: (self.screen.columns, self.screen.rows))

    def write(self, text: str) -> None:
        self.writes.append(text)
        self.screen.feed(text.encode())
        assert self.screen.column == 0, "the cursor rests at the beginning of a line"


@pytest.fixture
def always(monkeypatch: pytest.MonkeyPatch) -> None:
    """No drawing is left out."""
    monkeypatch.setattr(progress_block, "INTERVAL", 0.0)


def test_view_without_a_terminal_prints_dockers_lines(capsys: pytest.CaptureFixture[str]) -> None:
    view = progress.View(sys.stdout)
    view("pulling", {"tag": "latest", "name": "library/busybox"})
    view("layer", {"id": "0123456789ab", "status": "Pulling fs layer"})
    for done in range(0, 100, 10):
        view("layer", {"id": "0123456789ab", "status": "Downloading", "current": done, "total": 100})
    view("layer", {"id": "0123456789ab", "status": "Download complete"})
    view("layer", {"id": "0123456789ab", "status": "Pull complete"})
    view("digest", {"digest": "sha256:00"})
    view("status", {"text": "Downloaded newer image for busybox:latest"})
    assert capsys.readouterr().out.splitlines() == [
        "latest: Pulling from library/busybox",
        "0123456789ab: Pulling fs layer",
        "0123456789ab: Download complete",
        "0123456789ab: Pull complete",
        "Digest: sha256:00",
        "Status: Downloaded newer image for busybox:latest",
    ]


@pytest.mark.usefixtures("always")
def test_block_redraws_the_line_of_a_layer_and_nothing_else() -> None:
    window = Window(columns=120)
    window.block.update("a", "Pulling fs layer", None, 1000)
    window.block.update("b", "Pulling fs layer", None, 1000)
    window.block.update("a", "Downloading", 500, 1000)
    bar = "[" + "=" * 25 + ">" + " " * 25 + "]     500B/1kB"
    assert window.screen.lines() == [f"a: Downloading {bar}", "b: Pulling fs layer"]
    assert "b:" not in window.writes[-1]
    window.block.update("a", "Pull complete", None, 1000)
    window.block.update("a", "Pull complete", None, 1000)
    assert window.screen.lines() == ["a: Pull complete", "b: Pulling fs layer"]
    assert window.writes[-1] == ""


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize(("rows", "columns"), [(24, 80), (5, 40), (3, 12), (2, 3), (1, 1), (50, 200)])
def test_block_in_any_window_ends_with_every_layer_once(rows: int, columns: int) -> None:
    window = Window(rows, columns)
    chance = random.Random(rows * columns)
    names = [f"{number:012x}" for number in range(12)]
    for name in names:
        window.block.update(name, "Pulling fs layer", None, 10**6)
    for _ in range(300):
        status = chance.choice(["Downloading", "Extracting", "Waiting", "Download complete"])
        window.block.update(chance.choice(names), status, chance.randrange(10**6), 10**6)
        assert len(window.screen.lines()) <= rows
    for name in names:
        window.block.update(name, "Pull complete", None, 10**6)
    window.block.settle()
    window.write("after"[: columns - 1] + "\n")
    expected = [f"{name}: Pull complete"[: columns - 1] for name in names] + ["after"[: columns - 1]]
    shown = [line for line in window.screen.all_lines() if line]
    assert shown[-13:] == [line for line in expected if line]
    if rows > 13:
        assert len(shown) == 13


@pytest.mark.usefixtures("always")
def test_block_of_more_layers_than_rows_shows_those_at_work_and_counts_the_others() -> None:
    window = Window(6, 60)
    for number in range(20):
        window.block.update(f"{number:02}", "Pulling fs layer", None, 100)
    for number in range(10):
        window.block.update(f"{number:02}", "Pull complete", None, 100)
    window.block.update("15", "Downloading", 50, 100)
    window.block.update("17", "Extracting", 50, 100)
    assert window.screen.lines() == [
        "10: Pulling fs layer",
        "11: Pulling fs layer",
        "15: Downloading      50B/100B",
        "17: Extracting      50B/100B",
        "… 16 more layers: 10 complete, 6 waiting",
    ]
    window.block.settle()
    assert len(window.screen.all_lines()) == 20


@pytest.mark.usefixtures("always")
@pytest.mark.parametrize("size", [(24, 30), (4, 80), (3, 10), (40, 200)])
def test_block_after_a_resize_spoils_nothing_above_it(size: tuple[int, int]) -> None:
    window = Window(24, 80)
    window.screen.feed(b"kept one\nkept two\n")
    for turn in range(3):
        for name in "abcdefgh":
            window.block.update(name * 12, "Downloading", turn * 1000 + 10, 10**6)
    window.screen.resize(*size)
    for name in "abcdefgh":
        window.block.update(name * 12, "Pull complete", None, None)
    window.block.settle()
    lines = window.screen.all_lines()
    assert [line[:8] for line in lines[:2]] == ["kept one", "kept two"]
    assert lines[-8:] == [f"{name * 12}: Pull complete"[: size[1] - 1] for name in "abcdefgh"]


def test_block_of_many_updates_is_throttled_and_a_new_status_is_not() -> None:
    window = Window()
    for count in range(20000):
        window.block.update("a", "Downloading", count, 10**6)
    assert len(window.writes) < 40
    window.block.update("a", "Extracting", None, None)
    assert window.screen.lines() == ["a: Extracting"]


@pytest.mark.usefixtures("always")
def test_block_makes_room_for_a_warning(capsys: pytest.CaptureFixture[str]) -> None:
    window = Window()
    view = progress.View(sys.stdout, window.block)
    view("layer", {"id": "a", "status": "Downloading", "current": 1, "total": 2})
    writes = len(window.writes)
    view("warning", {"text": "mind"})
    assert window.writes[writes:] == ["\x1b[1A\r\x1b[J", "a: Downloading       1B/2B\n"]
    assert capsys.readouterr().err == "WARNING: mind\n"


@pytest.mark.usefixtures("always")
def test_block_when_interrupted_in_a_write_then_the_cursor_is_below(monkeypatch: pytest.MonkeyPatch) -> None:
    window = Window(5, 40)
    for name in "abc":
        window.block.update(name, "Waiting", None, None)

    def stopped(text: str) -> None:
        window.screen.feed(text.encode()[: text.index("\x1b[K") + 6])
        monkeypatch.setattr(window.block, "_write", window.write)
        raise KeyboardInterrupt

    monkeypatch.setattr(window.block, "_write", stopped)
    with pytest.raises(KeyboardInterrupt):
        window.block.update("b", "Downloading", 1, 2)
    assert (window.screen.row, window.screen.column) == (4, 0)


@pytest.mark.usefixtures("always")
def test_block_shows_no_control_characters() -> None:
    window = Window()
    window.block.update("a\x1b[2J", "Waiting\n\x07", None, None)
    assert window.screen.lines() == ["a\\x1b[2J: Waiting \\x07"]


@pytest.mark.usefixtures("always")
def test_view_when_several_threads_tell_then_every_line_is_whole() -> None:
    window = Window(30, 60)
    view = progress.View(sys.stdout, window.block)

    def tell(name: str) -> None:
        for count in range(200):
            view("layer", {"id": name, "status": "Downloading", "current": count, "total": 200})
        view("layer", {"id": name, "status": "Pull complete"})

    threads = [threading.Thread(target=tell, args=(name * 12,)) for name in "abcdef"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(window.screen.lines()) == [f"{name * 12}: Pull complete" for name in "abcdef"]


@pytest.mark.parametrize("term", ["xterm", "xterm-256color", "linux", "screen", "vt100", "no-such-terminal"])
def test_can_move_on_ansi_terminals(term: str) -> None:
    assert progress_block.can_move(term)


@pytest.mark.parametrize("term", ["", "dumb", "vt52", "unknown"])
def test_can_move_not_on_others(term: str) -> None:
    assert not progress_block.can_move(term)


def test_view_of_a_warning_goes_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    progress.View(sys.stdout)("warning", {"text": "mind\x1b"})
    progress.View(sys.stdout, quiet=True)("warning", {"text": "nothing"})
    captured = capsys.readouterr()
    assert captured.err == "WARNING: mind\\x1b\n"
    assert captured.out == ""


def test_view_of_an_unknown_event_raises() -> None:
    with pytest.raises(ValueError, match="unknown progress event"):
        progress.View(sys.stdout)("nonsense", {})


def test_for_command_sends_pull_to_stdout_and_run_to_stderr(capsys: pytest.CaptureFixture[str]) -> None:
    progress.for_command("image pull")("digest", {"digest": "1"})
    progress.for_command("run")("not-local", {"name": "x:latest"})
    captured = capsys.readouterr()
    assert captured.out == "Digest: 1\n"
    assert captured.err == "Unable to find image 'x:latest' locally\n"


def test_bar_shows_bytes_where_it_knows_them() -> None:
    assert progress_block.bar(None, None, 200) == ""
    assert progress_block.bar(1500, None, 200) == "1.5kB"
    assert progress_block.bar(50, 100, 80) == "     50B/100B"
    assert progress_block.bar(100, 100, 200).startswith("[" + "=" * 50)
