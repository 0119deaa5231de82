"""``pod images``: the images of the store; docker/cli: image ls and its formatter."""

from __future__ import annotations

import time

from pod.cli import output
from pod.cli.options import Command, Options

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.image.listing import Entry

COMMAND = Command(
    "images",
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    (
        ("all", "a", "bool", "Show all images (there are no hidden ones)"),
        ("digests", "", "bool", "Show digests"),
        ("filter", "f", "filter", "Filter output: before, dangling, label, reference, since, until"),
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
        ("no-trunc", "", "bool", "Do not shorten ids"),
        ("quiet", "q", "bool", "Only show image ids"),
    ),
    max_args=1,
    aliases=("pod image ls", "pod image list", "pod images"),
)

HEADERS = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "Digest": "DIGEST",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT",
    "Size": "SIZE",
    "VirtualSize": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
}
_DEFAULT = ("Repository", "Tag", "ID", "CreatedSince", "Size")
_WITH_DIGESTS = ("Repository", "Tag", "Digest", "ID", "CreatedSince", "Size")


def main(engine: Engine, options: Options) -> int:
    """One row for each name of each image."""
    from pod.core.image import listing

    filters = list(options["filter"])
    if options.args:
        filters.append("reference=" + options.args[0])
    entries = listing.entries(engine, filters)
    if options["quiet"]:
        for entry in entries:
            output.line(entry.image.id if options["no-trunc"] else entry.image.short_id)
        return 0
    now = time.time()
    rows = [_row(entry, now, whole=options["no-trunc"]) for entry in entries]
    if options["format"] in ("", "table"):
        fields = _WITH_DIGESTS if options["digests"] else _DEFAULT
        output.table([HEADERS[name] for name in fields], [[row[name] for name in fields] for row in rows])
        return 0
    output.format_rows(options["format"], HEADERS, rows)
    return 0


def _row(entry: Entry, now: float, *, whole: bool) -> dict[str, str]:
    record = entry.image.record
    created = record.get("created") or ""
    size = output.human_size(record["size"])
    return {
        "Containers": "N/A",
        "CreatedAt": _created_at(created),
        "CreatedSince": _since(created, now),
        "Digest": entry.digest,
        "ID": entry.image.id if whole else entry.image.short_id,
        "Repository": entry.repository,
        "SharedSize": "N/A",
        "Size": size,
        "Tag": entry.tag,
        "UniqueSize": "N/A",
        "VirtualSize": size,
    }


def _since(created: str, now: float) -> str:
    try:
        return output.ago(created, now)
    except ValueError:
        return "N/A"


def _created_at(created: str) -> str:
    """Go's time.String of the creation time, in UTC to the second: "2024-01-31 12:00:00 +0000 UTC"."""
    try:
        seconds = output.seconds_of(created)
    except ValueError:
        return "N/A"
    return time.strftime("%Y-%m-%d %H:%M:%S +0000 UTC", time.gmtime(seconds))
