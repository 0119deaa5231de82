"""What a build looks like: numbered lines, a live view of its stages on a terminal, BuildKit's JSON, or nothing.

Events are ``progress("build", {"state": …})`` of core/builder:

    plan      steps                          how many steps there are
    start     step, name, stage              a step begins; numbers are from 1
    output    step, stream, text, seconds    what it writes, in pieces; ``seconds`` since it began, None: a line of ours
    cached    step, name                     it was done before
    done      step, seconds
    failed    step, text
    warning   text                           told at the end, where the engine does not

Everything else (of pulls: core/image/arrival) is shown beside them. All goes to standard error: standard output is
for the image's id and for --output -. May be called by several threads.
"""

from __future__ import annotations

import _thread
import os
import time

from pod.cli import output

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading
    from collections.abc import Callable, Mapping, Sequence
    from typing import Any, TextIO

    from pod.core.errors import PodError

TAIL = 20
"""Lines of its output that a failed step is shown with."""
LONGEST_LINE = 16 << 10
"""Characters after which a line is shown though its end has not come."""
_COLOURS = r"\x1b\[[0-9;:]*[mK]"


class Step:
    """One step as far as it came. ``state``: "start", "cached", "done", "failed"."""

    __slots__ = ("began", "name", "number", "rest", "seconds", "state", "tail", "text")

    def __init__(self, number: int, name: str) -> None:
        self.number = number
        self.name = name
        self.state = "start"
        self.began = time.monotonic()
        self.seconds = 0.0
        self.text = ""
        self.rest: dict[int, str] = {}
        self.tail: list[str] = []

    def elapsed(self) -> float:
        """Seconds it took, or has taken so far."""
        return time.monotonic() - self.began if self.state == "start" else self.seconds


class Renderer:
    """Shows nothing: ``quiet`` and ``none``; the others are below and in build_tty and build_rawjson."""

    def begin(self, step: Step) -> None:
        """``step`` has begun."""

    def line(self, step: Step, stream: int, text: str, seconds: float | None) -> None:
        """A whole line of its output."""

    def ended(self, step: Step) -> None:
        """``step`` was cached, done, or failed."""

    def other(self, event: str, fields: Mapping[str, Any]) -> None:
        """An event that is none of a build's."""

    def finish(self) -> None:
        """Nothing more will come; called once."""

    def summary(self, lines: Sequence[str]) -> None:
        """The last lines, for people."""


class Plain(Renderer):
    """Docker's numbered lines. What was begun and goes on after another step's lines gets its head again."""

    def __init__(self, show: Callable[[str], None]) -> None:
        self._show = show
        self._current: Step | None = None
        self._first = True
        self._layers: dict[str, str] = {}

    def _head(self, step: Step) -> None:
        if self._current is step:
            return
        text = "" if self._current is None or self._current.state != "start" else f"#{self._current.number} ...\n"
        self._show(f"{text}{'' if self._first else chr(10)}#{step.number} {step.name}\n")
        self._current, self._first = step, False

    def begin(self, step: Step) -> None:
        self._head(step)

    def line(self, step: Step, stream: int, text: str, seconds: float | None) -> None:
        self._head(step)
        self._show(f"#{step.number} {text}\n" if seconds is None else f"#{step.number} {seconds:.3f} {text}\n")

    def ended(self, step: Step) -> None:
        self._head(step)
        said = {"cached": "CACHED", "done": f"DONE {step.seconds:.1f}s"}.get(step.state, f"ERROR: {step.text}")
        self._show(f"#{step.number} {said}\n")

    def other(self, event: str, fields: Mapping[str, Any]) -> None:
        if event == "layer":
            layer, status = str(fields["id"]), str(fields["status"])
            if status not in ("Pull complete", "Pushed", "Already exists", "Layer already exists"):
                return
            if self._layers.get(layer) != status:
                self._layers[layer] = status
                self._show(f"{layer}: {status}\n")
            return
        text = told(event, fields)
        if text:
            self._show(text + "\n")

    def summary(self, lines: Sequence[str]) -> None:
        self._show("\n" + "".join(line + "\n" for line in lines))


def told(event: str, fields: Mapping[str, Any]) -> str:
    """An event of a pull or a push as one line, "" for those that say nothing here."""
    if event == "pulling":
        return f"{fields['tag']}: Pulling from {fields['name']}"
    if event == "pushing":
        return f"The push refers to repository [{fields['name']}]"
    if event == "pushed":
        return f"{fields['tag']}: digest: {fields['digest']} size: {fields['size']}"
    return str(fields["text"]) if event == "note" else ""


