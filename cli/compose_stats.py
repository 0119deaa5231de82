"""``pod compose stats``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "stats",
    "[OPTIONS] [SERVICE]",
    "Display a live stream of container(s) resource usage statistics",
    (
        ("all", "a", "bool", "Show all containers (default shows just running)"),
        compose_project.DRY_RUN,
        ("format", "", "string", "Format output: 'table', 'table TEMPLATE', 'json', or a Go template"),
        ("no-stream", "", "bool", "Disable streaming stats and only pull the first result"),
        ("no-trunc", "", "bool", "Do not truncate output"),
    ),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import stats
    from pod.cli.options import parse
    from pod.core.compose import existing

    name, project = compose_project.load_or_name(engine, options, options.args)
    found = compose_project.chosen(existing.find(engine, name), project, options.args)
    ids = [one.id for one in found if one.runs or options["all"]]
    words = [f"--{flag}" for flag in ("all", "no-stream", "no-trunc") if options[flag]]
    words += [f"--format={options['format']}"] if options["format"] else []
    if not ids:
        from pod.core.errors import PodError

        raise PodError(f'no container of project "{name}" runs', hint="'pod compose up -d' starts them")
    return stats.main(engine, parse(stats.COMMAND, [*words, *ids]))
