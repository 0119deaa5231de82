"""The only printer: text, errors, warnings, tables, documents, and Docker's human sizes and durations.

Everything goes out as UTF-8 whatever the locale says; bytes of file names that are not UTF-8 come out as they are.
Table cells, errors and warnings may quote strangers (image labels, registry answers): control characters are shown as
escapes there, so that they cannot steer the terminal.

On the warm path (``ps``): imports builtins, sys and pod.core only.
"""

from __future__ import annotations

import sys

from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import Any, TextIO

    Row = Mapping[str, Any]

_PADDING = 3
_NARROWEST = 10


def write(text: str, stream: TextIO | None = None) -> None:
    """``text`` as it is to standard output (or ``stream``), at once."""
    stream = sys.stdout if stream is None else stream
    if stream is None:  # the caller closed the descriptor: there is nowhere to write to
        return
    try:
        data = text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        data = text.encode("utf-8", "replace")
    stream.flush()
    stream.buffer.write(data)
    stream.buffer.flush()


def line(text: str, stream: TextIO | None = None) -> None:
    """:func:`write` with a newline."""
    write(text + "\n", stream)


def error(failure: PodError) -> None:
    """``pod: message`` and ``hint: …`` on standard error."""
    text = f"pod: {visible(failure.message)}\n"
    if failure.hint:
        text += f"hint: {visible(failure.hint)}\n"
    _stderr(text)


def warning(text: str) -> None:
    """One ``WARNING:`` line on standard error, as Docker's."""
    _stderr(f"WARNING: {visible(text)}\n")


def _stderr(text: str) -> None:
    try:
        write(text, sys.stderr)
    except OSError:
        return  # nobody reads standard error any more; the exit status still tells


def visible(text: str) -> str:
    """``text`` with control characters as escapes; newlines and tabs stay."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() or c in "\n\t" or "\udc80" <= c <= "\udcff" else _escaped(c) for c in text)


def _escaped(char: str) -> str:
    code = ord(char)
    return f"\\x{code:02x}" if code < 0x100 else f"\\u{code:04x}"


def table(headers: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Docker's table: each column as wide as its longest cell and three spaces, at least ten; the last one free."""
    lines: list[Sequence[str]] = [headers]
    for row in rows:
        if not "".join(row).isprintable():  # then there are no tabs and newlines either
            row = [visible(cell).replace("\t", " ").replace("\n", " ") for cell in row]
        lines.append(row)
    widths = [max(max(map(len, column)) + _PADDING, _NARROWEST) for column in list(zip(*lines))[:-1]]
    pattern = "".join(f"%-{width}s" for width in widths) + "%s"
    write("".join([pattern % tuple(row) + "\n" for row in lines]))


def align(text: str) -> str:
    """Go's tabwriter as Docker sets it (width 10 at least, padding 3): tabs end cells, adjacent lines share columns."""
    lines = [row.split("\t") for row in text.split("\n")]
    widths = _widths(lines)
    out = []
    for number, cells in enumerate(lines):
        padded = [cell.ljust(widths[number][column]) for column, cell in enumerate(cells[:-1])]
        out.append("".join(padded) + cells[-1])
    return "\n".join(out)


def _widths(lines: list[list[str]]) -> list[list[int]]:
    """For each line the width of each of its columns; the last cell of a line belongs to no column."""
    widths = [[0] * (len(cells) - 1) for cells in lines]
    for start, cells in enumerate(lines):
        for column in range(len(cells) - 1):
            if widths[start][column]:
                continue
            end = start
            longest = 0
            while end < len(lines) and len(lines[end]) - 1 > column:
                longest = max(longest, len(lines[end][column]))
                end += 1
            width = max(longest + _PADDING, _NARROWEST)
            for number in range(start, end):
                widths[number][column] = width
    return widths


def format_rows(format: str, headers: Mapping[str, str], rows: Iterable[Row]) -> None:
    """``--format`` of a list. ``headers`` names every field of a row and its heading, in the default order.

    "" or "table": every field of ``headers``. "table TEMPLATE": the template, with its headings first. "json": one
    document a line. Otherwise a template, a line for each row. PodError where the template is not one.
    """
    kept = [_in_order(row) for row in rows]
    if format in ("", "table"):
        table(list(headers.values()), [[str(row[name]) for name in headers] for row in kept])
        return
    from pod.cli import template

    if format == "json":
        parsed = template.parse("{{json .}}")
        write("".join(harmless_json(parsed.execute(row)) + "\n" for row in kept))
        return
    as_table = format.startswith("table")
    text = format[len("table") :] if as_table else format
    parsed = template.parse(text.strip(" ").replace("\\t", "\t").replace("\\n", "\n"))
    if not as_table:
        write("".join(parsed.execute(row, strict=True) + "\n" for row in kept))
        return
    names = headers if hasattr(headers, "methods") else template.OpenMap(headers)
    heading = parsed.execute(names, headings=True) + "\n"
    for row in kept:
        row.update({key: visible(value) for key, value in row.items() if isinstance(value, str)})
    write(align(heading + "".join(parsed.execute(row, strict=True) + "\n" for row in kept)))


