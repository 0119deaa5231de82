"""``pod system df``: what the store takes on the disk; docker/cli: system df and its formatter."""

from __future__ import annotations

import time

from pod.cli import output
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options
    from pod.core.builder.prune import Use
    from pod.core.engine import Engine
    from pod.core.system.usage import ImageUse, Kind, Usage
    from pod.core.volume.store import Volume

COMMAND = Command(
    "df",
    "[OPTIONS]",
    "Show disk usage of the store",
    (
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
        ("verbose", "v", "bool", "Show detailed information on space usage"),
    ),
    max_args=0,
    path="pod system df",
)

HEADERS = {
    "Type": "TYPE",
    "TotalCount": "TOTAL",
    "Active": "ACTIVE",
    "Size": "SIZE",
    "Reclaimable": "RECLAIMABLE",
}
_IMAGE = {
    "Repository": "REPOSITORY",
    "Tag": "TAG",
    "ID": "IMAGE ID",
    "CreatedSince": "CREATED",
    "Size": "SIZE",
    "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
    "Containers": "CONTAINERS",
}
_CONTAINER = ("ID", "Image", "Command", "LocalVolumes", "Size", "RunningFor", "Status", "Names")
_VOLUME = {"Name": "VOLUME NAME", "Links": "LINKS", "Size": "SIZE"}
_CACHE = {
    "ID": "CACHE ID",
    "CacheType": "CACHE TYPE",
    "Size": "SIZE",
    "CreatedSince": "CREATED",
    "LastUsedSince": "LAST USED",
    "UsageCount": "USAGE",
    "Shared": "SHARED",
}


def main(engine: Engine, options: Options) -> int:
    from pod.core.system import usage

    format = options["format"]
    if "{" in format:
        from pod.cli import template

        template.parse(format[len("table") :] if format.startswith("table") else format)
    found = usage.look(engine)
    if not options["verbose"]:
        output.format_rows(format, HEADERS, [*map(_kind, found.kinds)])
        return 0
    document = _document(engine, found)
    if format in ("", "table"):
        _tables(document, output.human_size(found.kinds[-1].size, 4))
        return 0
    output.document([document], format)
    return 0


def _kind(kind: Kind) -> dict[str, str]:
    share = f" ({kind.reclaimable * 100 // kind.size}%)" if kind.size else ""
    return {
        "Type": kind.name,
        "TotalCount": str(kind.count),
        "Active": str(kind.active),
        "Size": output.human_size(kind.size, 4),
        "Reclaimable": output.human_size(kind.reclaimable, 4) + share,
    }


def _document(engine: Engine, found: Usage) -> dict[str, list[dict[str, Any]]]:
    """The lists of -v, of the same fields as their own commands have."""
    from pod.cli import ps

    view = ps.View(engine, whole=False, size=False)
    containers = []
    for one, size in found.containers:
        row = {name: column(one, view) for name, column in ps.FIELDS.items()}
        containers.append({**row, "Size": output.human_size(size)})
    return {
        "Images": [_image(use) for use in found.images],
        "Containers": containers,
        "Volumes": [_volume(*row) for row in found.volumes],
        "BuildCache": [_step(use) for use in found.cache],
    }


def _image(use: ImageUse) -> dict[str, str]:
    """Docker shows the first tag alone."""
    from pod.cli import images

    tags = [name for name in use.names if name.tag]
    created_at, created_since = images.created(use.image.record.get("created"), time.time())
    return {
        "Containers": str(use.containers),
        "CreatedAt": created_at,
        "CreatedSince": created_since,
        "Digest": "<none>",
        "ID": use.image.short_id,
        "Repository": tags[0].familiar_name if tags else "<none>",
        "SharedSize": output.human_size(use.shared, 4),
        "Size": output.human_size(use.shared + use.unique, 4),
        "Tag": tags[0].tag if tags else "<none>",
        "UniqueSize": output.human_size(use.unique, 4),
        "VirtualSize": output.human_size(use.shared + use.unique, 4),
    }


def _volume(volume: Volume, links: int, size: int) -> dict[str, str]:
    from pod.cli import volume_ls

    return {**volume_ls.row(volume), "Links": str(links), "Size": output.human_size(size, 4)}


def _step(use: Use) -> dict[str, str]:
    """How often a step was used is not counted."""
    record = use.record
    return {
        "CacheType": "regular",
        "CreatedAt": record.created,
        "CreatedSince": output.ago(record.created, time.time()),
        "Description": record.description,
        "ID": record.key[:12],
        "LastUsedSince": output.human_duration(max(time.time() - record.used, 0)) + " ago",
        "Shared": "true" if use.shared else "false",
        "Size": output.human_size(record.size, 4),
        "UsageCount": "N/A",
    }


def _tables(document: dict[str, list[dict[str, Any]]], cache: str) -> None:
    from pod.cli import ps

    output.write("Images space usage:\n\n")
    output.table(list(_IMAGE.values()), [[row[name] for name in _IMAGE] for row in document["Images"]])
    output.write("\nContainers space usage:\n\n")
    rows = [[row[name] for name in _CONTAINER] for row in document["Containers"]]
    output.table([ps.HEADERS[name] for name in _CONTAINER], rows)
    output.write("\nLocal Volumes space usage:\n\n")
    output.table(list(_VOLUME.values()), [[row[name] for name in _VOLUME] for row in document["Volumes"]])
    output.write(f"\nBuild cache usage: {cache}\n\n")
    output.table(list(_CACHE.values()), [[row[name] for name in _CACHE] for row in document["BuildCache"]])
