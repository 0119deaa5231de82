"""Transcripts: command lines with what Docker's documentation shows for them, replayed with pod under the name docker.

A file begins with ``source:`` lines (the pages) and ``adapted:`` lines (changes, and why). Then:

    $ docker ps -a              a line for sh, after whose exit the lines below are compared with all that it printed
    CONTAINER ID …
    ...                         any number of lines
    type: exit 13               before a command: it runs at a terminal, these keys are typed (^P is control-P)
    meanwhile:                  before a command: it goes on in the background until the line ``back:``, below which
    back:                       stands what it printed

Both sides are compared without what differs from run to run: ids, durations, times, sizes, widths of columns, empty
lines, and "Error response from daemon:" for pod's own ``pod:``.
"""

from __future__ import annotations

import re
import shlex
import subprocess
from pathlib import Path

from tests.support import podcli, tools
from tests.support.podcli import Pod
from tests.support.terminal import Terminal

_TIMEOUT = 60.0
_UNIT = r"(?:seconds?|minutes?|hours?|days?|weeks?|months?|years?)"
_SAME = (
    (r"\b[0-9a-f]{64}\b|\b[0-9a-f]{4}\.\.\.[0-9a-f]{4}\b", "LONG-ID"),
    (r"\b[0-9a-f]{12}\b", "ID"),
    (rf"About an? {_UNIT}|Less than a second|\b\d+ {_UNIT}", "SOME TIME"),
    (r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(?:\.\d+)?(?:Z| ?[+-]\d\d:?\d\d)?(?: [A-Z]{3,4})?", "TIME"),
    (r"\b\d+(?:\.\d+)? ?(?:[kMG]?B|[KMG]iB)\b", "SIZE"),
    (r"\b\d+\.\d\d%", "SHARE"),
    (r"^\S*/volumes/", "VOLUMES/"),
    (r"execDuration=\d+, ", ""),
    (r"^(?:pod: |Error response from daemon: |(?:\d{4}/\d\d/\d\d \d\d:\d\d:\d\d )?Error: )", "error: "),
    (r"(?:  +|\t)", "\t"),
)


class Step:
    """One command. ``typed`` None: it has no terminal. ``meanwhile``: it goes on until its ``back:``."""

    __slots__ = ("expected", "line", "meanwhile", "number", "typed")

    def __init__(self, number: int, line: str) -> None:
        self.number = number
        self.line = line
        self.typed: str | None = None
        self.meanwhile = False
        self.expected: list[str] = []


class Transcript:
    """The parts of one file. ValueError with the line's number where it is none."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.sources: list[str] = []
        self.adapted: list[str] = []
        self.steps: list[Step] = []
        typed: str | None = None
        meanwhile = False
        lines: list[str] | None = None
        for number, text in enumerate(path.read_text().splitlines(), 1):
            head, _, rest = text.partition(": ")
            if text.startswith("$ "):
                step = Step(number, text[2:])
                step.typed, step.meanwhile = typed, meanwhile
                typed, meanwhile = None, False
                self.steps.append(step)
                lines = [] if step.meanwhile else step.expected
            elif head == "source":
                self.sources.append(rest)
            elif head == "adapted":
                self.adapted.append(rest)
            elif head == "type":
                typed = re.sub(r"\^([A-Z])", lambda found: chr(ord(found[1]) - 64), rest) + "\n"
            elif text == "meanwhile:":
                meanwhile = True
            elif text == "back:":
                lines = next(step for step in reversed(self.steps) if step.meanwhile).expected
            elif lines is not None:
                lines.append(text)
            elif text:
                raise ValueError(f"{path.name}:{number}: before the first command stand source: and adapted:")


def comparable(text: str) -> list[str]:
    """The lines of an output without what differs from run to run."""
    found = []
    for line in text.replace("\r", "").splitlines():
        kept = line.rstrip()
        for pattern, word in _SAME:
            kept = re.sub(pattern, word, kept)
        if kept and not kept.startswith("hint: "):
            found.append(kept)
    return found


def matches(expected: list[str], actual: list[str]) -> bool:
    """Whether all lines are the same; "..." stands for any number of them."""
    if not expected:
        return not actual
    if expected[0] == "...":
        return any(matches(expected[1:], actual[start:]) for start in range(len(actual) + 1))
    return bool(actual) and expected[0] == actual[0] and matches(expected[1:], actual[1:])


class Replay:
    """Runs the steps of one transcript in a folder of its own."""

    def __init__(self, pod: Pod, folder: Path) -> None:
        self.pod = pod
        self.folder = folder
        self.code = 0
        self.background: dict[int, subprocess.Popen[str]] = {}
        programs = folder / "bin"
        programs.mkdir()
        (programs / "docker").write_text(f'#!/bin/sh\nexec {shlex.join(pod.argv())} "$@"\n')
        (programs / "docker").chmod(0o755)
        self.environ = {**pod.environ(), "PATH": f"{programs}:{tools.SEARCH}"}
        self.work = folder / "work"
        self.work.mkdir()

    def run(self, transcript: Transcript) -> None:
        """AssertionError at the first command that prints something else."""
        try:
            for step in transcript.steps:
                self._step(transcript, step)
            for step in transcript.steps:
                if step.meanwhile:
                    out, _ = self.background[step.number].communicate(timeout=_TIMEOUT)
                    self._compare(transcript, step, out)
        finally:
            for process in self.background.values():
                if process.poll() is None:
                    process.kill()
                    process.wait(10)

    def _step(self, transcript: Transcript, step: Step) -> None:
        argv = ["/bin/sh", "-c", f"(exit {self.code}); {step.line}"]
        if step.typed is not None:
            self._compare(transcript, step, self._at_a_terminal(argv, step.typed))
            return
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            env=self.environ,
            cwd=self.work,
        )
        if step.meanwhile:
            self.background[step.number] = process
            return
        try:
            out, _ = process.communicate(timeout=_TIMEOUT)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(10)
            raise AssertionError(f"{transcript.path.name}:{step.number}: {step.line}: did not end") from None
        self.code = process.returncode
        self._compare(transcript, step, out)

    def _at_a_terminal(self, argv: list[str], typed: str) -> str:
        """What it shows once the keys were typed; before that it has to have taken the terminal."""
        terminal = Terminal(argv, self.environ, rows=24, columns=200, cwd=self.work)
        try:
            podcli.until(terminal.raw, 20, "the command to take the terminal")
            terminal.send(typed.encode())
            self.code = terminal.wait(_TIMEOUT)
            return terminal.seen.decode("utf-8", "replace")
        finally:
            terminal.close()

    def _compare(self, transcript: Transcript, step: Step, out: str) -> None:
        expected, actual = comparable("\n".join(step.expected)), comparable(out)
        assert matches(expected, actual), (
            f"{transcript.path.name}:{step.number}: $ {step.line}\n"
            + "documented:\n" + "\n".join(expected) + "\nfound:\n" + "\n".join(actual) + f"\nas it stands:\n{out}"
        )  # fmt: skip
