"""The functions that a template may call: Go's builtins and those that Docker adds.

Every function takes its arguments as a list and raises ValueError, whose text follows "error calling NAME: ". ``and``
and ``or`` are not here: they stop early, so the executor has them.
"""

from __future__ import annotations

from pod.cli.template_format import MAX_OUTPUT, TooLong, join_text, quote, show, sprint, sprintf, sprintln, type_name
from pod.cli.template_values import NIL, NilMap, NilSlice, OpenMap

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any

    Function = Callable[[Sequence[Any]], Any]


def truth(value: Any) -> bool:
    """Whether Go's templates take a value as true: not the zero of its type, not nil, not empty."""
    return bool(value)


def _sprint_args(args: Sequence[Any]) -> str:
    """The text of html, js and urlquery: print, where nothing is "<no value>"."""
    return sprint(["<no value>" if arg is None else arg for arg in args])


def _html(args: Sequence[Any]) -> str:
    text = _sprint_args(args).replace("&", "&amp;").replace("'", "&#39;").replace('"', "&#34;")
    return text.replace("<", "&lt;").replace(">", "&gt;").replace("\0", "\ufffd")


_JS = {
    **{"\\": "\\\\", "'": "\\'", '"': '\\"', "<": "\\u003C", ">": "\\u003E", "&": "\\u0026", "=": "\\u003D"},
    **{chr(code): f"\\u{code:04X}" for code in range(32)},
}


def _js(args: Sequence[Any]) -> str:
    return "".join(
        _JS.get(char) or (char if char < "\x80" or char.isprintable() else f"\\u{ord(char):04X}")
        for char in _sprint_args(args)
    )


def _urlquery(args: Sequence[Any]) -> str:
    from urllib.parse import quote_plus

    return quote_plus(_sprint_args(args), safe="", errors="surrogateescape").replace("~", "~")


def _len(args: Sequence[Any]) -> int:
    value = args[0]
    if isinstance(value, str):
        return len(value.encode("utf-8", "surrogateescape"))
    if isinstance(value, (list, dict)):
        return len(value)
    if value is None:
        raise ValueError("len of nil pointer")
    raise ValueError(f"len of type {type_name(value)}")


def _position(index: Any, length: int) -> int:
    if index is None:
        raise ValueError("cannot index slice/array with nil")
    if isinstance(index, bool) or not isinstance(index, int):
        raise ValueError(f"cannot index slice/array with type {type_name(index)}")
    if not 0 <= index <= length:
        raise ValueError(f"index out of range: {index}")
    return index


def _index(args: Sequence[Any]) -> Any:
    """index x 1 2 is x[1][2]; a key that a map lacks gives nothing."""
    value = args[0]
    if value is None:
        raise ValueError("index of untyped nil")
    for index in args[1:]:
        if isinstance(value, dict):
            if not isinstance(index, str):
                if index is None:
                    raise ValueError("value is nil; should be of type string")
                raise ValueError(f"value has type {type_name(index)}; should be string")
            value = value.get(index)
        elif isinstance(value, (list, str)):
            sequence = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
            at = _position(index, len(sequence))
            if at == len(sequence):
                raise ValueError(f"index out of range: {at}")
            value = sequence[at]
        elif value is None or value is NIL:
            raise ValueError("index of nil pointer")
        else:
            raise ValueError(f"can't index item of type {type_name(value)}")
    return value


