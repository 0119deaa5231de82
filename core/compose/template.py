"""``${NAME}`` and its forms in a text: the specification's interpolation, as Docker reads it: pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Lookup = Callable[[str], "str | None"]
    Note = Callable[[str], None]

MOST_DEPTH = 40
OPERATORS = (":?", ":-", ":+", "?", "-", "+")
_START = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ_\u017f\u212a")
_NAME = _START | frozenset("0123456789")


class TemplateError(Exception):
    """Not a template, or a variable that is required is missing; the text says which."""


class Template:
    """One way to replace: where values come from, and who is told of variables that are not set."""

    __slots__ = ("lookup", "unset")

    def __init__(self, lookup: Lookup, unset: Note | None = None) -> None:
        self.lookup, self.unset = lookup, unset

    def substitute(self, text: str, depth: int = 0) -> str:
        if "$" not in text:
            return text
        if depth > MOST_DEPTH:
            raise TemplateError(f"variables are nested more than {MOST_DEPTH} levels deep")
        out, at = [], 0
        while True:
            start = text.find("$", at)
            if start < 0 or start + 1 == len(text):
                out.append(text[at:])
                return "".join(out)
            out.append(text[at:start])
            value, at = self.variable(text, start, depth)
            out.append(value)

    def variable(self, text: str, start: int, depth: int) -> tuple[str, int]:
        """What the dollar sign at ``start`` comes to, and where the text goes on."""
        char = text[start + 1]
        if char == "$":
            return "$", start + 2
        if char in _START:
            end = _name_end(text, start + 1)
            return self.simple(text[start + 1 : end]), end
        if char != "{":
            return "$", start + 1
        end = _name_end(text, start + 2) if text[start + 2 : start + 3] in _START else start + 2
        if end == start + 2:
            raise TemplateError(_invalid(text))
        if text[end : end + 1] == "}":
            return self.simple(text[start + 2 : end]), end + 1
        operator = next((one for one in OPERATORS if text.startswith(one, end)), "")
        line_end = text.find("\n", end)
        last = text.rfind("}", end, len(text) if line_end < 0 else line_end)
        if not operator or last < 0:
            raise TemplateError(_invalid(text))
        close = _closing(text, start, last)
        given = text[end + len(operator) : close]
        return self.braced(text[start + 2 : end], operator, given, depth), close + 1

    def simple(self, name: str) -> str:
        value = self.lookup(name)
        if value is None:
            if self.unset is not None:
                self.unset(name)
            return ""
        return value

    def braced(self, name: str, operator: str, given: str, depth: int) -> str:
        given = self.substitute(given, depth + 1)
        value = self.lookup(name)
        there = bool(value) if operator[0] == ":" else value is not None
        if operator[-1] == "+":
            return given if there else value or ""
        if there:
            return value or ""
        if operator[-1] == "-":
            return given
        raise TemplateError(f"required variable {name} is missing a value" + (f": {given}" if given else ""))


def _invalid(text: str) -> str:
    shown = text if len(text) <= 200 else text[:200] + "…"
    return f"invalid interpolation format: {shown!r}; write $$ for a dollar sign"


def _name_end(text: str, at: int) -> int:
    while at < len(text) and text[at] in _NAME:
        at += 1
    return at


def _closing(text: str, start: int, last: int) -> int:
    """The brace that closes the one after ``start``; ``last``, where braces do not match, is the line's last one."""
    depth, at = 0, start
    while at <= last:
        char = text[at]
        if char == "}":
            depth -= 1
            if not depth:
                return at
        elif char == "{":
            depth += 1
            at += 1  # what follows is never a brace that counts
        at += 1
    return last


def variables(text: str, depth: int = 0) -> list[tuple[str, bool, str, str]]:
    """Name, whether it is required, default, alternative: of every variable of ``text``, those in defaults too."""
    out: list[tuple[str, bool, str, str]] = []
    at = 0
    while depth <= MOST_DEPTH and 0 <= (start := text.find("$", at)) < len(text) - 1:
        char = text[start + 1]
        at = start + 2
        if char in _START:
            at = _name_end(text, start + 1)
            out.append((text[start + 1 : at], False, "", ""))
        elif char == "{" and text[start + 2 : start + 3] in _START:
            end = _name_end(text, start + 2)
            stop = text.find("\n", end)
            last = text.rfind("}", end, len(text) if stop < 0 else stop)
            if last < 0:
                continue
            close = _closing(text, start, last)
            at = close + 1
            operator = next((one for one in OPERATORS if text.startswith(one, end)), "")
            given = text[end + len(operator) : close]
            name, sign = text[start + 2 : end], operator[-1:]
            out.append((name, sign == "?", given if sign == "-" else "", given if sign == "+" else ""))
            if sign in ("-", "+") and sign:
                out += variables(given, depth + 1)
    return out
