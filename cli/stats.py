"""``pod stats``: what containers use, once or again and again (docker/cli: formatter of stats)."""

from __future__ import annotations

import sys
import time

from pod.cli import output
from pod.cli.options import Command
from pod.core.errors import NoSuchContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.container.model import Container
    from pod.core.container.stats import Sample
    from pod.core.engine import Engine

COMMAND = Command(
    "stats",
    "[OPTIONS] [CONTAINER...]",
    "Display a live stream of container(s) resource usage statistics",
    (
        ("all", "a", "bool", "Show all containers (default shows just running)"),
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
        ("no-stream", "", "bool", "Disable streaming stats and only pull the first result"),
        ("no-trunc", "", "bool", "Do not truncate output"),
    ),
    aliases=("pod container stats", "pod stats"),
)

HEADERS = {
    "Container": "CONTAINER",
    "ID": "CONTAINER ID",
    "Name": "NAME",
    "CPUPerc": "CPU %",
    "MemUsage": "MEM USAGE / LIMIT",
    "MemPerc": "MEM %",
    "NetIO": "NET I/O",
    "BlockIO": "BLOCK I/O",
    "PIDs": "PIDS",
}
_DEFAULT = "table {{.ID}}\t{{.Name}}\t{{.CPUPerc}}\t{{.MemUsage}}\t{{.MemPerc}}\t{{.NetIO}}\t{{.BlockIO}}\t{{.PIDs}}"
_INTERVAL = 1.0
"""Seconds between two looks; what a processor did is known only after the second."""
_SHORT = 0.5
"""The same where two are all."""
_CLEAR = "\x1b[H\x1b[J"


def main(engine: Engine, options: Options) -> int:
    from pod.core.container import store

    format = _DEFAULT if options["format"] in ("", "table") else options["format"]
    if "{{" in format:
        from pod.cli import template

        template.parse(format[len("table") :] if format.startswith("table") else format)
    for name in options.args:
        store.find(engine, name)  # one that there is not ends it before anything is shown
    if options["no-stream"]:
        output.format_rows(format, HEADERS, _once(engine, options))
        return 0
    before = _look(_chosen(engine, options), whole=False)
    live = sys.stdout is not None and sys.stdout.isatty()
    if live:
        output.write(_CLEAR)
        output.format_rows(format, HEADERS, [])
    while True:
        time.sleep(_INTERVAL)
        chosen = _chosen(engine, options)
        now = _look(chosen)
        if live:
            output.write(_CLEAR)
        output.format_rows(format, HEADERS, [_row(name, one, now[one.id], before, options) for name, one in chosen])
        if options.args and not chosen:
            return 0  # all that were asked for are removed
        before = now


def _once(engine: Engine, options: Options) -> list[dict[str, str]]:
    """The rows of one look, and of one before it: where somebody looked some seconds ago that, else one of our own."""
    from pod.core.container import stats

    chosen = _chosen(engine, options)
    running = [one for _, one in chosen if one.pid]
    before = stats.earlier(engine, running)
    last = max([look.at for look in before.values()], default=0.0)
    if len(before) < len(running):
        before = _look(chosen, whole=False)
        last = time.monotonic()
    if running:
        time.sleep(max(0.0, min(_SHORT, last + _SHORT - time.monotonic())))
    now = _look(chosen)
    stats.remember(engine, [(one, now[one.id]) for one in running])
    return [_row(name, one, now[one.id], before, options) for name, one in chosen]


def _look(chosen: list[tuple[str, Container]], *, whole: bool = True) -> dict[str, Sample]:
    """What each uses now, by id."""
    from pod.core.container import members, stats

    crowd = members.Crowd()
    return {one.id: stats.sample(one, crowd, whole=whole) for _, one in chosen}


def _chosen(engine: Engine, options: Options) -> list[tuple[str, Container]]:
    """(the word that asked for it, container): those named that are still there, else all or those that run."""
    from pod.core.container import lifecycle, settling, store

    if not options.args:
        found = settling.settle_all(engine)
        return [(one.id if options["no-trunc"] else one.id[:12], one) for one in found if options["all"] or one.pid]
    chosen = []
    for name in options.args:
        try:
            chosen.append((name, lifecycle.settle(engine, store.find(engine, name))))
        except NoSuchContainer:
            continue
    return chosen


def _row(
    name: str, container: Container, found: Sample, before: dict[str, Sample], options: Options
) -> dict[str, str]:
    from pod.core.container import stats

    percent = stats.cpu_percent(before.get(container.id, found), found)
    share = 100.0 * found.memory / found.limit if found.limit else 0.0
    return {
        "Container": name,
        "ID": container.id if options["no-trunc"] else container.id[:12],
        "Name": container.name,
        "CPUPerc": f"{percent:.2f}%",
        "MemUsage": f"{output.human_bytes(found.memory)} / {output.human_bytes(found.limit)}",
        "MemPerc": f"{share:.2f}%",
        "NetIO": f"{output.human_size(found.received)} / {output.human_size(found.sent)}",
        "BlockIO": f"{output.human_size(found.read)} / {output.human_size(found.written)}",
        "PIDs": str(found.pids),
    }
