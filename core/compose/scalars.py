"""Scalars: what a plain one of YAML means, and how Go writes values, durations and sizes: pure."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NULL = ("", "~", "null", "Null", "NULL")
_BOOL = {"true": True, "True": True, "TRUE": True, "false": False, "False": False, "FALSE": False}
_INFINITE = {
    ".inf": "+", ".Inf": "+", ".INF": "+", "+.inf": "+", "+.Inf": "+", "+.INF": "+", "-.inf": "-", "-.Inf": "-",
    "-.INF": "-",
}  # fmt: skip
_NAN = (".nan", ".NaN", ".NAN")
_LONGEST = 400
"""No number has more digits: a longer text is a text."""
_UNITS = (("h", 3_600_000_000_000), ("m", 60_000_000_000))
_DURATIONS = {
    "ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 1_000_000, "s": 1_000_000_000, "m": 60_000_000_000,
    "h": 3_600_000_000_000,
}  # fmt: skip


def plain(text: str) -> Any:
    """None, bool, int, float, or the text."""
    if text in _NULL:
        return None
    if text in _BOOL:
        return _BOOL[text]
    if text in _INFINITE:
        return float(_INFINITE[text] + "inf")
    if text in _NAN:
        return float("nan")
    if text[0] not in "+-.0123456789" or len(text) > _LONGEST:
        return text
    date = _timestamp(text)
    return date if date is not None else _number(text)


def _number(text: str) -> Any:
    import re

    bare = text.replace("_", "")
    if re.fullmatch(r"[-+]?(0[xX][0-9a-fA-F]+|0[bB][01]+|0[oO]?[0-7]+|[1-9][0-9]*|0)", bare):
        sign = -1 if bare[0] == "-" else 1
        digits = bare.lstrip("+-")
        octal = len(digits) > 1 and digits[0] == "0" and digits[1].isdigit()
        value = sign * (int(digits, 8) if octal else int(digits, 0))
        if -(1 << 63) <= value < 1 << 64:
            return value
        return float(value)
    if re.fullmatch(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?", bare):
        return float(bare)
    return text


def _timestamp(text: str) -> str | None:
    """A date as Go prints it: that is what becomes of a label's plain ``2024-01-02``."""
    import re

    found = re.fullmatch(
        r"(\d{4})-(\d\d?)-(\d\d?)(?:(?:[Tt]|[ \t]+)(\d\d?):(\d\d):(\d\d)(\.\d+)?[ \t]*(Z|[-+]\d\d?(?::\d\d)?)?)?", text
    )
    if not found:
        return None
    import datetime

    year, month, day, hour, minute, second, fraction, zone = found.groups()
    try:
        datetime.datetime(int(year), int(month), int(day), int(hour or 0), int(minute or 0), int(second or 0))
    except ValueError:
        return None
    if hour is None and (len(month), len(day)) != (2, 2):
        return f"{year}-{int(month):02}-{int(day):02} 00:00:00 +0000 UTC"
    fraction = (fraction or "").rstrip("0").rstrip(".")
    clock = f"{int(hour or 0):02}:{minute or '00'}:{second or '00'}{fraction}"
    offset = "+0000 UTC"
    if zone and zone != "Z":
        hours, _, minutes = zone[1:].partition(":")
        offset = f"{zone[0]}{int(hours):02}{minutes or '00'} {zone[0]}{int(hours):02}{minutes or '00'}"
    return f"{year}-{int(month):02}-{int(day):02} {clock} {offset}"


def shown(value: Any) -> str:
    """A value as Go's ``%v`` prints it."""
    if value is None:
        return "<nil>"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return number(value, exponent_from=21)
    if isinstance(value, dict):
        return "map[" + " ".join(f"{key}:{shown(value[key])}" for key in sorted(value)) + "]"
    if isinstance(value, list):
        return "[" + " ".join(map(shown, value)) + "]"
    return str(value)


