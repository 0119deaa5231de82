"""``pod builder du``, ``pod buildx du``; docker/buildx: du."""

from __future__ import annotations

import time

from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options
    from pod.core.builder.prune import Use
    from pod.core.engine import Engine

COMMAND = Command(
    "du",
    "[OPTIONS]",
    "Disk usage of the build cache",
    (
        ("filter", "", "filter", "Provide filter values: description, id, inuse, private, shared, unused-for, until"),
        ("format", "", "string", 'Format the output: "json", "table", or a Go template'),
        ("verbose", "", "bool", "Provide a more verbose output"),
    ),
    max_args=0,
    aliases=("pod builder du", "pod buildx du"),
    path="pod builder du",
)

HEADERS = {"ID": "ID", "Reclaimable": "RECLAIMABLE", "Size": "SIZE", "LastUsedAt": "LAST ACCESSED"}


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.builder import prune

    found = prune.uses(engine, options["filter"])
    if options["format"]:
        headers = {name: HEADERS.get(name, name.upper()) for name in _FIELDS}
        if options["format"] == "table":
            headers = HEADERS
        output.format_rows(options["format"], headers, [_row(use) for use in found])
        return 0
    if options["verbose"]:
        for use in found:
            output.write(_details(use) + "\n")
    else:
        output.table(list(HEADERS.values()), [[_row(use)[name] for name in HEADERS] for use in found])
    shared = sum(use.record.size for use in found if use.shared)
    private = sum(use.record.size for use in found if not use.shared)
    for name, size in (("Shared", shared), ("Private", private), ("Reclaimable", private), ("Total", shared + private)):
        output.line(f"{name + ':':<13}{output.human_size(size, 4)}")
    return 0


_FIELDS = ("CreatedAt", "Description", "ID", "LastUsedAt", "Reclaimable", "Shared", "Size")


def _row(use: Use) -> dict[str, Any]:
    from pod.cli import output

    record = use.record
    return {
        "CreatedAt": record.created,
        "Description": record.description,
        "ID": record.key[:25],
        "LastUsedAt": output.human_duration(max(time.time() - record.used, 0)) + " ago",
        "Reclaimable": "false" if use.shared else "true",
        "Shared": "true" if use.shared else "false",
        "Size": output.human_size(record.size, 4) + ("*" if use.shared else ""),
    }


def _details(use: Use) -> str:
    from pod.cli import output

    row = _row(use)
    lines = (
        ("ID", use.record.key), ("Created at", row["CreatedAt"]), ("Mutable", "false"),
        ("Reclaimable", row["Reclaimable"]), ("Shared", row["Shared"]), ("Size", row["Size"].rstrip("*")),
        ("Description", row["Description"]), ("Last used", row["LastUsedAt"]), ("Type", "regular"),
    )  # fmt: skip
    return "".join(f"{name + ':':<14} {output.visible(text)}\n" for name, text in lines)
