"""``pod images``: the images of the store; docker/cli: image ls and its formatter."""

from __future__ import annotations

import time

from pod.cli import output
from pod.cli.options import Command, Options
from pod.core.errors import PodError

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
        ("filter", "f", "filter", "Filter output: before, dangling, label, label!, reference, since, until"),
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
        ("no-trunc", "", "bool", "Don't truncate output"),
        ("quiet", "q", "bool", "Only show image IDs"),
        ("tree", "", "bool", "List images with their names, platforms and sizes as a tree"),
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
_RAW = (
    "repository: {{.Repository}}\ntag: {{.Tag}}\n%simage_id: {{.ID}}\n"
    "created_at: {{.CreatedAt}}\nvirtual_size: {{.Size}}\n"
)


def main(engine: Engine, options: Options) -> int:
    """One row for each name of each image."""
    from pod.core.image import listing

    if options["tree"]:
        _check_tree(options)
    filters = list(options["filter"])
    if options.args:
        filters.append("reference=" + options.args[0])
    found = listing.find(engine, filters)
    if options["tree"]:
        from pod.cli import image_tree

        image_tree.show(engine, found)
        return 0
    format = _format(options)
    with_digests = options["digests"] or "{{.Digest}}" in format
    entries = [entry for listed in found for entry in listed.entries(digests=with_digests)]
    if not format and options["quiet"]:
        whole = options["no-trunc"]
        output.write("".join((entry.image.id if whole else entry.image.short_id) + "\n" for entry in entries))
        return 0
    rows = _Rows(engine, format, whole=options["no-trunc"])
    shown = [rows.of(entry) for entry in entries]
    if not format:
        fields = _WITH_DIGESTS if options["digests"] else _DEFAULT
        output.table([HEADERS[name] for name in fields], [[row[name] for name in fields] for row in shown])
        return 0
    output.format_rows(format, HEADERS, shown)
    return 0


def _check_tree(options: Options) -> None:
    """Docker's refusals."""
    for flag in ("quiet", "no-trunc", "digests", "format"):
        if flag in options.given:
            shown = "show-digest" if flag == "digests" else flag
            raise PodError(f"--{shown} is not yet supported with --tree", hint=f"leave out --{flag} or --tree")


def _format(options: Options) -> str:
    """The format asked for, "" for the default table; Docker's old "raw" as the template that it stands for."""
    format: str = options["format"]
    if format == "raw":
        if options["quiet"]:
            return "image_id: {{.ID}}"
        return _RAW % ("digest: {{.Digest}}\n" if options["digests"] else "")
    if format == "table":
        return ""
    if format.startswith("table") and options["digests"] and "{{.Digest}}" not in format:
        return format + "\\t{{.Digest}}"
    return format


class _Rows:
    """Makes rows of entries. What takes other files than the records is read only where the format asks for it."""

    __slots__ = ("_containers", "_now", "_shared", "_whole")

    def __init__(self, engine: Engine, format: str, *, whole: bool) -> None:
        from pod.core.image import listing

        self._now = time.time()
        self._whole = whole
        wants_shared = ".SharedSize" in format or ".UniqueSize" in format
        self._shared = listing.shared(engine) if wants_shared else None
        self._containers = listing.containers(engine) if ".Containers" in format else None

    def of(self, entry: Entry) -> dict[str, str]:
        """Docker's fields as text; "N/A" for what was not asked for."""
        image = entry.image
        size = image.record["size"]
        created_at, created_since = created(image.record.get("created"), self._now)
        shared = None if self._shared is None else self._shared.get(image.id, 0)
        return {
            "Containers": "N/A" if self._containers is None else str(self._containers.get(image.id, 0)),
            "CreatedAt": created_at,
            "CreatedSince": created_since,
            "Digest": entry.digest,
            "ID": image.id if self._whole else image.short_id,
            "Repository": entry.repository,
            "SharedSize": "N/A" if shared is None else output.human_size(shared, 4),
            "Size": output.human_size(size),
            "Tag": entry.tag,
            "UniqueSize": "N/A" if shared is None else output.human_size(size - shared, 4),
            "VirtualSize": output.human_size(size, 4),
        }


def created(text: object, now: float) -> tuple[str, str]:
    """Go's time.String in the caller's time zone, and how long ago; "N/A" twice for what is no time.

    "2024-01-31 12:00:00 +0000 UTC", "3 weeks ago".
    """
    from pod.core import moments

    moment = moments.instant(text)
    if moment is None:
        return "N/A", "N/A"
    fields = time.localtime(moment // moments.SECOND)
    at = f"{fields.tm_year:04d}" + time.strftime("-%m-%d %H:%M:%S %z %Z", fields)
    return at, output.human_duration(now - moment / moments.SECOND) + " ago"