def _slice(args: Sequence[Any]) -> Any:
    """slice x 1 2 is x[1:2]; three indexes only where there is a capacity."""
    value = args[0]
    if value is None:
        raise ValueError("slice of untyped nil")
    if len(args) > 4:
        raise ValueError(f"too many slice indexes: {len(args) - 1}")
    if not isinstance(value, (str, list)):
        raise ValueError(f"can't slice item of type {type_name(value)}")
    if isinstance(value, str) and len(args) == 4:
        raise ValueError("cannot 3-index slice a string")
    sequence = value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
    indexes = [_position(index, len(sequence)) for index in args[1:]]
    first = indexes[0] if indexes else 0
    last = indexes[1] if len(indexes) > 1 else len(sequence)
    if first > last:
        raise ValueError(f"invalid slice index: {first} > {last}")
    if len(indexes) == 3 and last > indexes[2]:
        raise ValueError(f"invalid slice index: {last} > {indexes[2]}")
    part = sequence[first:last]
    return part.decode("utf-8", "surrogateescape") if isinstance(part, bytes) else part


def _call(args: Sequence[Any]) -> Any:
    """There are no function values in our documents, so ``call`` can only say what it was given."""
    if args[0] is None:
        raise ValueError("call of nil")
    raise ValueError(f"non-function {show(args[0])} of type {type_name(args[0])}")


def _kind(value: Any) -> str:
    for kind in (bool, int, float, complex, str):
        if isinstance(value, kind):
            return kind.__name__
    return ""


def _eq(args: Sequence[Any]) -> bool:
    if len(args) < 2:
        raise ValueError("missing argument for comparison")
    return any(_equal(args[0], other) for other in args[1:])


def _equal(left: Any, right: Any) -> bool:
    kinds = _kind(left), _kind(right)
    nils = left is None or left is NIL, right is None or right is NIL
    if any(nils):
        return all(nils)
    if kinds[0] != kinds[1]:
        raise ValueError("incompatible types for comparison")
    if not kinds[0]:
        raise ValueError(f"non-comparable types {show(left)}: {type_name(left)}, {show(right)}: {type_name(right)}")
    return bool(left == right)


def _ne(args: Sequence[Any]) -> bool:
    return not _equal(args[0], args[1])


def _less(left: Any, right: Any) -> bool:
    kinds = _kind(left), _kind(right)
    if not kinds[0] or not kinds[1]:
        raise ValueError("invalid type for comparison")
    if kinds[0] != kinds[1]:
        raise ValueError("incompatible types for comparison")
    if kinds[0] in ("bool", "complex"):
        raise ValueError("invalid type for comparison")
    if isinstance(left, str):
        left, right = left.encode("utf-8", "surrogateescape"), right.encode("utf-8", "surrogateescape")
    return bool(left < right)


def _le(args: Sequence[Any]) -> bool:
    return _less(args[0], args[1]) or _equal(args[0], args[1])


def json_text(value: Any) -> str:
    """Compact JSON as Go's encoder without HTML escaping; user maps sorted by key, documents in their own order."""
    parts: list[str] = []
    _json(value, parts, 0)
    return "".join(parts)


def _json(value: Any, parts: list[str], depth: int) -> None:
    if depth > 1000:
        raise ValueError("json: nested too deep")
    if value is None or value is NIL or isinstance(value, (NilMap, NilSlice)):
        parts.append("null")
    elif isinstance(value, (bool, int, float, str)):
        parts.append(_json_scalar(value))
    elif isinstance(value, dict):
        keys = sorted(value) if isinstance(value, OpenMap) else list(value)
        separator = "{"
        for key in keys:
            parts.append(f"{separator}{_json_scalar(key)}:")
            _json(value[key], parts, depth + 1)
            separator = ","
        parts.append("{}" if separator == "{" else "}")
    elif isinstance(value, list):
        separator = "["
        for item in value:
            parts.append(separator)
            _json(item, parts, depth + 1)
            separator = ","
        parts.append("[]" if separator == "[" else "]")
    else:
        raise ValueError(f"json: unsupported type: {type_name(value)}")


