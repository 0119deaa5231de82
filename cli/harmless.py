"""What strangers wrote, for a person's terminal: a template prints values as they are, and they could steer it.

Only for a terminal: a program that reads our output gets every byte.
"""

from __future__ import annotations

import sys

from pod.cli.output import visible

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def for_reader(value: Any) -> Any:
    """``value`` (of JSON's kinds) with control characters as escapes where standard output is a terminal."""
    return _visible(value) if sys.stdout is not None and sys.stdout.isatty() else value


def _visible(value: Any) -> Any:
    if isinstance(value, str):
        return visible(value)
    if isinstance(value, dict):
        return {visible(key): _visible(item) for key, item in value.items()}
    return [_visible(item) for item in value] if isinstance(value, list) else value