def number(value: float, exponent_from: int = 21) -> str:
    """The shortest text of a float that Go would give."""
    if value != value:
        return "NaN"
    if value in (float("inf"), float("-inf")):
        return "+Inf" if value > 0 else "-Inf"
    text = repr(value)
    mantissa, _, exponent = text.partition("e")
    digits = mantissa.lstrip("-").replace(".", "").lstrip("0") or "0"
    if value == 0:
        return "-0" if text[0] == "-" else "0"
    power = int(exponent) if exponent else 0
    whole = mantissa.lstrip("-").partition(".")
    scale = power + (len(whole[0]) - 1 if whole[0] != "0" else -(len(whole[2]) - len(whole[2].lstrip("0")) + 1))
    if scale < -4 or scale >= exponent_from:
        digits = digits.rstrip("0") or "0"
        tail = "." + digits[1:] if len(digits) > 1 else ""
        sign = "-" if value < 0 else ""
        return f"{sign}{digits[0]}{tail}e{'-' if scale < 0 else '+'}{abs(scale):02}"
    if value == int(value):
        return str(int(value))
    return text if not exponent else f"{value:.{max(0, len(digits) - 1 - scale)}f}"


def narrow(value: float) -> float:
    """The float64 whose shortest text is the shortest text of ``value`` as a float32."""
    import struct

    try:
        exact = struct.unpack("f", struct.pack("f", value))[0]
    except OverflowError:
        return float("inf") if value > 0 else float("-inf")
    for digits in range(1, 10):
        short = float(f"{exact:.{digits}g}")
        if struct.pack("f", short) == struct.pack("f", exact):
            return short
    return float(exact)


def duration(text: str) -> int | None:
    """Nanoseconds of Go's ``1m30s``; None for what is none."""
    import re

    sign = -1 if text[:1] == "-" else 1
    rest = text[1:] if text[:1] in ("-", "+") else text
    if rest == "0":
        return 0
    total, at = 0, 0
    for found in re.finditer(r"([0-9]+(?:\.[0-9]*)?|\.[0-9]+)(ns|us|µs|μs|ms|s|m|h)", rest[:_LONGEST]):
        if found.start() != at:
            return None
        at = found.end()
        whole, _, part = found[1].partition(".")
        unit = _DURATIONS[found[2]]
        total += int(whole or "0") * unit + (int(part[:18]) * unit // 10 ** len(part[:18]) if part else 0)
    if not rest or at != len(rest) or total >= 1 << 63:
        return None
    return sign * total


def duration_text(value: int) -> str:
    """Nanoseconds as Go prints them: 1m30s, 1.5s, 20ms, 0s."""
    if not value:
        return "0s"
    sign, rest = ("-", -value) if value < 0 else ("", value)
    for unit, size in (("ns", 1), ("µs", 1000), ("ms", 1_000_000)):
        if rest < size * 1000:
            return sign + _decimal(rest, size) + unit
    out = ""
    for unit, size in _UNITS:
        if rest >= size or out:
            out += f"{rest // size}{unit}"
            rest %= size
    return f"{sign}{out}{_decimal(rest, 1_000_000_000)}s"


def _decimal(value: int, size: int) -> str:
    whole, part = divmod(value, size)
    if not part:
        return str(whole)
    return f"{whole}." + str(part).rjust(len(str(size)) - 1, "0").rstrip("0")


def size(text: str) -> int | None:
    """Bytes of ``512m``, ``1.5gb``, ``10 KiB``; None for what is none (go-units: RAMInBytes)."""
    import re

    found = re.fullmatch(r"(\d+(?:\.\d+)?) ?([kKmMgGtTpP])?[iI]?[bB]?", text[:_LONGEST])
    if not found or len(text) > _LONGEST:
        return None
    power = "kmgtp".find(found[2].lower()) + 1 if found[2] else 0
    whole, _, part = found[1].partition(".")
    value = (int(whole + part) << (10 * power)) // 10 ** len(part)
    return value if value < 1 << 63 else None
