"""``pod network ls``; docker/cli: network ls and its formatter."""

from __future__ import annotations

import time

from pod.cli import output
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "ls",
    "[OPTIONS]",
    "List networks",
    (
        (
            *("filter", "f", "filter"),
            'Provide filter values (e.g. "driver=bridge"): dangling, driver, id, label, name, scope, type',
        ),
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
        ("no-trunc", "", "bool", "Do not truncate the output"),
        ("quiet", "q", "bool", "Only display network IDs"),
    ),
    max_args=0,
    aliases=("pod network ls", "pod network list"),
    path="pod network ls",
)

HEADERS = {
    "ID": "NETWORK ID",
    "Name": "NAME",
    "Driver": "DRIVER",
    "Scope": "SCOPE",
    "IPv4": "IPV4",
    "IPv6": "IPV6",
    "Internal": "INTERNAL",
    "Labels": "LABELS",
    "CreatedAt": "CREATED AT",
}
_DEFAULT = ("ID", "Name", "Driver", "Scope")
_RAW = "network_id: {{.ID}}\nname: {{.Name}}\ndriver: {{.Driver}}\nscope: {{.Scope}}\n"


def main(engine: Engine, options: Options) -> int:
    from pod.core.container import network_removal
    from pod.core.network import listing, store

    format, whole = options["format"], options["no-trunc"]
    if "{" in format:
        from pod.cli import template

        template.parse(format[len("table") :] if format.startswith("table") else format)
    test = listing.list_test(options["filter"], lambda: network_removal.used(engine))
    found = [record for record in store.list_all(engine) if test(record)]
    if options["quiet"] and format in ("", "table"):
        output.write("".join((record["Id"] if whole else record["Id"][:12]) + "\n" for record in found))
        return 0
    if format == "raw":
        format = "network_id: {{.ID}}" if options["quiet"] else _RAW
    rows = [_row(record, whole=whole) for record in found]
    if format in ("", "table"):
        output.table([HEADERS[name] for name in _DEFAULT], [[row[name] for name in _DEFAULT] for row in rows])
        return 0
    output.format_labelled(format, HEADERS, zip(rows, (record["Labels"] or {} for record in found)))
    return 0


def _row(record: dict[str, Any], *, whole: bool) -> dict[str, Any]:
    return {
        "ID": record["Id"] if whole else record["Id"][:12],
        "Name": record["Name"],
        "Driver": record["Driver"],
        "Scope": record["Scope"],
        "IPv4": "true" if record["EnableIPv4"] else "false",
        "IPv6": "true" if record["EnableIPv6"] else "false",
        "Internal": "true" if record["Internal"] else "false",
        "Labels": ",".join(f"{key}={value}" for key, value in sorted((record["Labels"] or {}).items())),
        "CreatedAt": _created(record["Created"]),
    }


def _created(text: str) -> str:
    """Go's time.String in the caller's time zone."""
    fields = time.localtime(int(output.seconds_of(text)))
    fraction = text.partition(".")[2].rstrip("Z").rstrip("0")
    day = f"{fields.tm_year:04d}" + time.strftime("-%m-%d %H:%M:%S", fields)
    return day + (f".{fraction}" if fraction else "") + time.strftime(" %z %Z", fields)