def format_labelled(
    format: str, headers: Mapping[str, str], rows: Iterable[tuple[Mapping[str, Any], Mapping[str, str]]]
) -> None:
    """:func:`format_rows` of fields and labels: rows have a method, too, {{.Label "key"}}."""
    from pod.cli.template_values import WithMethods

    shown = []
    for fields, labels in rows:
        row = WithMethods(fields)
        row.methods = {"Label": _label_of(labels)}
        shown.append(row)
    names = WithMethods(headers)
    names.methods = {"Label": lambda key: key.rpartition(".")[2].replace("-", " ").replace("_", " ")}
    format_rows(format, names, shown)


def _label_of(labels: Mapping[str, str]) -> Callable[[str], str]:
    return lambda key: labels.get(key, "")


def _in_order(row: Row) -> dict[str, Any]:
    """A copy with its members as JSON shows them; a row with methods (cli/template_values) keeps them."""
    if not hasattr(row, "methods"):
        return dict(sorted(row.items()))
    copy: Any = type(row)(sorted(row.items()))  # type: ignore[call-arg]
    copy.methods = row.methods
    return copy  # type: ignore[no-any-return]


def document(docs: Sequence[Any], format: str) -> None:
    """``inspect``: the documents as a JSON list of four-space indentation, or each through a template.

    "json": one document a line. A field that a document does not have is Docker's error ``map has no entry for key``;
    one that a map of the user's own names (labels, options …) does not have is ``<no value>``.
    """
    if not format:
        import json

        line(harmless_json(json.dumps(docs, indent=4, ensure_ascii=False)))
        return
    from pod.cli import template

    parsed = template.parse("{{json .}}" if format == "json" else format)
    for doc in docs:
        text = parsed.execute(template.with_open_maps(doc), strict=True)
        line(harmless_json(text) if format == "json" else text)


def harmless_json(text: str) -> str:
    """The same JSON with what could steer a terminal (C1 controls, reversed text, lone surrogates) as escapes."""
    if text.replace("\n", "").isprintable():
        return text
    return "".join(c if c.isprintable() or c == "\n" else _json_escape(ord(c)) for c in text)


def _json_escape(code: int) -> str:
    if code < 0x10000:
        return f"\\u{code:04x}"
    code -= 0x10000
    return f"\\u{0xD800 + (code >> 10):04x}\\u{0xDC00 + (code & 0x3FF):04x}"


def human_size(size: float, precision: int = 3) -> str:
    """Bytes in steps of 1000, three digits: "13.3MB", "4.26kB", "0B" (go-units HumanSizeWithPrecision)."""
    units = ("B", "kB", "MB", "GB", "TB", "PB", "EB", "ZB", "YB")
    step = 0
    while size >= 1000 and step < len(units) - 1:
        size /= 1000
        step += 1
    return f"{size:.{precision}g}{units[step]}"


def human_bytes(size: float) -> str:
    """Bytes in steps of 1024, four digits: "1.952GiB" (go-units BytesSize)."""
    units = ("B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB", "ZiB", "YiB")
    step = 0
    while size >= 1024 and step < len(units) - 1:
        size /= 1024
        step += 1
    return f"{size:.4g}{units[step]}"


def human_duration(seconds: float) -> str:
    """ "Less than a second", "3 minutes", "About an hour", "2 weeks" (go-units HumanDuration)."""
    whole = int(seconds)
    hours = int(seconds / 3600 + 0.5)
    if whole < 1:
        return "Less than a second"
    if whole < 60:
        return "1 second" if whole == 1 else f"{whole} seconds"
    if whole < 3600:
        return "About a minute" if whole < 120 else f"{whole // 60} minutes"
    if hours < 48:
        return "About an hour" if hours == 1 else f"{hours} hours"
    for limit, size, name in ((24 * 14, 24, "days"), (24 * 60, 24 * 7, "weeks"), (24 * 730, 24 * 30, "months")):
        if hours < limit:
            return f"{hours // size} {name}"
    return f"{int(seconds / 3600) // 24 // 365} years"


def ago(timestamp: str, now: float) -> str:
    """ "3 minutes ago" for an RFC 3339 time and the present in seconds since 1970; "N/A" for Go's zero time."""
    if not timestamp or timestamp.startswith("0001-"):
        return "N/A"
    return human_duration(now - seconds_of(timestamp)) + " ago"


def seconds_of(timestamp: str) -> float:
    """Seconds since 1970 of an RFC 3339 time ("2024-01-31T12:00:00.123456789Z", "…+02:00"). ValueError otherwise."""
    try:
        year, month, day = int(timestamp[0:4]), int(timestamp[5:7]), int(timestamp[8:10])
        clock = int(timestamp[11:13]) * 3600 + int(timestamp[14:16]) * 60 + int(timestamp[17:19])
        end = 19
        if timestamp[19:20] == ".":
            end = 20
            while timestamp[end : end + 1].isdigit():
                end += 1
        fraction = float("0" + timestamp[19:end]) if end > 20 else 0.0
        zone = timestamp[end:]
        offset = 0
        if zone not in ("Z", "z"):
            offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
            offset = -offset if {"+": False, "-": True}[zone[0]] else offset
    except (ValueError, IndexError, KeyError):
        raise ValueError(f"not an RFC 3339 time: {timestamp[:40]}") from None
    return _days(year, month, day) * 86400 + clock - offset + fraction


def _days(year: int, month: int, day: int) -> int:
    """Days since 1970-01-01 in the proleptic Gregorian calendar; years are counted from March."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468
