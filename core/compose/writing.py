"""Plain data as YAML, in the style that Docker prints: two spaces, texts quoted only where they must be: pure."""

from __future__ import annotations

from pod.core.compose import scalars

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_FIRST = frozenset("#,[]{}&*!|>'\"%@`")
_WORDS = frozenset(
    word
    for text in ("y", "n", "yes", "no", "on", "off")
    for word in (text, text.capitalize(), text.upper())
)  # fmt: skip
"""YAML 1.1 has these as true and false."""
_ESCAPES = {
    "\0": "\\0", "\a": "\\a", "\b": "\\b", "\t": "\\t", "\n": "\\n", "\v": "\\v", "\f": "\\f", "\r": "\\r",
    "\x1b": "\\e", '"': '\\"', "\\": "\\\\", "\x85": "\\N", "\xa0": "\\_", "\u2028": "\\L", "\u2029": "\\P",
}  # fmt: skip


def dump(value: dict[str, Any]) -> str:
    """A document."""
    lines: list[str] = []
    _mapping(value, 0, lines)
    return "\n".join(lines) + "\n" if lines else "{}\n"


def _mapping(value: dict[str, Any], indent: int, lines: list[str], first: str | None = None) -> None:
    """``first`` is what stands before the first key, in place of the indent: the dash of a list."""
    for key, inner in value.items():
        lead = " " * indent if first is None else first
        first = None
        _member(f"{lead}{text(key, key=True)}:", inner, indent, lines)


def _member(head: str, inner: Any, indent: int, lines: list[str]) -> None:
    if isinstance(inner, dict) and inner:
        lines.append(head)
        _mapping(inner, indent + 2, lines)
    elif isinstance(inner, list) and inner:
        lines.append(head)
        _sequence(inner, indent + 2, lines)
    else:
        lines.append(f"{head} {_scalar(inner, indent)}")


def _sequence(value: list[Any], indent: int, lines: list[str], first: str | None = None) -> None:
    for inner in value:
        lead = f"{' ' * indent if first is None else first}- "
        first = None
        if isinstance(inner, dict) and inner:
            _mapping(inner, indent + 2, lines, lead)
        elif isinstance(inner, list) and inner:
            _sequence(inner, indent + 2, lines, lead)
        else:
            lines.append(lead + _scalar(inner, indent))


def _scalar(value: Any, indent: int) -> str:
    if isinstance(value, str):
        return _block(value, indent + 2) if "\n" in value and _may_be_block(value) else text(value)
    if value is None:
        return "null"
    if isinstance(value, dict):
        return "{}"
    if isinstance(value, list):
        return "[]"
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        return ".inf" if value > 0 else "-.inf"
    return ".nan" if value != value else scalars.shown(value)


def text(value: str, *, key: bool = False) -> str:
    """One line: plain, in single or in double quotes."""
    if not value or "\n" in value:
        return _double(value)
    if not all(map(_shown, value)):
        return _double(value)
    if not isinstance(scalars.plain(value), str) or value in _WORDS or _dated(value) or (key and value == "<<"):
        return _double(value)
    plain = not (
        value[0] in _FIRST
        or (value[0] in "-?:" and (len(value) == 1 or value[1] == " "))
        or value.startswith(("---", "..."))
        or value[0] == " " or value[-1] == " "
        or ": " in value or value[-1] == ":" or " #" in value
    )  # fmt: skip
    return value if plain else "'" + value.replace("'", "''") + "'"


def _shown(char: str) -> bool:
    """Whether Docker's writer leaves it as it is: emoji are escaped."""
    return char.isprintable() and char <= "\uffff"


def _dated(value: str) -> bool:
    """What YAML would read as a date, or as a number of base 60."""
    import re

    sixty = r"[-+]?[0-9][0-9_]*(?::[0-5]?[0-9])+(?:\.[0-9_]*)?"
    return scalars.plain(value) != value or bool(re.fullmatch(sixty, value))


def _double(value: str) -> str:
    out = []
    for char in value:
        if char in _ESCAPES:
            out.append(_ESCAPES[char])
        elif _shown(char):
            out.append(char)
        else:
            code = ord(char)
            out.append(f"\\x{code:02X}" if code < 256 else f"\\u{code:04X}" if code < 65536 else f"\\U{code:08X}")
    return '"' + "".join(out) + '"'


def _may_be_block(value: str) -> bool:
    printable = all(char in "\n\t" or _shown(char) for char in value)
    return printable and not any(line.endswith(" ") for line in value.split("\n")[:-1])


def _block(value: str, indent: int) -> str:
    """``|`` with its lines."""
    head = "|" + ("2" if value[0] in " \n" else "")
    if not value.endswith("\n"):
        head += "-"
    elif value == "\n" or value.endswith("\n\n"):
        head += "+"
    body = value[:-1] if value.endswith("\n") else value
    pad = " " * indent
    return "\n".join([head, *(pad + line if line else "" for line in body.split("\n"))])
