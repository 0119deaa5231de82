"""Values of flags: Go's numbers, sizes, durations, rationals and comma-separated fields, with Go's messages.

Every function raises ValueError whose text is the end of ``invalid argument "x" for "--y" flag: …``.
Sources: Go's strconv, time and encoding/csv packages; docker/go-units size.go; docker/cli opts.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any


def convert(kind: str, text: str) -> Any:
    """The value of ``text`` for a kind of cli/options.py that is not a list, a map, a bool or a string."""
    return _CONVERT[kind](text)


def split_csv(text: str) -> list[str]:
    """One line of RFC 4180 fields, as pflag's stringSlice and --mount read it. ValueError where quotes do not match."""
    if '"' not in text:
        return text.split(",") if text else []
    fields = []
    rest = text
    while True:
        if rest.startswith('"'):
            end = 1
            while True:
                end = rest.find('"', end)
                if end < 0:
                    raise ValueError('parse error on line 1, column 1: extraneous or missing " in quoted-field')
                if rest[end + 1 : end + 2] != '"':
                    break
                end += 2
            field, rest = rest[1:end].replace('""', '"'), rest[end + 1 :]
            if rest and rest[0] != ",":
                raise ValueError('parse error on line 1, column 1: extraneous or missing " in quoted-field')
        else:
            end = rest.find(",")
            end = len(rest) if end < 0 else end
            field, rest = rest[:end], rest[end:]
            if '"' in field:
                raise ValueError('parse error on line 1, column 1: bare " in non-quoted-field')
        fields.append(field)
        if not rest:
            return fields
        rest = rest[1:]


def _int(text: str, low: int = -(1 << 63), high: int = (1 << 63) - 1, function: str = "ParseInt") -> int:
    """Go's strconv.ParseInt(text, 0, bits): prefixes 0x, 0o, 0b, 0 and underscores between digits."""
    digits = text[1:] if text[:1] in ("+", "-") and function == "ParseInt" else text
    try:
        if len(digits) > 80 or not digits.isascii() or digits[:1] in ("+", "-", " ", "_") or digits != digits.strip():
            raise ValueError
        octal = len(digits) > 1 and digits[0] == "0" and digits[1] in "01234567_"
        number = int(digits.replace("_", ""), 8) if octal else int(digits, 0)
    except ValueError:
        raise ValueError(f'strconv.{function}: parsing "{text}": invalid syntax') from None
    if text[:1] == "-":
        number = -number
    if not low <= number <= high:
        raise ValueError(f'strconv.{function}: parsing "{text}": value out of range')
    return number


def _uint16(text: str) -> int:
    return _int(text, 0, 65535, "ParseUint")


def parse_bytes(text: str) -> int:
    """Bytes of "512m", "1.5GiB", "10 kb", "42": go-units RAMInBytes, steps of 1024."""
    end = len(text)
    while end and text[end - 1] not in "0123456789. ":
        end -= 1
    if not end:
        raise ValueError(f"invalid size: '{text}'")
    number, suffix = (text[: end - 1] if text[end - 1] == " " else text[:end]), text[end:].lower()
    size = _float(number)
    if size < 0:
        raise ValueError(f"invalid size: '{text}'")
    power = "bkmgtp".find(suffix[0]) if suffix else 0
    endings = ("", "b", "ib") if power else ("",)
    if power < 0 or suffix[1:] not in endings:
        raise ValueError(f"invalid suffix: '{suffix}'")
    total: float = size * 1024.0**power
    if total >= 1 << 63:
        raise ValueError(f"invalid size: '{text}'")
    return int(total)


def _float(text: str) -> float:
    try:
        if len(text) > 64 or text != text.strip() or not text.strip("+-0123456789.eE") == "":
            raise ValueError
        return float(text)
    except ValueError:
        raise ValueError(f'strconv.ParseFloat: parsing "{text}": invalid syntax') from None


def _memory_swap(text: str) -> int:
    return -1 if text == "-1" else parse_bytes(text)


def _decimal(text: str) -> int:
    """Thousand-millionths of a rational number: "1.5", "1/2", "1e-1"."""
    from fractions import Fraction

    try:
        if len(text) > 40 or ("e" in text.lower() and len(text.lower().rpartition("e")[2]) > 4):
            raise ValueError
        nano = Fraction(text) * 1000000000
    except (ValueError, ZeroDivisionError):
        raise ValueError(f"failed to parse {text} as a rational number") from None
    if nano.denominator != 1:
        raise ValueError("value is too precise")
    return int(nano)


_UNITS = {"ns": 1, "us": 1000, "µs": 1000, "μs": 1000, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}


def parse_duration(text: str) -> int:
    """Nanoseconds of "300ms", "-1.5h", "2h45m": Go's time.ParseDuration, with its messages."""
    rest = text[1:] if text[:1] in ("+", "-") else text
    if rest == "0":
        return 0
    total = 0
    while True:
        number, rest = _span(rest, numeric=True)
        unit, rest = _span(rest, numeric=False)
        whole, _, fraction = number.partition(".")
        if not (whole or fraction) or "." in fraction or len(number) > 40:
            raise ValueError(f'time: invalid duration "{text}"')
        if not unit:
            raise ValueError(f'time: missing unit in duration "{text}"')
        if unit not in _UNITS:
            raise ValueError(f'time: unknown unit "{unit}" in duration "{text}"')
        total += int(whole or "0") * _UNITS[unit] + int(fraction or "0") * _UNITS[unit] // int(
            "1" + "0" * len(fraction)
        )
        if not rest:
            break
    if total >= 1 << 63:
        raise ValueError(f'time: invalid duration "{text}"')
    return -total if text[0] == "-" else total


def _span(text: str, *, numeric: bool) -> tuple[str, str]:
    """The longest prefix that is (or is not) made of digits and points, and the rest."""
    end = 0
    while end < len(text) and (text[end] in "0123456789.") == numeric:
        end += 1
    return text[:end], text[end:]


def _ip(text: str) -> str:
    import ipaddress

    try:
        return str(ipaddress.ip_address(text.strip()))
    except ValueError:
        raise ValueError(f'failed to parse IP: "{text}"') from None


_CONVERT: dict[str, Callable[[str], Any]] = {
    "int": _int,
    "int64": _int,
    "uint16": _uint16,
    "bytes": parse_bytes,
    "memory-swap": _memory_swap,
    "decimal": _decimal,
    "duration": parse_duration,
    "ip": _ip,
    "gpu-request": str,
}
