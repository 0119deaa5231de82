"""``pod stats``: what containers use, once or again and again (docker/cli: formatter of stats)."""

from __future__ import annotations

import sys
import time

from pod.cli import output
from pod.cli.options import Command
from pod.core.container import stats
from pod.core.errors import NoSuchContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.cli.options import Options
    from pod.core.container.stats import Sample, Watched
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
_DEFAULT = [name for name in HEADERS if name != "Container"]
"""Columns."""
_INTERVAL = 1.0
"""Seconds between two looks; what a processor did is known only after the second."""
_SHORT = 0.5
"""The same where two are all."""
_LEAST = 0.1
"""The same where the one before was somebody else's: processor time is told to the nanosecond."""
_CLEAR = "\x1b[H\x1b[J"


def main(engine: Engine, options: Options) -> int:
    format = options["format"]
    if "{{" in format:
        from pod.cli import template

        template.parse(format[len("table") :] if format.startswith("table") else format)
    if options.args:
        from pod.core.container import store

        for name in options.args:
            store.find(engine, name)  # one that there is not ends it before anything is shown
    if options["no-stream"]:
        _show(format, _once(engine, options))
        return 0
    before = stats.samples([one for _, one in _chosen(engine, options)], whole=False)
    live = sys.stdout is not None and sys.stdout.isatty()
    if live:
        output.write(_CLEAR)
        _show(format, [])
    while True:
        time.sleep(_INTERVAL)
        chosen = _chosen(engine, options)
        now = stats.samples([one for _, one in chosen])
        if live:
            output.write(_CLEAR)
        _show(format, [_row(name, one, now[one.id], before, options) for name, one in chosen])
        if options.args and not chosen:
            return 0  # all that were asked for are removed
        before = now


def _show(format: str, rows: list[dict[str, str]]) -> None:
    if format in ("", "table"):
        output.table([HEADERS[name] for name in _DEFAULT], [[row[name] for name in _DEFAULT] for row in rows])
    else:
        output.format_rows(format, HEADERS, rows)


def _once(engine: Engine, options: Options) -> list[dict[str, str]]:
    """The rows of one look, and of one before it: where somebody looked some seconds ago that, else one of our own."""
    looked = stats.looked(engine)
    every = stats.remembered(engine, looked) if not options.args else []
    rows = _two_looks(engine, options, looked, every, _named(every, options)) if every else None
    if rows is not None:
        return rows
    every = _settled(engine) if not options.args else []
    chosen = _asked(engine, options) if options.args else _named(every, options)
    return _two_looks(engine, options, looked, every, chosen, trusting=True) or []


def _two_looks(
    engine: Engine,
    options: Options,
    looked: list[list[Any]],
    every: list[Watched],
    chosen: list[tuple[str, Watched]],
    *,
    trusting: bool = False,
) -> list[dict[str, str]] | None:
    """The rows of ``chosen``; None where one has ended of which its records do not know yet, unless ``trusting``."""
    wanted = [one for _, one in chosen]
    running = [one for one in wanted if one.process[0]]
    before = stats.earlier(looked, running)
    due = max([look.at for look in before.values()], default=0.0) + _LEAST
    if len(before) < len(running):
        before = stats.samples(wanted, whole=False)
        due = time.monotonic() + _SHORT
    if running:
        time.sleep(max(0.0, min(_SHORT, due - time.monotonic())))
    now = stats.samples(wanted)
    if not trusting and not all(now[one.id].pids for one in running):
        return None
    stats.remember(engine, every or wanted, {one.id: now[one.id] for one in running if now[one.id].pids})
    return [_row(name, one, now[one.id], before, options) for name, one in chosen]


def _named(every: list[Watched], options: Options) -> list[tuple[str, Watched]]:
    """Those of every container that are to be shown, with the word for each."""
    shown = [one for one in every if options["all"] or one.process[0]]
    return [(one.id if options["no-trunc"] else one.id[:12], one) for one in shown]


def _settled(engine: Engine) -> list[Watched]:
    from pod.core.container import model, settling

    stamps = {name: stats.stamp(engine, name) for name in model.list_ids(engine)}
    return [stats.watch(one, stamps.get(one.id, "")) for one in settling.settle_all(engine)]


def _chosen(engine: Engine, options: Options) -> list[tuple[str, Watched]]:
    """(the word that asked for it, container): those named that are still there, else all or those that run."""
    return _asked(engine, options) if options.args else _named(_settled(engine), options)


def _asked(engine: Engine, options: Options) -> list[tuple[str, Watched]]:
    from pod.core.container import lifecycle, store

    chosen = []
    for name in options.args:
        try:
            container_id = store.find_id(engine, name)
            stamp = stats.stamp(engine, container_id)
            found = lifecycle.settle(engine, store.find(engine, container_id))
        except NoSuchContainer:
            continue
        chosen.append((name, stats.watch(found, stamp)))
    return chosen


def _row(
    name: str, watched: Watched, found: Sample, before: dict[str, Sample], options: Options
) -> dict[str, str]:
    percent = stats.cpu_percent(before.get(watched.id, found), found)
    share = 100.0 * found.memory / found.limit if found.limit else 0.0
    return {
        "Container": name,
        "ID": watched.id if options["no-trunc"] else watched.id[:12],
        "Name": watched.name,
        "CPUPerc": f"{percent:.2f}%",
        "MemUsage": f"{output.human_bytes(found.memory)} / {output.human_bytes(found.limit)}",
        "MemPerc": f"{share:.2f}%",
        "NetIO": f"{output.human_size(found.received)} / {output.human_size(found.sent)}",
        "BlockIO": f"{output.human_size(found.read)} / {output.human_size(found.written)}",
        "PIDs": str(found.pids),
    }
