"""What builds look like, by the events that their engine sends."""

from __future__ import annotations

import base64
import io
import json
import signal
import time
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import pytest

from pod.cli import build_progress, build_rawjson, build_tty
from pod.cli.build_progress import Plain, Step, View
from pod.core.errors import PodError
from tests.support.screen import Screen


class Stream(io.StringIO):
    """Text that output.write writes to; a terminal where ``terminal``."""

    def __init__(self, *, terminal: bool = False) -> None:
        super().__init__()
        self.terminal = terminal
        self.buffer = io.BytesIO()

    def isatty(self) -> bool:
        return self.terminal

    @property
    def text(self) -> str:
        return self.buffer.getvalue().decode("utf-8", "surrogateescape")


class Build:
    """A view that events are fed to, and what it showed."""

    def __init__(self, how: str, *, terminal: bool = False) -> None:
        self.stream = Stream(terminal=terminal)
        self.warned: list[tuple[str, Mapping[str, Any]]] = []
        self.view = View(how, self.stream, lambda event, fields: self.warned.append((event, fields)))

    def send(self, state: str, step: int = 0, **fields: Any) -> None:
        self.view("build", {"state": state, **({"step": step} if step else {}), **fields})

    def lines(self) -> list[str]:
        return self.stream.text.split("\n")


def of_two_stages(build: Build) -> None:
    build.send("plan", steps=3)
    build.send("cached", 1, name="[build 1/2] FROM x", stage="build")
    build.send("start", 2, name="[build 2/2] RUN make", stage="build")
    build.send("start", 3, name="[stage-1 1/2] FROM y", stage="")
    build.send("output", 2, stream=1, text="one\ntw", seconds=0.25)
    build.send("output", 2, stream=2, text="err\n", seconds=0.5)
    build.send("output", 2, stream=1, text="o\r\n50%\r100%\n", seconds=1.0)
    build.send("done", 3, seconds=0.04)
    build.send("output", 2, stream=1, text="no newline", seconds=1.5)
    build.send("done", 2, seconds=2.0)
    build.send("start", 5, name="exporting to image")
    build.send("output", 5, text="writing image sha256:00 done\n", seconds=None)
    build.send("done", 5, seconds=0.01)


def test_plain_when_two_stages_run_at_once_then_their_lines_are_told_apart() -> None:
    build = Build("plain")
    of_two_stages(build)
    lines = build.lines()
    last = lines[-7]
    assert last.startswith("#2 ")
    assert last.endswith(" no newline")
    del lines[-7]
    assert lines == [
        "#1 [build 1/2] FROM x",
        "#1 CACHED",
        "",
        "#2 [build 2/2] RUN make",
        "#2 ...",
        "",
        "#3 [stage-1 1/2] FROM y",
        "#3 ...",
        "",
        "#2 [build 2/2] RUN make",
        "#2 0.250 one",
        "#2 0.500 err",
        "#2 1.000 two",
        "#2 1.000 100%",
        "#2 ...",
        "",
        "#3 [stage-1 1/2] FROM y",
        "#3 DONE 0.0s",
        "",
        "#2 [build 2/2] RUN make",
        "#2 DONE 2.0s",
        "",
        "#5 exporting to image",
        "#5 writing image sha256:00 done",
        "#5 DONE 0.0s",
        "",
    ]


def test_summary_tells_what_was_cached_and_what_took_longest() -> None:
    build = Build("plain")
    of_two_stages(build)
    build.view.end([])
    said = build.lines()[-2]
    assert said.startswith("Built in 0.")
    assert said.endswith(
        "s: 1 of 3 steps cached; the longest took 2.0s: [build 2/2] RUN make"
    )


def test_warnings_are_told_once_at_the_end() -> None:
    build = Build("plain")
    build.send("plan", steps=1)
    build.send("warning", text="JSONArgsRecommended (line 7)")
    build.view.end([])
    assert build.lines()[1:3] == [" 1 warning found:", " - JSONArgsRecommended (line 7)"]
    build = Build("plain")
    build.send("warning", text="told by the engine, too")
    build.view.end(["A (line 1)", "B (line 2)"])
    assert build.lines()[1:4] == [" 2 warnings found:", " - A (line 1)", " - B (line 2)"]


class Failed(PodError):
    """As core/errors.BuildFailed."""

    excerpt = "Dockerfile:2\n----\n   2 | >>> RUN false\n----\n"


def fail(build: Build) -> None:
    build.send("plan", steps=2)
    build.send("start", 1, name="[1/2] RUN false")
    for number in range(30):
        build.send("output", 1, text=f"line {number}\n", seconds=0.1)
    text = 'process "/bin/sh -c false" did not complete successfully: exit code: 1'
    build.send("failed", 1, text=text, seconds=0.2)
    build.view.failed(Failed("failed to solve: " + text))


