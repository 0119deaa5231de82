"""``pod ps``: docker/cli's container ls and its formatter."""

from __future__ import annotations

import time

from pod.cli import output
from pod.cli.options import Command
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options
    from pod.core.container.model import Container
    from pod.core.engine import Engine

COMMAND = Command(
    "ps",
    "[OPTIONS]",
    "List containers",
    (
        ("all", "a", "bool", "Show all containers (default shows just running)"),
        ("filter", "f", "filter", "Filter output: ancestor, exited, id, label, name, status"),
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
        ("last", "n", "int", "Show n last created containers (includes all states)", -1),
        ("latest", "l", "bool", "Show the latest created container (includes all states)"),
        ("no-trunc", "", "bool", "Don't truncate output"),
        ("quiet", "q", "bool", "Only display container IDs"),
        ("size", "s", "bool", "Display total file sizes"),
    ),
    max_args=0,
    aliases=("pod container ls", "pod container list", "pod container ps", "pod ps"),
)

HEADERS = {
    "ID": "CONTAINER ID",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "CreatedAt": "CREATED AT",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "State": "STATE",
    "Ports": "PORTS",
    "Names": "NAMES",
    "Labels": "LABELS",
    "LocalVolumes": "LOCAL VOLUMES",
    "Mounts": "MOUNTS",
    "Networks": "NETWORKS",
    "Size": "SIZE",
}
_DEFAULT = ("ID", "Image", "Command", "RunningFor", "Status", "Ports", "Names")


def main(engine: Engine, options: Options) -> int:
    from pod.core.container import lifecycle

    containers = lifecycle.settle_all(engine)
    last = 1 if options["latest"] else options["last"]
    filters = [entry.partition("=")[::2] for entry in options["filter"]]
    named_state = any(name in ("status", "exited") for name, _ in filters)
    if last < 0 and not options["all"] and not named_state:
        containers = [c for c in containers if c.status in ("running", "elsewhere")]
    containers = [c for c in containers if _matches(c, filters)]
    if last >= 0:
        containers = containers[:last]
    whole = options["no-trunc"]
    if options["quiet"]:
        for container in containers:
            output.line(container.id if whole else container.id[:12])
        return 0
    rows = [_row(engine, container, time.time(), whole=whole, size=options["size"]) for container in containers]
    if options["format"] in ("", "table"):
        fields = (*_DEFAULT, "Size") if options["size"] else _DEFAULT
        output.table([HEADERS[name] for name in fields], [[row[name] for name in fields] for row in rows])
        return 0
    output.format_rows(options["format"], HEADERS, rows)
    return 0


def _matches(container: Container, filters: list[tuple[str, ...]]) -> bool:
    """Values of one name are alternatives, names are all asked for (docker's rule); labels are all asked for."""
    by_name: dict[str, list[str]] = {}
    for name, value in filters:
        by_name.setdefault(name, []).append(value)
    for name, values in by_name.items():
        found = [_test(container, name, value) for value in values]
        if not (all(found) if name == "label" else any(found)):
            return False
    return True


def _test(container: Container, name: str, value: str) -> bool:
    config = container.config["Config"]
    if name == "id":
        return container.id.startswith(value)
    if name == "name":
        import re

        try:
            return re.search(value, container.name) is not None
        except re.error as error:
            raise UsageError(f"invalid filter 'name={value}': {error}") from None
    if name == "status":
        return container.status == value
    if name == "exited":
        return container.status == "exited" and str(container.exit_code) == value
    if name == "ancestor":
        return value in (config["Image"], container.config["Image"]) or container.config["Image"][7:].startswith(value)
    if name == "label":
        key, equals, wanted = value.partition("=")
        labels = config["Labels"] or {}
        return key in labels and (not equals or labels[key] == wanted)
    raise UsageError(f"invalid filter '{name}'", hint="ancestor, exited, id, label, name, status")


def describe_status(container: Container, now: float) -> str:
    """ "Up 2 hours", "Exited (0) 3 minutes ago", "Created": docker's State.String."""
    if container.status in ("running", "orphaned"):
        return "Up " + output.human_duration(now - output.seconds_of(container.state["startedAt"]))
    if container.status == "elsewhere":
        return f"Elsewhere ({container.state.get('hostname', '')})"
    if container.status == "created":
        return "Created"
    return f"Exited ({container.exit_code}) " + output.ago(container.state.get("finishedAt", ""), now)


def _row(engine: Engine, container: Container, now: float, *, whole: bool, size: bool) -> dict[str, Any]:
    config = container.config["Config"]
    command = " ".join([container.config["Path"], *container.config["Args"]])
    if not whole and len(command) > 20:
        command = command[:19] + "…"
    created = container.config["Created"]
    mounts = container.config["Mounts"]
    names = [mount.get("Name") or mount["Source"] for mount in mounts]
    if not whole:
        names = [name if len(name) <= 15 else name[:14] + "…" for name in names]
    row: dict[str, Any] = {
        "ID": container.id if whole else container.id[:12],
        "Image": config["Image"],
        "Command": f'"{command}"',
        "CreatedAt": created[:19].replace("T", " ") + " +0000 UTC",
        "RunningFor": output.ago(created, now),
        "Status": describe_status(container, now),
        "State": "running" if container.status == "orphaned" else container.status,
        "Ports": "",
        "Names": container.name,
        "Labels": ",".join(f"{key}={value}" for key, value in sorted((config["Labels"] or {}).items())),
        "LocalVolumes": str(sum(mount["Type"] == "volume" for mount in mounts)),
        "Mounts": ",".join(names),
        "Networks": container.config["HostConfig"]["NetworkMode"],
        "Size": "",
    }
    if size:
        from pod.core.container import inspect

        document = inspect.document(engine, container, size=True)
        row["Size"] = f"{output.human_size(document['SizeRw'])} (virtual {output.human_size(document['SizeRootFs'])})"
    return row
