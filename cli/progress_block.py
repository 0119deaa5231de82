"""The live view of a pull or a push: a line for each layer at the foot of the terminal, redrawn in place.

    0f1e2d3c4b5a: Pull complete
    1a2b3c4d5e6f: Extracting [=====================>                             ]  12.1MB/28.2MB
    … 31 more layers: 20 complete, 11 waiting                       (where there are more layers than rows)

The cursor rests at the beginning of the line below, and every change is one write: who interrupts us finds it there.
Sizes are asked for at every drawing. After a window became too small for what stands in it the lines are drawn anew
below: whether the terminal has wrapped them or cut them off is its own affair.
Source: docker/docker pkg/jsonmessage (the look).
"""

from __future__ import annotations

import os
import time

from pod.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

INTERVAL = 0.08
"""Seconds between two drawings that tell of bytes alone; a new status is shown at once."""

_DONE = ("Pull complete", "Already exists", "Pushed", "Layer already exists", "Mounted from")
_WORKING = ("Downloading", "Verifying Checksum", "Extracting", "Pushing")
_NOT_ANSI = ("", "dumb", "unknown", "emacs", "network", "dialup", "vt52")


def can_move(term: str) -> bool:
    """Whether a terminal of that name takes ANSI's sequences for cursor and erasure, by the terminfo there is."""
    if term in _NOT_ANSI:
        return False
    try:
        import curses
    except ImportError:
        return True
    try:
        curses.setupterm(term, 1)
        up, erase = curses.tigetstr("cuu"), curses.tigetstr("el")
    except (curses.error, OSError, ValueError):
        return True  # No entry of that name: terminals that are younger than the terminfo speak ANSI.
    return up is not None and erase is not None and up.startswith(b"\x1b[") and erase.startswith(b"\x1b[")


def terminal_size(stream: TextIO) -> tuple[int, int]:
    """Columns and rows, 80 and 24 where the terminal does not say."""
    try:
        columns, rows = os.get_terminal_size(stream.fileno())
    except (OSError, ValueError):
        columns = rows = 0
    return columns or 80, rows or 24


class Block:
    """The lines. ``write`` shows a text at once; ``size`` gives columns and rows."""

    __slots__ = ("_drawn", "_layers", "_size", "_when", "_write")

    def __init__(self, write: Callable[[str], None], size: Callable[[], tuple[int, int]]) -> None:
        self._write = write
        self._size = size
        self._layers: dict[str, tuple[str, int | None, int | None]] = {}
        self._drawn: list[str] = []
        self._when = 0.0

    def update(self, layer: str, status: str, current: int | None, total: int | None) -> None:
        """What is true of a layer now; ``current`` and ``total`` in bytes."""
        before = self._layers.get(layer)
        self._layers[layer] = (status, current, total)
        if before is None or before[0] != status or time.monotonic() - self._when >= INTERVAL:
            self.draw()

    def draw(self) -> None:
        """Shows every layer as it is, if there are any."""
        columns, rows = self._size()
        if self._drawn and (rows <= len(self._drawn) or columns <= max(map(len, self._drawn))):
            self._drawn = []  # Drawn for a larger window.
        lines = self._lines(columns, rows - 1)
        self._put(_change(self._drawn, lines), rows)
        self._drawn = lines
        self._when = time.monotonic()

    def hide(self) -> None:
        """Takes the lines away, to make room for something else; the next drawing brings them back."""
        if self._drawn:
            self._put(f"\x1b[{len(self._drawn)}A\r\x1b[J", len(self._drawn) + 1)
            self._drawn = []

    def settle(self) -> None:
        """Leaves all layers as they are, however many rows that takes, and knows of none any more."""
        columns, rows = self._size()
        if len(self._layers) < rows:
            if self._layers:
                self.draw()
        else:
            self.hide()
            self._put("".join(line + "\n" for line in self._lines(columns, len(self._layers))), rows)
        self._layers = {}
        self._drawn = []

    def leave(self) -> None:
        """At the end of the process: what the terminal has echoed beside the cursor (^C) does not stay there."""
        if self._drawn:
            self._put("\r\x1b[K", 1)

    def _put(self, text: str, rows: int) -> None:
        try:
            self._write(text)
        except KeyboardInterrupt:
            self._write(f"\r\x1b[{rows}B")  # Half of it may be out, and the cursor anywhere in the lines.
            raise

    def _lines(self, columns: int, room: int) -> list[str]:
        """One line for each layer, or as many as there is ``room`` for, and what the others are at."""
        names = list(self._layers)
        if len(names) > room:
            names = self._chosen(max(room - 1, 0))
        lines = [_line(name, *self._layers[name], columns) for name in names]
        left = [self._layers[name][0] for name in self._layers if name not in names]
        if left and room > 0:
            done = sum(status.startswith(_DONE) for status in left)
            lines.append(f"… {len(left)} more layers: {done} complete, {len(left) - done} waiting"[: columns - 1])
        return lines

    def _chosen(self, room: int) -> list[str]:
        """The layers that are at work before those that wait, and these before those that are done; in their order."""

        def rank(name: str) -> int:
            status = self._layers[name][0]
            return 0 if status in _WORKING else 2 if status.startswith(_DONE) else 1

        chosen = set(sorted(self._layers, key=rank)[:room])
        return [name for name in self._layers if name in chosen]


def _line(layer: str, status: str, current: int | None, total: int | None, columns: int) -> str:
    shown = bar(current, total, columns) if status in _WORKING else ""
    return output.visible(f"{layer}: {status} {shown}".rstrip()).replace("\n", " ").replace("\t", " ")[: columns - 1]


def _change(old: list[str], new: list[str]) -> str:
    """What makes ``new`` out of the lines ``old`` above the cursor, and leaves it below them; only what differs."""
    if new[: len(old)] == old:
        return "".join(line + "\n" for line in new[len(old) :])
    out = [f"\x1b[{len(old)}A"] if old else []
    skipped = 0
    for number, line in enumerate(new):
        if number < len(old) and old[number] == line:
            skipped += 1
            continue
        if skipped:
            out.append(f"\x1b[{skipped}B")
            skipped = 0
        out.append(("\r\x1b[K" if number < len(old) else "") + line + "\n")
    if skipped:
        out.append(f"\x1b[{skipped}B")
    if len(old) > len(new):
        out.append("\r\x1b[J")
    return "".join(out)


def bar(current: int | None, total: int | None, width: int) -> str:
    """Docker's "[====>    ]  1.2MB/3.4MB"; without a total the bytes alone; without bytes nothing."""
    if not current:
        return ""
    if not total or current > total:
        return output.human_size(current, 4)
    numbers = f"{output.human_size(current, 4):>8}/{output.human_size(total, 4)}"
    if width <= 110:
        return numbers
    cells = min(50 * current // total, 50)
    head = "=" * cells + ">" if cells < 50 else "=" * 50
    return f"[{head:<51}] {numbers}"
