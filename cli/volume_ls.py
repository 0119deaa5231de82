"""``pod volume ls``; docker/cli: volume ls and its formatter."""

from __future__ import annotations

from pod.cli import output
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options
    from pod.core.engine import Engine
    from pod.core.volume.store import Volume

COMMAND = Command(
    "ls",
    "[OPTIONS]",
    "List volumes",
    (
        ("filter", "f", "filter", 'Provide filter values (e.g. "dangling=true"): dangling, driver, label, name'),
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
        ("quiet", "q", "bool", "Only display volume names"),
    ),
    max_args=0,
    aliases=("pod volume ls", "pod volume list"),
    path="pod volume ls",
)

HEADERS = {
    "Driver": "DRIVER",
    "Name": "VOLUME NAME",
    "Availability": "AVAILABILITY",
    "Group": "GROUP",
    "Labels": "LABELS",
    "Links": "LINKS",
    "Mountpoint": "MOUNTPOINT",
    "Scope": "SCOPE",
    "Size": "SIZE",
    "Status": "STATUS",
}
_DEFAULT = ("Driver", "Name")


def main(engine: Engine, options: Options) -> int:
    from pod.core.volume import listing

    found = listing.find(engine, options["filter"])
    format = options["format"]
    if not format and options["quiet"]:
        output.write("".join(volume.name + "\n" for volume in found))
        return 0
    if format == "raw":
        format = "name: {{.Name}}" if options["quiet"] else "name: {{.Name}}\ndriver: {{.Driver}}\n"
    if format in ("", "table"):
        output.table([HEADERS[name] for name in _DEFAULT], [["local", volume.name] for volume in found])
        return 0
    output.format_labelled(format, HEADERS, [(row(volume), volume.labels) for volume in found])
    return 0


def row(volume: Volume) -> dict[str, Any]:
    return {
        "Driver": "local",
        "Name": volume.name,
        "Availability": "N/A",
        "Group": "N/A",
        "Labels": ",".join(f"{key}={value}" for key, value in sorted(volume.labels.items())),
        "Links": "N/A",
        "Mountpoint": volume.mountpoint,
        "Scope": "local",
        "Size": "N/A",
        "Status": "N/A",
    }