def test_failure_shows_the_end_of_the_output_and_the_lines_around() -> None:
    build = Build("plain")
    fail(build)
    lines = build.lines()
    assert '#1 ERROR: process "/bin/sh -c false" did not complete successfully: exit code: 1' in lines
    start = lines.index("------")
    assert lines[start + 1] == " > [1/2] RUN false:"
    assert lines[start + 2 : start + 22] == [f"line {number}" for number in range(10, 30)]
    assert lines[start + 22 :] == ["------", "Dockerfile:2", "----", "   2 | >>> RUN false", "----", ""]


def test_quiet_shows_nothing_of_a_build_that_goes_well_and_all_of_a_failure() -> None:
    build = Build("quiet")
    of_two_stages(build)
    build.view("layer", {"id": "0" * 12, "status": "Pull complete"})
    build.view.end(["a warning"])
    assert build.stream.text == ""
    build = Build("quiet")
    fail(build)
    assert " > [1/2] RUN false:" in build.lines()
    assert "Dockerfile:2" in build.lines()


def test_failure_without_an_excerpt_shows_nothing_more() -> None:
    build = Build("plain")
    build.view.failed(PodError("no such file"))
    assert build.stream.text == ""


def test_warning_goes_to_who_shows_warnings() -> None:
    build = Build("plain")
    build.view("warning", {"text": "x"})
    assert build.warned == [("warning", {"text": "x"})]
    assert build.stream.text == ""


def test_pull_events_are_lines_of_their_own() -> None:
    build = Build("plain")
    build.view("pulling", {"tag": "12", "name": "library/debian"})
    for status in ("Pulling fs layer", "Downloading", "Pull complete", "Pull complete"):
        build.view("layer", {"id": "0123456789ab", "status": status, "current": 1, "total": 2})
    assert build.lines() == ["12: Pulling from library/debian", "0123456789ab: Pull complete", ""]


def test_output_for_a_terminal_cannot_steer_it_and_others_get_every_byte() -> None:
    text = "\x1b[31mred\x1b[0m \x1b]0;title\x07\x1b[2J\udcff\n"
    build = Build("plain", terminal=True)
    build.send("output", 1, name="RUN x", text=text, seconds=0.0)
    assert "\x1b" not in build.stream.text
    assert "red \\x1b]0;title\\x07\\x1b[2J" in build.stream.text
    build = Build("plain")
    build.send("output", 1, name="RUN x", text=text, seconds=0.0)
    assert text in build.stream.text


def test_line_without_an_end_is_shown_after_a_bounded_length() -> None:
    build = Build("plain")
    for _ in range(100):
        build.send("output", 1, name="RUN yes", text="y" * 1000, seconds=0.0)
        (step,) = build.view._steps.values()
        assert len(step.rest[1]) <= build_progress.LONGEST_LINE
    assert build.stream.text.count("y") >= 80_000


def test_rawjson_is_buildkits_documents() -> None:
    build = Build("rawjson")
    of_two_stages(build)
    build.view.end([])
    documents = [json.loads(line) for line in build.lines() if line]
    vertexes = [one["vertexes"][0] for one in documents if "vertexes" in one]
    assert all({"digest", "name", "started"} <= set(one) for one in vertexes)
    assert [one["name"] for one in vertexes if one.get("cached")] == ["[build 1/2] FROM x"]
    done = {one["name"] for one in vertexes if "completed" in one}
    assert done == {"[build 1/2] FROM x", "[build 2/2] RUN make", "[stage-1 1/2] FROM y", "exporting to image"}
    make = next(one["digest"] for one in vertexes if one["name"] == "[build 2/2] RUN make")
    logs = [one["logs"][0] for one in documents if "logs" in one]
    told = [(one["stream"], base64.b64decode(one["data"])) for one in logs if one["vertex"] == make]
    assert told == [(1, b"one\n"), (2, b"err\n"), (1, b"two\n"), (1, b"100%\n"), (1, b"no newline\n")]


def test_rawjson_failure_is_told_by_its_vertex_alone() -> None:
    build = Build("rawjson")
    fail(build)
    documents = [json.loads(line) for line in build.lines() if line]
    assert documents[-1]["vertexes"][0]["error"].endswith("exit code: 1")


# ---- the live view


