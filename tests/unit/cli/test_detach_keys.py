"""--detach-keys: Docker's grammar to bytes."""

from __future__ import annotations

import pytest

from pod.cli import detach_keys
from pod.core.errors import UsageError


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        *(("", b""), ("ctrl-p,ctrl-q", b"\x10\x11"), ("a", b"a"), ("ctrl-@", b"\0")),
        *(("ctrl-[,x", b"\x1bx"), ("ctrl-A", b"\1"), ("DEL,b", b"\x7fb")),
    ],
)
def test_parse_when_dockers(text: str, keys: bytes) -> None:
    assert detach_keys.parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", ",", "a,,b", "ctrl-pp", "ä", "ctrl-ä", "ctrl-?"])
def test_parse_when_not_then_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="invalid detach keys"):
        detach_keys.parse(text)