def _json_scalar(value: bool | float | str) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        import json

        text = json.dumps(value, ensure_ascii=False).replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")
        return "".join("\ufffd" if "\ud800" <= char <= "\udfff" else char for char in text)
    if isinstance(value, int):
        return str(value)
    if value != value or value in (float("inf"), float("-inf")):
        raise ValueError(f"json: unsupported value: {show(value)}")
    if value and not 1e-6 <= abs(value) < 1e21:
        mantissa, _, power = repr(value).partition("e")
        return f"{mantissa.removesuffix('.0')}e{power[0]}{power[1:].lstrip('0')}"
    return f"{value:.20f}".rstrip("0").rstrip(".") if "e" in repr(value) else repr(value).removesuffix(".0")


def _split(args: Sequence[Any]) -> list[Any]:
    text, separator = args[0], args[1]
    return list(text.split(separator)) if separator else list(text)


def _join(args: Sequence[Any]) -> str:
    if not isinstance(args[0], (list, tuple)):
        raise ValueError(
            f"expected slice, got {type_name(args[0])}" if args[0] is not None else "expected slice, got nil"
        )
    return join_text(args[0], args[1], show)


def _title(args: Sequence[Any]) -> str:
    """strings.Title: the first letter of each word in title case, the others untouched."""
    out = []
    before = " "
    for char in args[0]:
        inside = before.isalnum() or before in "_'"
        out.append(char if inside else char.title())
        before = char
    return "".join(out)


def _pad(args: Sequence[Any]) -> str:
    text, before, after = str(args[0]), int(args[1]), int(args[2])
    if not text:
        return text
    if before < 0 or after < 0:
        raise ValueError("strings: negative Repeat count")
    if before + after > MAX_OUTPUT:
        raise TooLong
    return " " * before + text + " " * after


def _truncate(args: Sequence[Any]) -> str:
    text, length = str(args[0]), int(args[1])
    if length < 0:
        raise ValueError("slice bounds out of range")
    data = text.encode("utf-8", "surrogateescape")
    return data[:length].decode("utf-8", "surrogateescape")


PARAMETERS = {
    "printf": ("string",),
    "split": ("string", "string"),
    "join": ("", "string"),
    "title": ("string",),
    "lower": ("string",),
    "upper": ("string",),
    "pad": ("string", "int", "int"),
    "truncate": ("string", "int"),
}
"""Types of the parameters of functions that do not take everything ("" takes everything); checked before a call."""


FUNCTIONS: dict[str, tuple[Function, int, int]] = {
    "call": (_call, 1, -1),
    "html": (_html, 0, -1),
    "index": (_index, 1, -1),
    "slice": (_slice, 1, -1),
    "js": (_js, 0, -1),
    "len": (_len, 1, 1),
    "not": (lambda args: not truth(args[0]), 1, 1),
    "print": (sprint, 0, -1),
    "printf": (lambda args: sprintf(args[0], args[1:]), 1, -1),
    "println": (sprintln, 0, -1),
    "urlquery": (_urlquery, 0, -1),
    "eq": (_eq, 1, -1),
    "ne": (_ne, 2, 2),
    "lt": (lambda args: _less(args[0], args[1]), 2, 2),
    "le": (_le, 2, 2),
    "gt": (lambda args: not _le(args), 2, 2),
    "ge": (lambda args: not _less(args[0], args[1]), 2, 2),
    "json": (lambda args: json_text(args[0]), 1, 1),
    "split": (_split, 2, 2),
    "join": (_join, 2, 2),
    "title": (_title, 1, 1),
    "lower": (lambda args: str(args[0]).lower(), 1, 1),
    "upper": (lambda args: args[0].upper(), 1, 1),
    "pad": (_pad, 3, 3),
    "truncate": (_truncate, 2, 2),
}
"""Name to (function, least number of arguments, most; -1: any number)."""

HEADINGS = frozenset(("json", "title", "lower", "upper", "truncate", "join"))
"""Docker's functions that leave a table's heading as it is."""

NAMES = frozenset((*FUNCTIONS, "and", "or"))

__all__ = ["FUNCTIONS", "HEADINGS", "NAMES", "PARAMETERS", "json_text", "quote", "truth"]
