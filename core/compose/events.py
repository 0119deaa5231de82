"""PyYAML's scanner and parser (pure Python) as one: a text to events, with tabs where Docker's reader allows them."""

from __future__ import annotations

from yaml.parser import Parser
from yaml.reader import Reader
from yaml.scanner import Scanner

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_BREAKS = "\0\r\n\x85\u2028\u2029"


class Events(Reader, Scanner, Parser):  # type: ignore[misc]
    """``get_event`` gives one after the other."""

    def __init__(self, text: str) -> None:
        Reader.__init__(self, text)
        Scanner.__init__(self)
        Parser.__init__(self)

    def scan_to_next_token(self: Any) -> None:
        """Tabs too may stand between tokens, but not where a line's indent is (as in libyaml)."""
        while True:
            while (char := self.peek()) == " " or (char == "\t" and (self.flow_level or not self.allow_simple_key)):
                self.forward()
            if char == "#":
                while self.peek() not in _BREAKS:
                    self.forward()
            if not self.scan_line_break():
                return
            if not self.flow_level:
                self.allow_simple_key = True
