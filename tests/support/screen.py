"""What a terminal shows after it was sent some bytes: enough of ECMA-48 for lines that are redrawn in place."""

from __future__ import annotations

import re

_TOKEN = re.compile(r"\x1b\[(\d*)([A-Za-z])|(\r)|(\n)|([^\x00-\x1f\x7f])|(.)", re.DOTALL)


class Screen:
    """``rows`` x ``columns`` characters, a cursor, and the lines that have scrolled away at the top."""

    def __init__(self, rows: int, columns: int) -> None:
        self.rows = rows
        self.columns = columns
        self.above: list[str] = []
        self._cells = [[" "] * columns for _ in range(rows)]
        self.row = self.column = 0

    def feed(self, data: bytes) -> None:
        """Takes output; AssertionError for anything that lines redrawn in place have no use for."""
        for found in _TOKEN.finditer(data.decode()):
            count, letter, carriage, newline, character, other = found.groups()
            assert not other, f"unexpected {other!r}"
            if letter:
                self._command(letter, int(count or "1"), given=bool(count))
            elif carriage:
                self.column = 0
            elif newline:
                self.column = 0  # The line discipline (ONLCR) or the program has sent the return.
                self._down()
            else:
                self._put(character)

    def _command(self, letter: str, count: int, *, given: bool) -> None:
        if letter == "A":
            self.row = max(self.row - count, 0)
        elif letter == "B":
            self.row = min(self.row + count, self.rows - 1)
        elif letter in "KJ":
            assert not given or count == 2, "only to the end, or the whole line"
            start = 0 if given else self.column
            self._cells[self.row][start:] = [" "] * (self.columns - start)
            if letter == "J":
                for row in range(self.row + 1, self.rows):
                    self._cells[row] = [" "] * self.columns
        else:
            raise AssertionError(f"unexpected command {letter}")

    def _put(self, character: str) -> None:
        if self.column == self.columns:
            self.column = 0
            self._down()
        self._cells[self.row][self.column] = character
        self.column += 1

    def _down(self) -> None:
        if self.row < self.rows - 1:
            self.row += 1
            return
        self.above.append("".join(self._cells.pop(0)).rstrip())
        self._cells.append([" "] * self.columns)

    def resize(self, rows: int, columns: int) -> None:
        """As xterm does: lines are cut or padded, rows at the top scroll away until the cursor fits."""
        while self.row >= rows:
            self.above.append("".join(self._cells.pop(0)).rstrip())
            self.row -= 1
        self._cells = self._cells[:rows] + [[] for _ in range(rows - len(self._cells))]
        self._cells = [(cells + [" "] * columns)[:columns] for cells in self._cells]
        self.rows, self.columns = rows, columns
        self.column = min(self.column, columns)

    def lines(self) -> list[str]:
        """What can be seen, without empty lines at the end."""
        shown = ["".join(cells).rstrip() for cells in self._cells]
        while shown and not shown[-1]:
            shown.pop()
        return shown

    def all_lines(self) -> list[str]:
        """The same below what has scrolled away."""
        return self.above + self.lines()
