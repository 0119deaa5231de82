"""The live view of pull on a real terminal: what its screen shows, in windows of any size, and after ^C."""

from __future__ import annotations

import http.server
import os
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import places
from tests.support.podcli import Pod
from tests.support.registry import Registry
from tests.support.screen import Screen
from tests.support.terminal import Terminal
from tests.unit.core.image.conftest import MANIFEST, Built, archive

MANY = """
import os, sys, threading, time
sys.path.insert(0, sys.argv[1])
from pod.cli import progress
view = progress.for_command("pull")
count, seconds = int(sys.argv[2]), float(sys.argv[3])
names = [f"{number:012x}" for number in range(count)]
view("pulling", {"tag": "latest", "name": "team/many"})
for name in names:
    view("layer", {"id": name, "status": "Pulling fs layer", "total": 1000})
def work(some):
    for name in some:
        for status in ("Downloading", "Extracting"):
            for done in range(0, 1001, 100):
                if over.is_set():
                    return
                view("layer", {"id": name, "status": status, "current": done, "total": 1000})
                time.sleep(seconds)
        view("layer", {"id": name, "status": "Pull complete", "total": 1000})
over = threading.Event()
threads = [threading.Thread(target=work, args=(names[n::3],), daemon=True) for n in range(3)]
for thread in threads:
    thread.start()
try:
    for thread in threads:
        thread.join()
except KeyboardInterrupt:
    over.set() # one that wrote while the interpreter ends would abort it
    for thread in threads:
        thread.join()
    sys.exit(130)
view("digest", {"digest": "sha256:00"})
view("status", {"text": "Downloaded newer image for team/many:latest"})
"""


@pytest.fixture
def terminals() -> Iterator[list[Terminal]]:
    opened: list[Terminal] = []
    yield opened
    for terminal in opened:
        terminal.close()


def many(opened: list[Terminal], count: int, seconds: float, rows: int, columns: int, term: str = "xterm") -> Terminal:
    """A program that tells of so many layers from three threads at once."""
    argv = [sys.executable, "-c", MANY, str(places.REPOSITORY / "packaging"), str(count), str(seconds)]
    environ = {"PATH": os.defpath, "TERM": term, "LANG": "C.UTF-8"}
    opened.append(Terminal(argv, environ, rows=rows, columns=columns, cwd=Path("/")))
    return opened[-1]


def shown(terminal: Terminal, rows: int, columns: int) -> list[str]:
    screen = Screen(rows, columns)
    screen.feed(terminal.seen)
    assert screen.column == 0
    return screen.all_lines()


@pytest.mark.docker_registry
@pytest.mark.image("odd:latest")
@pytest.mark.parametrize(("rows", "columns"), [(24, 130), (24, 80), (4, 30), (2, 10)])
def test_pull_on_a_terminal_then_the_screen_has_each_layer_once(
    fresh_pod: Pod, registry: Registry, rows: int, columns: int
) -> None:
    name = registry.name("odd:latest")
    terminal = fresh_pod.terminal("pull", name, rows=rows, columns=columns)
    assert terminal.wait(60) == 0, terminal.seen
    lines = shown(terminal, rows, columns)
    if columns >= 80:
        layers = [line for line in lines if line.endswith(": Pull complete")]
        assert len(layers) == len(fresh_pod.inspect(name)["RootFS"]["Layers"])
        assert lines[0] == "latest: Pulling from library/odd"
        assert [line.partition(":")[0] for line in lines[len(layers) + 1 : len(layers) + 3]] == ["Digest", "Status"]
        assert lines[-1] == name
        assert len(lines) == len(layers) + 4
    assert b"\x1b[" in terminal.seen


@pytest.mark.docker_registry
@pytest.mark.image("odd:latest")
@pytest.mark.parametrize("term", ["dumb", "vt52", ""])
def test_pull_on_a_terminal_that_is_not_ansi_then_plain_lines(fresh_pod: Pod, registry: Registry, term: str) -> None:
    name = registry.name("odd:latest")
    argv, environ = fresh_pod.argv("pull", name), fresh_pod.environ({"TERM": term})
    terminal = Terminal(argv, environ, rows=24, columns=80, cwd=fresh_pod.home)
    try:
        assert terminal.wait(60) == 0, terminal.seen
    finally:
        terminal.close()
    assert b"\x1b" not in terminal.seen
    assert terminal.seen.count(b": Pull complete\r\n") == len(fresh_pod.inspect(name)["RootFS"]["Layers"])


