"""``pod history``: the steps by which an image was made; docker/cli: image history and its formatter."""

from __future__ import annotations

import time

from pod.cli import harmless, output
from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.image.history import Step

COMMAND = Command(
    "history",
    "[OPTIONS] IMAGE",
    "Show the history of an image",
    (
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
        ("human", "H", "bool", "Print sizes and dates in human readable format", True),
        ("no-trunc", "", "bool", "Don't truncate output"),
        ("platform", "", "string", "Show the history for this platform, as os[/arch[/variant]]"),
        ("quiet", "q", "bool", "Only show image IDs"),
    ),
    min_args=1,
    max_args=1,
    aliases=("pod image history", "pod history"),
)

HEADERS = {
    "ID": "IMAGE",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "CreatedBy": "CREATED BY",
    "Size": "SIZE",
    "Comment": "COMMENT",
}
_HUMAN = ("ID", "CreatedSince", "CreatedBy", "Size", "Comment")
_EXACT = ("ID", "CreatedAt", "CreatedBy", "Size", "Comment")
_LONGEST = 45
_EPOCH = 946684800
"""2000-01-01: builds that shall be reproducible give their steps such times, which say nothing (docker/cli)."""


def main(engine: Engine, options: Options) -> int:
    """One row for each step, the newest first."""
    from pod.core.image import history, variant

    image = variant.resolve(engine, options.args[0], [options["platform"]] if options["platform"] else [])
    steps = history.steps(engine, image)
    format = "" if options["format"] == "table" else options["format"]
    now = time.time()
    rows = [_row(step, now, whole=options["no-trunc"], human=options["human"]) for step in steps]
    if not format and options["quiet"]:
        output.write("".join(row["ID"] + "\n" for row in rows))
    elif not format:
        fields = _HUMAN if options["human"] else _EXACT
        output.table([HEADERS[name] for name in fields], [[row[name] for name in fields] for row in rows])
    else:
        if format.startswith("table"):
            rows = [{key: text.replace("\n", " ") for key, text in row.items()} for row in rows]
        output.format_rows(format, HEADERS, rows if format == "json" else harmless.for_reader(rows))
    if len(steps) == history.MAX_STEPS:
        output.warning(f"only the newest {history.MAX_STEPS} steps are shown")
    return 0


def _row(step: Step, now: float, *, whole: bool, human: bool) -> dict[str, str]:
    at, since = _created(step.created, now)
    by = step.created_by.replace("\t", " ")
    if not whole and len(by) > _LONGEST:
        by = by[: _LONGEST - 1] + "…"
    size = str(step.size)
    if step.size is None:
        size = "N/A"
    elif human:
        size = output.human_size(step.size)
    return {
        "ID": step.id if whole or step.id[:1] == "<" else step.id[7:19],
        "CreatedSince": since if human else at,
        "CreatedAt": at,
        "CreatedBy": by,
        "Size": size,
        "Comment": step.comment,
    }


def _created(moment: int | None, now: float) -> tuple[str, str]:
    """RFC 3339 in the caller's time zone, and how long ago, "" before the year 2000. 1970 where the step says none."""
    seconds = 0 if moment is None else moment // 1_000_000_000
    fields = time.localtime(seconds)
    zone = time.strftime("%z", fields)
    zone = "Z" if zone == "+0000" else f"{zone[:3]}:{zone[3:5]}"
    at = f"{fields.tm_year:04d}" + time.strftime("-%m-%dT%H:%M:%S", fields) + zone
    return at, "" if seconds <= _EPOCH else output.human_duration(now - seconds) + " ago"
