"""Output of several containers in one stream: whole lines, each with the name of its container before it.

Docker's look: ``web-1  | text``, names padded to the longest, a colour for each on a terminal.
"""

from __future__ import annotations

import sys
import time

from pod.cli import output
from pod.core.container import logs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pod.cli.options import Options
    from pod.core.container.logs import LogLine
    from pod.core.container.model import Container
    from pod.core.engine import Engine

COLOURS = ("36", "33", "32", "35", "34", "36;1", "33;1", "32;1", "35;1", "34;1")
_LONGEST_LINE = 1 << 20
"""Bytes of one line that are held back until its end comes."""


class View:
    """Writes lines with their prefixes. ``names`` are those of all containers that may come."""

    def __init__(self, names: list[str], *, prefix: bool, colour: bool, timestamps: bool) -> None:
        self._width = max(map(len, names), default=0) + 1
        self._prefix = prefix
        self._colour = colour
        self._timestamps = timestamps
        self._colours: dict[str, str] = {}
        self._held: dict[tuple[str, str], str] = {}

    def feed(self, name: str, line: LogLine) -> None:
        """One record, which may be a part of a line."""
        key = (name, line.stream)
        text = self._held.pop(key, "") + line.text
        if not text.endswith("\n"):
            if len(text) < _LONGEST_LINE:
                self._held[key] = text
                return
            text += "\n"
        moment = line.time + " " if self._timestamps else ""
        self._write(name, moment + text, line.stream)

    def end(self, name: str) -> None:
        """What has no newline at the end of a container's output gets one."""
        for stream in ("stdout", "stderr"):
            text = self._held.pop((name, stream), "")
            if text:
                self._write(name, text + "\n", stream)

    def say(self, name: str, text: str) -> None:
        """A line of our own."""
        self._write(name, text + "\n", "stdout", ours=True)

    def _write(self, name: str, text: str, stream: str, *, ours: bool = False) -> None:
        target = sys.stderr if stream == "stderr" else sys.stdout
        if ours:
            output.write(f"{name} {text}", target)
            return
        output.write(self._head(name) + text if self._prefix else text, target)

    def _head(self, name: str) -> str:
        if not self._colour:
            return f"{name:<{self._width}} | "
        colour = self._colours.setdefault(name, COLOURS[len(self._colours) % len(COLOURS)])
        return f"\033[{colour}m{name:<{self._width}} | \033[0m"


class Stream:
    """One container's log on its way."""

    __slots__ = ("_lines", "ended", "name", "next")

    def __init__(self, engine: Engine, container: Container, name: str, how: dict[str, object]) -> None:
        self.name = name
        self.ended = False
        self.next: LogLine | None = None
        self._lines: Iterator[LogLine | None] = logs.lines(engine, container, **how)  # type: ignore[arg-type]

    def pull(self) -> bool:
        """Whether there is a line in ``next``; ``ended`` where none comes any more."""
        if self.next is None and not self.ended:
            try:
                self.next = next(self._lines)
            except StopIteration:
                self.ended = True
        return self.next is not None

    def take(self) -> LogLine:
        line, self.next = self.next, None
        assert line is not None
        return line


def readable(container: Container) -> bool:
    return container.config["HostConfig"]["LogConfig"]["Type"] in ("json-file", "local")


def short_name(project: str, name: str) -> str:
    """Without the project's name, as Docker shows it."""
    return name[len(project) + 1 :] if name.startswith(project + "-") else name


def has_colour(options: Options, *, never: bool = False) -> bool:
    """--ansi, --no-color, and whether standard output is a terminal."""
    group = options.group
    how = group["ansi"] if group is not None else "auto"
    if never or how == "never":
        return False
    return how == "always" or (sys.stdout is not None and sys.stdout.isatty())


def merged(streams: list[Stream], view: View) -> None:
    """All that is there, by its time."""
    live = list(streams)
    while True:
        ready = [one for one in live if one.pull()]
        live = [one for one in live if not one.ended]
        if not ready:
            break
        first = min(ready, key=lambda one: one.next.time if one.next else "")
        view.feed(first.name, first.take())
    for one in streams:
        view.end(one.name)


def drain(streams: list[Stream], view: View, most: int = 500) -> bool:
    """What has come since, at most ``most`` lines of each; whether there was any."""
    any_line = False
    for one in streams:
        for _ in range(most):
            if not one.pull():
                break
            any_line = True
            view.feed(one.name, one.take())
        if one.ended:
            view.end(one.name)
    return any_line


def follow(streams: list[Stream], view: View) -> None:
    """Until all have ended."""
    while not all(one.ended for one in streams):
        if not drain(streams, view):
            time.sleep(logs.POLL)
