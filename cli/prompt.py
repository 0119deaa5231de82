"""Asking the person at the keyboard; docker/cli: internal/prompt."""

from __future__ import annotations

import sys

from pod.cli import output

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
