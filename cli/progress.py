"""What the engine's progress events look like: Docker's own lines, or a live view with bars on a terminal.

    event       fields                          meaning
    not-local   name                            run: the image is not in the store ("Unable to find image …")
    pulling     tag, name                       a pull begins: "latest: Pulling from library/busybox"
    layer       id, status, current, total      id: 12 hex digits. status: Pulling fs layer, Waiting, Downloading,
                                                Verifying Checksum, Download complete, Extracting, Pull complete,
                                                Already exists; of a push: Preparing, Waiting, Pushing, Pushed,
                                                Layer already exists, Mounted from NAME.
                                                current and total: bytes, where they are known
    pushing     name                            a push begins: "The push refers to repository [NAME]"
    pushed      tag, digest, size               "latest: digest: sha256:… size: 1234"
    note        text                            a line by itself
    digest      digest                          "Digest: sha256:…"
    status      text                            "Status: Downloaded newer image for busybox:latest"
    warning     text                            "WARNING: …", on standard error

``pull`` and ``push`` show them on standard output, every other command on standard error, as Docker does. Unknown
events are a bug of the sender and raise ValueError.
"""

from __future__ import annotations

import os
import sys
import threading

from pod.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, TextIO

    from pod.cli.progress_block import Block

_PLAIN = frozenset(
    (
        "Pulling fs layer", "Waiting", "Verifying Checksum", "Download complete", "Pull complete", "Already exists",
        "Preparing", "Pushed", "Layer already exists",
    )
)  # fmt: skip


def for_command(path: str, *, quiet: bool = False) -> Callable[[str, Mapping[str, Any]], None]:
    """The callback for the command ``path`` ("pull", "container run"); ``quiet`` leaves warnings out."""
    stream = sys.stdout if path.rpartition(" ")[2] in ("pull", "push") else sys.stderr
    return View(stream, _block(stream), quiet=quiet)


def _block(stream: TextIO | None) -> Block | None:
    """The live view on a terminal that can move its cursor."""
    if stream is None or not stream.isatty():
        return None
    from pod.cli import progress_block

    if not progress_block.can_move(os.environ.get("TERM", "")):
        return None
    import atexit

    block = progress_block.Block(lambda text: output.write(text, stream), lambda: progress_block.terminal_size(stream))
    atexit.register(block.leave)
    return block


class View:
    """Renders events: plain lines without a ``block``, otherwise every layer has a line of its own that is redrawn.

    May be called by several threads.
    """

    __slots__ = ("_block", "_last", "_lock", "_quiet", "_stream")

    def __init__(self, stream: TextIO, block: Block | None = None, *, quiet: bool = False) -> None:
        self._stream = stream
        self._block = block
        self._quiet = quiet
        self._last: dict[str, str] = {}
        self._lock = threading.Lock()

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        with self._lock:
            self._show(event, fields)

    def _show(self, event: str, fields: Mapping[str, Any]) -> None:
        if event == "layer":
            self._layer(str(fields["id"]), str(fields["status"]), fields.get("current"), fields.get("total"))
        elif event == "warning":
            self._warning(str(fields["text"]))
        elif event == "pulling":
            self._line(f"{fields['tag']}: Pulling from {fields['name']}")
        elif event == "digest":
            self._line(f"Digest: {fields['digest']}")
        elif event == "status":
            self._line("Status: " + str(fields["text"]).removeprefix("Status: "))
        elif event == "pushing":
            self._line(f"The push refers to repository [{fields['name']}]")
        elif event == "pushed":
            self._line(f"{fields['tag']}: digest: {fields['digest']} size: {fields['size']}")
        elif event == "note":
            self._line(str(fields["text"]))
        elif event == "not-local":
            self._line(f"Unable to find image '{fields['name']}' locally")
        else:
            raise ValueError(f"unknown progress event {event!r}")

    def _line(self, text: str) -> None:
        """A line of its own, below the layers that were told of so far; those that come are others."""
        if self._block is not None:
            self._block.settle()
        self._last.clear()
        output.line(output.visible(text), self._stream)

    def _warning(self, text: str) -> None:
        """Above the layers, which go on."""
        if self._quiet:
            return
        if self._block is not None:
            self._block.hide()
        output.warning(text)
        if self._block is not None:
            self._block.draw()

    def _layer(self, layer: str, status: str, current: int | None, total: int | None) -> None:
        if self._block is not None:
            self._block.update(layer, status, current, total)
        elif (status in _PLAIN or status.startswith("Mounted from ")) and status != self._last.get(layer):
            self._last[layer] = status
            output.line(output.visible(f"{layer}: {status}"), self._stream)
