"""What the engine's progress events look like: Docker's own lines, or a live view with bars on a terminal.

    event       fields                          meaning
    not-local   name                            run: the image is not in the store ("Unable to find image …")
    pulling     tag, name                       a pull begins: "latest: Pulling from library/busybox"
    layer       id, status, current, total      id: 12 hex digits. status: Pulling fs layer, Waiting, Downloading,
                                                Verifying Checksum, Download complete, Extracting, Pull complete,
                                                Already exists. current and total: bytes, where they are known
    digest      digest                          "Digest: sha256:…"
    status      text                            "Status: Downloaded newer image for busybox:latest"
    warning     text                            "WARNING: …", on standard error

``pull`` shows them on standard output, every other command on standard error, as Docker does. Unknown events are a bug
of the sender and raise ValueError.
"""

from __future__ import annotations

import os
import sys
import time

from pod.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TextIO

_PLAIN = frozenset(
    ("Pulling fs layer", "Waiting", "Verifying Checksum", "Download complete", "Pull complete", "Already exists")
)
_INTERVAL = 0.08
"""Seconds between two redraws of a bar."""


def for_command(path: str, *, quiet: bool = False) -> Callable[[str, Mapping[str, Any]], None]:
    """The callback for the command ``path`` ("pull", "container run"); ``quiet`` leaves warnings out."""
    stream = sys.stdout if path.rpartition(" ")[2] == "pull" else sys.stderr
    width = _width(stream)
    return View(stream, width, quiet=quiet)


def _width(stream: TextIO) -> int:
    """Columns of the terminal behind ``stream``; 0 where it is none, or one that cannot move its cursor."""
    try:
        if not stream.isatty() or os.environ.get("TERM", "dumb") == "dumb":
            return 0
        return max(os.get_terminal_size(stream.fileno()).columns, 20)
    except (OSError, ValueError):
        return 0


class View:
    """Renders events; ``width`` 0 means plain lines, otherwise every layer has a line of its own that is redrawn."""

    __slots__ = ("_drawn", "_last", "_quiet", "_stream", "_width")

    def __init__(self, stream: TextIO, width: int, *, quiet: bool = False) -> None:
        self._stream = stream
        self._width = width
        self._quiet = quiet
        self._last: dict[str, tuple[str, float]] = {}
        self._drawn: list[str] = []

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        if event == "layer":
            self._layer(str(fields["id"]), str(fields["status"]), fields.get("current"), fields.get("total"))
        elif event == "warning":
            if not self._quiet:
                output.warning(str(fields["text"]))
                self._drawn = []
        elif event == "pulling":
            self._line(f"{fields['tag']}: Pulling from {fields['name']}")
        elif event == "digest":
            self._line(f"Digest: {fields['digest']}")
        elif event == "status":
            self._line("Status: " + str(fields["text"]).removeprefix("Status: "))
        elif event == "not-local":
            self._line(f"Unable to find image '{fields['name']}' locally")
        else:
            raise ValueError(f"unknown progress event {event!r}")

    def _line(self, text: str) -> None:
        output.line(output.visible(text), self._stream)
        self._drawn = []

    def _layer(self, layer: str, status: str, current: int | None, total: int | None) -> None:
        before, when = self._last.get(layer, ("", 0.0))
        now = time.monotonic()
        if not self._width:
            if status != before and status in _PLAIN:
                self._last[layer] = (status, now)
                self._line(f"{layer}: {status}")
            return
        if status == before and now - when < _INTERVAL and current != total:
            return
        self._last[layer] = (status, now)
        text = f"{layer}: {status} {bar(current, total, self._width)}".rstrip()
        self._draw(layer, output.visible(text)[: self._width - 1])

    def _draw(self, layer: str, text: str) -> None:
        """Rewrites the layer's line in place: up, over, and back down. A new layer gets a new line below."""
        if layer not in self._drawn:
            self._drawn.append(layer)
            output.line(text, self._stream)
            return
        up = len(self._drawn) - self._drawn.index(layer)
        output.write(f"\x1b[{up}A\r\x1b[2K{text}\x1b[{up}B\r", self._stream)


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