def test_view_when_more_layers_than_rows_then_all_are_there_at_the_end(terminals: list[Terminal]) -> None:
    terminal = many(terminals, 60, 0.001, 10, 60)
    assert terminal.wait(60) == 0
    assert b"more layers: " in terminal.seen
    lines = shown(terminal, 10, 60)
    assert lines[0] == "latest: Pulling from team/many"
    assert lines[1:61] == [f"{number:012x}: Pull complete" for number in range(60)]
    assert lines[61:] == ["Digest: sha256:00", "Status: Downloaded newer image for team/many:latest"]


def test_view_when_updates_are_many_then_the_terminal_gets_few(terminals: list[Terminal]) -> None:
    start = time.monotonic()
    terminal = many(terminals, 3, 0.0, 24, 80)
    assert terminal.wait(60) == 0
    seconds = time.monotonic() - start
    assert len(terminal.seen) < 3000 + 12000 * seconds
    assert shown(terminal, 24, 80)[1:4] == [f"{number:012x}: Pull complete" for number in range(3)]


@pytest.mark.parametrize(("rows", "columns"), [(24, 40), (5, 80), (40, 120)])
def test_view_when_the_window_is_resized_then_goes_on_in_the_new_size(
    terminals: list[Terminal], rows: int, columns: int
) -> None:
    terminal = many(terminals, 9, 0.02, 24, 80)
    terminal.expect(rb"Downloading")
    terminal.resize(rows, columns)
    mark = len(terminal.seen)
    assert terminal.wait(60) == 0
    late = terminal.seen[mark + 2000 :].decode(errors="replace").replace("\r", "\n").split("\n")
    layers = [line.rpartition("\x1b[K")[2] for line in late if "Status: " not in line]
    assert len(layers) > 9
    assert all(len(line) < columns for line in layers)
    for number in range(9):
        assert f"{number:012x}: Pull complete".encode() in terminal.seen


def test_view_when_interrupted_then_the_cursor_is_at_the_beginning_of_a_line_below(terminals: list[Terminal]) -> None:
    terminal = many(terminals, 6, 0.02, 24, 80)
    terminal.expect(rb"Extracting")
    terminal.send(b"\x03")
    assert terminal.wait(20) == 130
    screen = Screen(24, 80)
    screen.feed(terminal.seen)
    assert (screen.row, screen.column) == (7, 0)
    assert len(screen.lines()) == 7, "a heading and six layers, and no ^C"


class Stalling(http.server.BaseHTTPRequestHandler):
    """A registry of one image whose layers begin and never end."""

    protocol_version = "HTTP/1.1"
    image: Built
    ended: threading.Event

    def do_HEAD(self) -> None:
        self.do_GET()

    def do_GET(self) -> None:
        name = self.path.rpartition("/")[2]
        if "/manifests/" in self.path:
            self._send(self.image.manifest, MANIFEST, len(self.image.manifest))
        elif name == self.image.id:
            self._send(self.image.blobs[name], "application/octet-stream", len(self.image.blobs[name]))
        elif name in self.image.blobs:
            data = self.image.blobs[name]
            piece = len(data) // 12
            self._send(data[:piece], "application/octet-stream", len(data))
            for number in range(1, 6):
                self.wfile.write(data[number * piece : (number + 1) * piece])
                self.ended.wait(0.1)
            self.ended.wait(30)
        else:
            self._send(b"{}", "application/json", 2)

    def _send(self, data: bytes, kind: str, length: int) -> None:
        self.send_response(200)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(length))
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(data)

    def log_message(self, format: str, *arguments: object) -> None:
        pass


@pytest.fixture
def stalling() -> Iterator[str]:
    """host:port of such a registry."""
    image = Built(*(archive(**{name: os.urandom(3000000).hex()}) for name in "abc"))
    handler = type("Handler", (Stalling,), {"image": image, "ended": threading.Event()})
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"127.0.0.1:{server.server_address[1]}"
    handler.ended.set()
    server.shutdown()
    server.server_close()
    thread.join(10)


def test_pull_when_interrupted_then_130_the_cursor_below_and_nothing_left(fresh_pod: Pod, stalling: str) -> None:
    terminal = fresh_pod.terminal("pull", stalling + "/team/slow", rows=20, columns=90)
    terminal.expect(rb"(Downloading +[0-9.]+[kM]B/.*){3}")
    terminal.send(b"\x03")
    assert terminal.wait(30) == 130
    screen = Screen(20, 90)
    screen.feed(terminal.seen)
    assert [line.partition(": ")[2][:11] for line in screen.lines()[2:]] == ["Downloading"] * 3
    assert (screen.row, screen.column) == (5, 0)
    assert not [path for path in (fresh_pod.root / "blobs/sha256").iterdir() if path.name.startswith(".")]
    assert fresh_pod("images", "-q").ok() == ""
