"""Points in time as people and documents write them, in nanoseconds since 1970.

    parse            --since, --until and until=: RFC 3339 or its beginning, seconds since 1970, "10m" before now
    instant          RFC 3339 of a stranger's document; None for anything else
    rfc3339          back to text, in UTC with nine digits, so that texts compare as times do

Source: moby api/types/time (behaviour), RFC 3339.
"""

from __future__ import annotations

import time

from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

SECOND = 1_000_000_000

_UNITS = {"h": 3600 * SECOND, "m": 60 * SECOND, "s": SECOND, "ms": 1_000_000, "us": 1000, "µs": 1000, "ns": 1}
_DAYS = (31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31)


def parse(text: str, now: float) -> int:
    """What an option's text means; ``now`` in seconds since 1970. ValueError for anything else."""
    try:
        if text.isascii() and text.replace(".", "", 1).isdigit():
            whole, _, part = text.partition(".")
            moment = int(whole or "0") * SECOND + _fraction(part)
        elif text[:1].isdigit() and text[-1] in "smh":
            moment = int(now * 1e6) * 1000 - duration(text)
        else:
            moment = _date(text)
        rfc3339(moment)
    except (OverflowError, OSError, RecursionError):
        raise ValueError("out of range") from None
    return moment


def rfc3339(nanoseconds: int) -> str:
    """RFC 3339 in UTC with nine digits; ValueError past the years that have four digits."""
    seconds, rest = divmod(nanoseconds, SECOND)
    fields = time.gmtime(seconds)
    if not 1 <= fields.tm_year <= 9999:
        raise ValueError("year")
    return f"{fields.tm_year:04d}" + time.strftime("-%m-%dT%H:%M:%S", fields) + f".{rest:09d}Z"


def source_date_epoch(environ: Mapping[str, str]) -> int | None:
    """$SOURCE_DATE_EPOCH in seconds (https://reproducible-builds.org/specs/source-date-epoch/); None where it is not
    set. UsageError where it is no number.
    """
    text = environ.get("SOURCE_DATE_EPOCH", "")
    if not text:
        return None
    if not text.isascii() or not text.isdigit() or len(text) > 11:
        raise UsageError(f"invalid SOURCE_DATE_EPOCH: {text[:40]!r}", hint="it is a number of seconds since 1970")
    return int(text)


def instant(text: object) -> int | None:
    """The time of "2024-01-31T12:00:00.5+01:00"; None for Go's zero time and for what is no such text.

    Without the datetime module, whose import alone costs more than the times of a few hundred images.
    """
    if not isinstance(text, str) or not text.isascii() or not 20 <= len(text) <= 64 or text[4:19:3] != "--T::":
        return None
    digits = (text[0:4], text[5:7], text[8:10], text[11:13], text[14:16], text[17:19])
    if not all(part.isdigit() for part in digits):
        return None
    year, month, day, hour, minute, second = map(int, digits)
    if not (1 <= month <= 12 and 1 <= day <= _DAYS[month - 1] and hour < 24 and minute < 60 and second < 61):
        return None
    end = 19
    if text[19] == ".":
        end = 20
        while text[end : end + 1].isdigit():
            end += 1
    offset = _offset(text[end:])
    if offset is None or end == 20 or year < 1 or text.startswith("0001-01-01T00:00:00"):
        return None
    clock = hour * 3600 + minute * 60 + second - offset
    return (_days(year, month, day) * 86400 + clock) * SECOND + _fraction(text[20:end])


def _offset(zone: str) -> int | None:
    """Seconds east of UTC of "Z" or "+01:00"."""
    if zone in ("Z", "z"):
        return 0
    hours, minutes = zone[1:3], zone[4:6]
    if len(zone) != 6 or zone[0] not in "+-" or zone[3] != ":" or not (hours + minutes).isdigit():
        return None
    seconds = int(hours) * 3600 + int(minutes) * 60
    return -seconds if zone[0] == "-" else seconds


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar; years are counted from March."""
    year -= month <= 2
    era, of_era = divmod(year, 400)
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def _fraction(digits: str) -> int:
    """Nanoseconds of the digits after the point."""
    return int((digits + "0" * 9)[:9])


def duration(text: str) -> int:
    """Nanoseconds of Go's "1h30m5.5s"."""
    total, number, unit = 0.0, "", ""
    for character in text + "0":
        if character in "0123456789.":
            if unit:
                total += float(number) * _UNITS.get(unit, float("nan"))
                number = unit = ""
            number += character
        else:
            unit += character
    return int(total)


def _date(text: str) -> int:
    """Nanoseconds since 1970 of a date; Python reads but six digits of the fraction, and before 3.11 not any number."""
    import datetime

    text = text[:-1] + "+00:00" if text.endswith("Z") else text
    head, point, rest = text.partition(".")
    digits = len(rest) - len(rest.lstrip("0123456789"))
    if point and not digits:
        raise ValueError("fraction")
    moment = datetime.datetime.fromisoformat(head + rest[digits:])
    return int(moment.timestamp()) * SECOND + _fraction(rest[:digits])
