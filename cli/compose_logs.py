"""``pod compose logs``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command
from pod.core.errors import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "logs",
    "[OPTIONS] [SERVICE...]",
    "View output from containers",
    (
        compose_project.DRY_RUN,
        ("follow", "f", "bool", "Follow log output"),
        ("index", "", "int", "Index of the container if the service has several replicas"),
        ("no-color", "", "bool", "Produce monochrome output"),
        ("no-log-prefix", "", "bool", "Don't print prefix in logs"),
        ("since", "", "string", 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
        ("tail", "n", "string", "Number of lines to show from the end of the logs for each container", "all"),
        ("timestamps", "t", "bool", "Show timestamps"),
        ("until", "", "string", 'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
    ),
)


def main(engine: Engine, options: Options) -> int:
    import time

    from pod.cli import compose_log_view as views
    from pod.cli import output
    from pod.core.compose import existing
    from pod.core.container import logs, store

    name, project = compose_project.load_or_name(engine, options, options.args)
    tail = options["tail"]
    digits = tail[1:] if tail[:1] == "-" else tail
    if tail != "all" and not (digits.isascii() and digits.isdigit() and len(digits) < 19):
        raise UsageError(f'invalid value for "tail": {tail}', hint="a number of lines, or all")
    if options["index"] and len(options.args) != 1:
        raise UsageError("--index can only be used with a single service")
    found = compose_project.chosen(existing.find(engine, name), project, options.args)
    if options["index"]:
        found = [one for one in found if one.number == options["index"]]
    now = time.time()
    how: dict[str, object] = {
        "tail": -1 if tail == "all" else int(tail),
        "since": logs.parse_moment(options["since"], now),
        "until": logs.parse_moment(options["until"], now),
        "follow": options["follow"],
    }
    streams = []
    for one in found:
        container = store.find(engine, one.id)
        if views.readable(container):
            streams.append(views.Stream(engine, container, views.short_name(name, one.name), how))
        else:
            output.warning(f"{one.name}: its logging driver does not support reading")
    view = views.View(
        [one.name for one in streams],
        prefix=not options["no-log-prefix"],
        colour=views.has_colour(options, never=options["no-color"]),
        timestamps=options["timestamps"],
    )
    if options["follow"]:
        views.follow(streams, view)
    else:
        views.merged(streams, view)
    return 0
