"""``pod compose ps``."""

from __future__ import annotations

from pod.cli import compose_project
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
    "[OPTIONS] [SERVICE...]",
    "List containers",
    (
        ("all", "a", "bool", "Show all stopped containers (including those created by the run command)"),
        compose_project.DRY_RUN,
        ("filter", "", "string", "Filter services by a property (supported filters: status)"),
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
        ("no-trunc", "", "bool", "Don't truncate output"),
        ("orphans", "", "bool", "Include orphaned services (not declared by project)", True),
        ("quiet", "q", "bool", "Only display IDs"),
        ("services", "", "bool", "Display services"),
        ("status", "", "stringArray", "Filter services by status: paused | restarting | running | created | exited"),
    ),
)

HEADERS = {
    "Name": "NAME",
    "Image": "IMAGE",
    "Command": "COMMAND",
    "Service": "SERVICE",
    "RunningFor": "CREATED",
    "Status": "STATUS",
    "Ports": "PORTS",
}
_TABLE = "table " + "\t".join("{{." + name + "}}" for name in HEADERS)
_STATES = ("paused", "restarting", "removing", "running", "dead", "created", "exited")


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.compose import existing
    from pod.core.container import store

    wanted = _states(options)
    name, project = compose_project.load_or_name(engine, options, options.args)
    every = options["all"] or bool(wanted)
    instances = compose_project.chosen(
        existing.find(engine, name), project, options.args, oneoff=options["all"], orphans=options["orphans"]
    )
    containers = [store.find(engine, one.id) for one in instances if every or one.runs]
    rows = [_row(engine, one, whole=options["no-trunc"]) for one in containers]
    rows = [row for row in rows if not wanted or row["State"] in wanted]
    if options["services"]:
        for service in dict.fromkeys(row["Service"] for row in rows):
            output.line(service)
        return 0
    if options["quiet"]:
        for row in rows:
            output.line(row["FullID"])
        return 0
    for row in rows:
        del row["FullID"]
    format = options["format"]
    labelled = [(row, existing.labels_of(one)) for row, one in zip(rows, containers)]
    if format in ("", "table"):
        output.table(list(HEADERS.values()), [[str(row[column]) for column in HEADERS] for row, _ in labelled])
    else:
        headers = {**dict.fromkeys(rows[0] if rows else (), ""), **HEADERS}
        output.format_labelled(format, headers, labelled)
    return 0


def _states(options: Options) -> list[str]:
    wanted = list(options["status"])
    if options["filter"]:
        kind, equals, value = options["filter"].partition("=")
        if not equals or kind not in ("status", "source"):
            raise UsageError(f"unknown filter {kind}", hint="the form is status=running")
        if kind == "source":
            raise UsageError(
                "--filter source: there are no containers outside of Compose to compare with", hint="status=…"
            )
        wanted.append(value)
    for state in wanted:
        if state not in _STATES:
            raise UsageError(f"unknown status {state!r}", hint=", ".join(_STATES))
    return wanted


def _row(engine: Engine, one: Container, *, whole: bool) -> dict[str, Any]:
    """Docker's members."""
    from pod.cli import ps
    from pod.core.compose import existing, labels
    from pod.core.container import ports

    view = ps.View(engine, whole=whole, size=False)
    found: dict[str, Any] = {name: column(one, view) for name, column in ps.FIELDS.items() if name in _KEPT}
    own = existing.labels_of(one)
    found.update(
        Name=one.name,
        Service=own.get(labels.SERVICE, ""),
        Project=own.get(labels.PROJECT, ""),
        Health=existing.health_of(one) if one.is_running else "",
        ExitCode=one.exit_code,
        FullID=one.id,
        Publishers=[
            {"URL": host or "", "TargetPort": port, "PublishedPort": public or 0, "Protocol": kind}
            for port, kind, host, public in ports.shown(one)
        ],
    )
    return found


_KEPT = ("Command", "CreatedAt", "ID", "Image", "Labels", "LocalVolumes", "Mounts", "Names", "Networks", "Ports",
         "RunningFor", "Size", "State", "Status")  # fmt: skip
