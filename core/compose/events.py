"""PyYAML's scanner and parser (pure Python) over a text of our own: events, tabs where Docker allows them.

Its reader is not taken: it decodes and counts each character by itself, and compiles a large pattern first.
"""

from __future__ import annotations

from yaml.error import Mark
from yaml.parser import Parser
from yaml.scanner import Scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_END = "\0"
_BREAKS = "\r\n\x85\u2028\u2029"
_FORBIDDEN = [
    chr(code)
    for first, last in ((0, 9), (0xB, 0xD), (0xE, 0x20), (0x7F, 0x85), (0x86, 0xA0), (0xFFFE, 0x10000))
    for code in range(first, last)
]


def forbidden(text: str) -> int:
    """Where the first character is that YAML does not allow; -1 if there is none."""
    return min((text.index(char) for char in _FORBIDDEN if char in text), default=-1)


class Events(Scanner, Parser):  # type: ignore[misc]
    """``get_event`` gives one after the other."""

    def __init__(self, text: str) -> None:
        self.buffer = text + _END
        self.index = self.line = self.column = 0
        self.encoding = "utf-8"
        Scanner.__init__(self)
        Parser.__init__(self)

    # what the scanner asks of a reader

    def peek(self, ahead: int = 0) -> str:
        try:
            return self.buffer[self.index + ahead]
        except IndexError:
            return _END

    def prefix(self, length: int = 1) -> str:
        return self.buffer[self.index : self.index + length]

    def forward(self, length: int = 1) -> None:
        passed = self.buffer[self.index : self.index + length]
        start, self.index = self.index, self.index + length
        if passed.isprintable():
            self.column += length
            return
        for at, char in enumerate(passed, start + 1):
            if char == "\r" and self.buffer[at : at + 1] == "\n":
                continue
            if char in _BREAKS:
                self.line += 1
                self.column = 0
            elif char != "\ufeff":
                self.column += 1

    def get_mark(self) -> Any:
        return Mark("", self.index, self.line, self.column, None, None)

    def scan_to_next_token(self: Any) -> None:
        """Tabs too may stand between tokens, but not where a line's indent is (as in libyaml)."""
        while True:
            while (char := self.peek()) == " " or (char == "\t" and (self.flow_level or not self.allow_simple_key)):
                self.forward()
            if char == "#":
                while self.peek() not in _BREAKS + _END:
                    self.forward()
            if not self.scan_line_break():
                return
            if not self.flow_level:
                self.allow_simple_key = True
