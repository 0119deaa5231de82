"""--progress tty: the stages of a build with their times, redrawn in place.

    [+] Building 4.2s (3/7)
     => [build 1/4] FROM docker.io/library/debian:12                    1.2s
     => CACHED [build 2/4] RUN apt-get update                           0.0s
     => [build 3/4] RUN make                                            2.9s
     => => cc -c main.c
     => 0123456789ab: Downloading 12.1MB/28.2MB

Times of what runs change without an event: a timer's signal draws them (a thread would be one too many in a process
that forks for each of its steps).
"""

from __future__ import annotations

import signal
import time

from pod.cli import output
from pod.cli.build_progress import Renderer, Step, told
from pod.cli.progress_block import Block, bar

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from threading import Lock
    from types import FrameType
    from typing import Any

TICK = 0.2
"""Seconds between two drawings of running times."""
TAIL = 6
"""Lines of output that a running step shows."""
_GONE = ("Pull complete", "Already exists", "Pushed", "Layer already exists")


class Stages(Block):
    """Lines of steps instead of layers; what is below the last stays free for the cursor."""

    __slots__ = ("_began", "_ended", "_steps", "pulls")

    def __init__(self, write: Callable[[str], None], size: Callable[[], tuple[int, int]]) -> None:
        super().__init__(write, size)
        self._steps: list[Step] = []
        self._began = time.monotonic()
        self._ended = ""
        self.pulls: dict[str, tuple[str, int | None, int | None]] = {}

    def add(self, step: Step) -> None:
        if step not in self._steps:
            self._steps.append(step)

    def settle(self) -> None:
        """The last drawing: all steps, however many rows that takes, without their output."""
        failed = any(step.state == "failed" for step in self._steps)
        self._ended = " ERROR" if failed else " FINISHED"
        self.pulls.clear()
        columns, rows = self._size()
        self.hide()
        self._put("".join(line + "\n" for line in self._lines(columns, len(self._steps) + 1)), rows)
        self._drawn = []

    def _lines(self, columns: int, room: int) -> list[str]:
        ended = sum(step.state != "start" for step in self._steps)
        seconds = time.monotonic() - self._began
        lines = [f"[+] Building {seconds:.1f}s ({ended}/{len(self._steps)}){self._ended}"[: columns - 1]]
        body: list[tuple[bool, str]] = []
        for step in self._steps:
            body.append((step.state == "start", _timed(_name(step), step.elapsed(), columns)))
            if step.state == "start" and not self._ended:
                body += [(True, _cut(f" => => {line}", columns)) for line in step.tail[-TAIL:]]
        for layer, (status, current, total) in self.pulls.items():
            body.append((True, _cut(f" => {layer}: {status} {bar(current, total, 80)}".rstrip(), columns)))
        return lines + _fitting(body, max(room - 1, 0))


def _fitting(body: list[tuple[bool, str]], room: int) -> list[str]:
    """The lines if there is room; else the newest of what runs, then the newest of what ended, in their order."""
    if len(body) <= room:
        return [line for _, line in body]
    ranked = sorted(range(len(body)), key=lambda number: (not body[number][0], -number))
    return [body[number][1] for number in sorted(ranked[:room])]


def _name(step: Step) -> str:
    mark = {"cached": "CACHED ", "failed": "ERROR "}.get(step.state, "")
    return f" => {mark}{step.name}"


def _timed(text: str, seconds: float, columns: int) -> str:
    """The text, cut, and the time at the right edge."""
    clock = f"{seconds:.1f}s"
    room = columns - 1 - len(clock)
    return _cut(text, room).ljust(room) + clock if room > 8 else _cut(text, columns)


def _cut(text: str, columns: int) -> str:
    return output.visible(text).replace("\n", " ").replace("\t", " ")[: max(columns - 1, 0)]


class Tty(Renderer):
    """The renderer: steps into a :class:`Stages`, and a timer that draws it."""

    def __init__(self, write: Callable[[str], None], size: Callable[[], tuple[int, int]], lock: Lock) -> None:
        self.block = Stages(write, size)
        self._write = write
        self._lock = lock
        self._drawing = False
        self._before = signal.signal(signal.SIGALRM, self._tick)
        signal.siginterrupt(signal.SIGALRM, False)
        signal.setitimer(signal.ITIMER_REAL, TICK, TICK)

    def _tick(self, number: int, frame: FrameType | None) -> None:
        """In the main thread, wherever it is: also in the middle of a drawing, which then is enough."""
        if self._drawing or not self._lock.acquire(blocking=False):
            return
        try:
            self._draw()
        finally:
            self._lock.release()

    def _draw(self) -> None:
        if self._drawing:
            return
        self._drawing = True
        try:
            self.block.draw()
        finally:
            self._drawing = False

    def begin(self, step: Step) -> None:
        self.block.add(step)
        self._draw()

    def line(self, step: Step, stream: int, text: str, seconds: float | None) -> None:
        pass  # the next tick shows it

    def ended(self, step: Step) -> None:
        self.block.add(step)
        self._draw()

    def other(self, event: str, fields: Mapping[str, Any]) -> None:
        if event == "hide":
            self.block.hide()
        elif event == "layer":
            status = str(fields["status"])
            if status in _GONE:
                self.block.pulls.pop(str(fields["id"]), None)
            else:
                self.block.pulls[str(fields["id"])] = status, fields.get("current"), fields.get("total")
        else:
            text = told(event, fields)
            if text:
                self.block.hide()
                self._write(output.visible(text) + "\n")
                self._draw()

    def finish(self) -> None:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, self._before)
        self.block.settle()

    def summary(self, lines: Sequence[str]) -> None:
        self._write("\n" + "".join(line + "\n" for line in lines))
