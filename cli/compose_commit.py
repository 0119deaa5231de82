"""``pod compose commit``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "commit",
    "[OPTIONS] SERVICE [REPOSITORY[:TAG]]",
    "Create a new image from a service container's changes",
    (
        ("author", "a", "string", 'Author (e.g., "John Hannibal Smith <hannibal@a-team.com>")'),
        ("change", "c", "list", "Apply Dockerfile instruction to the created image"),
        compose_project.DRY_RUN,
        ("index", "", "int", "Index of the container if service has multiple replicas"),
        ("message", "m", "string", "Commit message"),
        ("pause", "p", "bool", "Pause container during commit", True),
    ),
    min_args=1,
    max_args=2,
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import commit
    from pod.cli.options import parse
    from pod.core.compose import existing

    name, _project = compose_project.load_or_name(engine, options, options.args[:1])
    one = compose_project.one_container(existing.find(engine, name), options.args[0], options["index"])
    words = [f"--change={text}" for text in options["change"]]
    words += [f"--{flag}={options[flag]}" for flag in ("author", "message") if options[flag]]
    words += [] if options["pause"] else ["--no-pause"]
    return commit.main(engine, parse(commit.COMMAND, [*words, one.id, *options.args[1:]]))