class View:
    """The callback of the engine, as a context. ``how``: "auto", "plain", "tty", "rawjson", "quiet", "none";
    ``before``: the callback that warnings go to.
    """

    def __init__(
        self, how: str, stream: TextIO | None, before: Callable[[str, Mapping[str, Any]], None], *, now: bool = True
    ) -> None:
        self._before = before
        self._lock = _thread.allocate_lock()
        self._steps: dict[int, Step] = {}
        self._planned = 0
        self._warnings: list[str] = []
        self._began = time.monotonic()
        self._over = False
        self._terminal = stream is not None and stream.isatty()
        self._stream = stream
        self.how = _chosen(how, stream)
        self._renderer = _renderer(self.how, stream, self._write, self._lock)

    def __enter__(self) -> View:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _write(self, text: str) -> None:
        if self._stream is not None:
            output.write(text, self._stream)

    def __call__(self, event: str, fields: Mapping[str, Any]) -> None:
        with self._lock:
            if event == "warning":
                self._warning(fields)
            elif event != "build":
                self._renderer.other(event, fields)
            else:
                self._build(str(fields["state"]), fields)

    def _warning(self, fields: Mapping[str, Any]) -> None:
        self._renderer.other("hide", {})
        self._before("warning", fields)

    def _build(self, state: str, fields: Mapping[str, Any]) -> None:
        if state == "plan":
            self._planned = int(fields["steps"])
            return
        if state == "warning":
            self._warnings.append(self.harmless(str(fields["text"])))
            return
        number = int(fields["step"])
        step = self._steps.get(number)
        if step is None:
            step = self._steps[number] = Step(number, self.harmless(str(fields.get("name", ""))).replace("\n", " "))
            if state != "cached":
                self._renderer.begin(step)
        if state == "output":
            self._output(step, fields)
        elif state != "start" and step.state == "start":
            self._end(step, state, fields)

    def _output(self, step: Step, fields: Mapping[str, Any]) -> None:
        stream = int(fields.get("stream", 1))
        seconds = fields.get("seconds", step.elapsed())
        whole, newline, rest = (step.rest.get(stream, "") + str(fields["text"])).rpartition("\n")
        if len(rest) > LONGEST_LINE:
            whole, newline, rest = whole + newline + rest, "\n", ""
        step.rest[stream] = rest
        for line in whole.split("\n") if newline else ():
            self._line(step, stream, line, seconds)

    def _line(self, step: Step, stream: int, text: str, seconds: float | None) -> None:
        text = self.harmless(text.rstrip("\r").rpartition("\r")[2])
        step.tail = [*step.tail[1 - TAIL :], text]
        self._renderer.line(step, stream, text, seconds)

    def _end(self, step: Step, state: str, fields: Mapping[str, Any]) -> None:
        for stream, rest in step.rest.items():
            if rest:
                self._line(step, stream, rest, step.elapsed())
        step.rest.clear()
        step.seconds = float(fields.get("seconds") or (step.elapsed() if state != "cached" else 0.0))
        step.state = state
        step.text = self.harmless(str(fields.get("text", "")))
        self._renderer.ended(step)

    def harmless(self, text: str) -> str:
        """What programs and images say: for a terminal without what could steer it; others get every byte."""
        if not self._terminal:
            return text
        if "\x1b" in text:
            import re

            text = re.sub(_COLOURS, "", text)
        return output.visible(text)

    # ---- ends

    def stop(self) -> None:
        """Nothing more is drawn; safe to call again."""
        with self._lock:
            if not self._over:
                self._over = True
                self._renderer.finish()

    def end(self, warnings: Sequence[object]) -> None:
        """All went well: the warnings, and what was cached and what took longest."""
        self.stop()
        told = [self.harmless(getattr(one, "short", None) or str(one)) for one in warnings] or self._warnings
        lines = []
        if told:
            found = "1 warning found:" if len(told) == 1 else f"{len(told)} warnings found:"
            lines = [" " + found, *(" - " + one.replace("\n", "\n   ") for one in told), ""]
        self._renderer.summary([*lines, self._summary()])

    def _summary(self) -> str:
        planned = [step for number, step in self._steps.items() if number <= self._planned]
        cached = sum(step.state == "cached" for step in planned)
        text = f"Built in {time.monotonic() - self._began:.1f}s"
        if planned:
            text += f": {cached} of {len(planned)} steps cached"
        longest = max(self._steps.values(), key=lambda step: step.seconds, default=None)
        if longest is not None and longest.seconds >= 0.05:
            text += f"; the longest took {longest.seconds:.1f}s: {shortened(longest.name, 60)}"
        return text

    def failed(self, error: PodError) -> None:
        """The end of a failed step's output, and the Dockerfile's lines around it; the error itself is the caller's."""
        self.stop()
        if self.how == "rawjson":
            return
        text = ""
        for step in self._steps.values():
            if step.state == "failed" and step.tail:
                text += f"------\n > {step.name}:\n" + "".join(line + "\n" for line in step.tail) + "------\n"
        excerpt = getattr(error, "excerpt", "")
        if excerpt:
            text += self.harmless(excerpt).rstrip("\n") + "\n"
        if text:
            self._write(text)


def shortened(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _chosen(how: str, stream: TextIO | None) -> str:
    """ "auto" is the live view on a terminal that can show it, else numbered lines; so is "tty" where it cannot."""
    if how not in ("auto", "tty"):
        return how
    if stream is None or not stream.isatty():
        return "plain"
    from pod.cli import progress_block

    return "tty" if progress_block.can_move(os.environ.get("TERM", "")) else "plain"


def _renderer(how: str, stream: TextIO | None, write: Callable[[str], None], lock: threading.Lock) -> Renderer:
    if how == "plain":
        return Plain(write)
    if how == "rawjson":
        from pod.cli import build_rawjson

        return build_rawjson.RawJson(write)
    if how == "tty" and stream is not None:
        from pod.cli import build_tty, progress_block

        return build_tty.Tty(write, lambda: progress_block.terminal_size(stream), lock)
    return Renderer()
