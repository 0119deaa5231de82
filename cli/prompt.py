"""Asking the person at the keyboard; docker/cli: internal/prompt."""

from __future__ import annotations

import os
import sys

from pod.cli import output
from pod.core.errors import PodError

_LONGEST = 4096


def confirm(question: str) -> bool:
    """Whether the answer, a line of standard input, is "y" or "Y"; the end of the input is a no."""
    output.write(question + " [y/N] ")
    if sys.stdin is None:
        return False
    try:
        answer = sys.stdin.buffer.readline(_LONGEST)
    except OSError:
        return False
    return answer.strip().lower() == b"y"


def on_terminal() -> bool:
    """Whether somebody can be asked."""
    try:
        return os.isatty(0)
    except OSError:
        return False


def ask(question: str, *, hidden: bool = False) -> str:
    """The line that is typed, without its end; ``hidden``: not shown while it is. PodError at the end of the input."""
    import termios

    before = termios.tcgetattr(0)
    quiet = [*before]
    quiet[3] = before[3] & ~(termios.ECHO if hidden else 0)
    line = b""
    try:
        termios.tcsetattr(0, termios.TCSADRAIN, quiet)
        output.write(question)  # who types at once is not shown either
        while not line.endswith(b"\n") and len(line) < _LONGEST:
            some = os.read(0, _LONGEST - len(line))
            if not some:
                break
            line += some
    finally:
        termios.tcsetattr(0, termios.TCSADRAIN, before)
        if hidden:
            output.write("\n")
    if not line:
        raise PodError("read answer: the input has ended")
    return line.rstrip(b"\r\n").decode("utf-8", "replace")
