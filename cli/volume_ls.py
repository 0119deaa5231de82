"""``pod volume ls``; docker/cli: volume ls and its formatter."""

from __future__ import annotations

from pod.cli import output
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
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
    _through_template(found, format)
    return 0


def _through_template(found: list[Volume], format: str) -> None:
    """Rows have a method, too: {{.Label "key"}}."""
    from pod.cli.template_values import WithMethods

    rows = []
    for volume in found:
        row = WithMethods(_row(volume))
        row.methods = {"Label": _label_of(volume.labels)}
        rows.append(row)
    headers = WithMethods(HEADERS)
    headers.methods = {"Label": lambda key: key.rpartition(".")[2].replace("-", " ").replace("_", " ")}
    output.format_rows(format, headers, rows)


def _label_of(labels: dict[str, str]) -> Callable[[str], str]:
    return lambda key: labels.get(key, "")


def _row(volume: Volume) -> dict[str, Any]:
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