@pytest.fixture
def live() -> Iterator[Callable[..., tuple[View, Screen]]]:
    """Makes a live view on a screen of that many rows and columns."""
    made: list[View] = []

    def make(rows: int = 12, columns: int = 60) -> tuple[View, Screen]:
        screen = Screen(rows, columns)
        view = View("none", None, lambda event, fields: None)
        view._renderer = build_tty.Tty(
            lambda text: screen.feed(text.encode()), lambda: (screen.columns, screen.rows), view._lock
        )
        made.append(view)
        return view, screen

    yield make
    for view in made:
        view.stop()
    assert signal.getitimer(signal.ITIMER_REAL) == (0.0, 0.0)


def shown(screen: Screen) -> list[str]:
    return [line for line in screen.lines() if line]


def send(view: View, state: str, step: int = 0, **fields: Any) -> None:
    view("build", {"state": state, "step": step, **fields})


def test_live_view_shows_stages_times_and_the_last_output(live: Callable[..., tuple[View, Screen]]) -> None:
    view, screen = live()
    send(view, "plan", steps=3)
    send(view, "start", 1, name="[1/3] FROM busybox")
    send(view, "cached", 1)
    send(view, "start", 2, name="[2/3] RUN make")
    for number in range(8):
        send(view, "output", 2, text=f"cc {number}.c\n", seconds=0.0)
    before = shown(screen)
    deadline = time.monotonic() + 10
    while len(shown(screen)) == len(before) and time.monotonic() < deadline:
        time.sleep(0.05)  # a tick draws what came since
    lines = shown(screen)
    assert lines[0].startswith("[+] Building ")
    assert lines[0].endswith("s (1/2)")
    assert lines[1].startswith(" => CACHED [1/3] FROM busybox ")
    assert lines[1].endswith(" 0.0s")
    assert len(lines[1]) == 59
    assert lines[2].startswith(" => [2/3] RUN make ")
    assert lines[3:] == [f" => => cc {number}.c" for number in range(2, 8)]
    send(view, "done", 2, seconds=1.25)
    view.stop()
    lines = shown(screen)
    assert lines[0].endswith("s (2/2) FINISHED")
    assert lines[2].endswith(" 1.2s")
    assert len(lines) == 3


def test_live_view_when_there_are_more_lines_than_rows_then_what_runs_stays(
    live: Callable[..., tuple[View, Screen]],
) -> None:
    view, screen = live(rows=8)
    for number in range(1, 20):
        send(view, "start", number, name=f"step {number}")
        if number != 3:
            send(view, "done", number, seconds=0.1)
    lines = shown(screen)
    assert len(lines) == 7
    assert lines[1].startswith(" => step 3 ")
    assert lines[-1].startswith(" => step 19 ")
    view.stop()
    everything = [line for line in screen.above + screen.lines() if line]
    assert [line.split()[2] for line in everything[-19:]] == [str(number) for number in range(1, 20)]


def test_live_view_of_pulls_and_lines_beside_it(live: Callable[..., tuple[View, Screen]]) -> None:
    view, screen = live(columns=90)
    send(view, "start", 1, name="[1/1] FROM x")
    view("layer", {"id": "0123456789ab", "status": "Downloading", "current": 5, "total": 10})
    view("note", {"text": "somebody \x1b[2J said"})
    lines = shown(screen)
    assert lines[0] == "somebody \\x1b[2J said"
    assert lines[-1].startswith(" => 0123456789ab: Downloading ")
    assert lines[-1].endswith("5B/10B")
    view("layer", {"id": "0123456789ab", "status": "Pull complete"})
    send(view, "failed", 1, text="no", seconds=0.1)
    view.stop()
    lines = shown(screen)
    assert lines[1].endswith("(1/1) ERROR")
    assert lines[2].startswith(" => ERROR [1/1] FROM x ")
    assert len(lines) == 3


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (2, 5), (3, 12), (24, 200)])
def test_live_view_on_any_window(live: Callable[..., tuple[View, Screen]], rows: int, columns: int) -> None:
    view, _ = live(rows=rows, columns=columns)
    for number in range(1, 6):
        send(view, "start", number, name="[stage 1/5] RUN something long\twith a tab")
        send(view, "output", number, text="x" * 500 + "\n", seconds=0.0)
    view.stop()


def test_auto_is_plain_without_a_terminal_and_on_one_that_cannot_move(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Build("auto").view.how == "plain" == Build("tty").view.how
    monkeypatch.setenv("TERM", "dumb")
    assert Build("auto", terminal=True).view.how == "plain"


def test_renderers_share_one_interface() -> None:
    shown: list[str] = []
    for one in (Plain(shown.append), build_rawjson.RawJson(shown.append), build_progress.Renderer()):
        one.begin(Step(1, "x"))
        one.other("digest", {"digest": "sha256:00"})
        one.finish()
    assert len(shown) == 2
