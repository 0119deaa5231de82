"""``pod compose ls``: every project that has containers."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "ls",
    "[OPTIONS]",
    "List running compose projects",
    (
        ("all", "a", "bool", "Show all stopped Compose projects"),
        compose_project.DRY_RUN,
        ("filter", "", "filter", "Filter output based on conditions provided (name)"),
        ("format", "", "string", "Format the output. Values: [table | json]", "table"),
        ("quiet", "q", "bool", "Only display project names"),
    ),
    max_args=0,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core import statefile
    from pod.core.compose import existing, labels
    from pod.core.container import phase, settling

    if options["format"] not in ("table", "json"):
        raise UsageError(f"unsupported format {options['format']!r}", hint="table or json")
    for text in options["filter"]:
        if not text.startswith("name="):
            raise UsageError(f"unknown filter {text.partition('=')[0]}", hint="the form is name=PATTERN")
    projects: dict[str, list[tuple[str, str]]] = {}
    for one in settling.settle_all(engine):
        own = existing.labels_of(one)
        name = own.get(labels.PROJECT, "")
        if name and own.get(labels.ONEOFF, "").lower() != "true":
            projects.setdefault(name, []).append((phase.phase(one), own.get(labels.FILES, "")))
    rows = _rows(options, projects)
    if options["quiet"]:
        for row in rows:
            output.line(row["Name"])
    elif options["format"] == "json":
        output.line(output.harmless_json(statefile.dumps(rows)))
    else:
        output.table(("NAME", "STATUS", "CONFIG FILES"), [tuple(row.values()) for row in rows])
    return 0


def _rows(options: Options, projects: dict[str, list[tuple[str, str]]]) -> list[dict[str, str]]:
    rows = []
    for name in sorted(projects):
        states = [state for state, _ in projects[name]]
        if not options["all"] and not {"running", "restarting", "paused"}.intersection(states):
            continue
        if all(_matches(name, text[len("name=") :]) for text in options["filter"]):
            files = ",".join(dict.fromkeys(text for _, text in projects[name] if text))
            rows.append({"Name": name, "Status": _status(states), "ConfigFiles": files})
    return rows


def _status(states: list[str]) -> str:
    return ", ".join(f"{state}({states.count(state)})" for state in sorted(set(states)))


def _matches(name: str, pattern: str) -> bool:
    import re

    try:
        return re.search(pattern, name) is not None
    except re.error:
        return pattern in name
