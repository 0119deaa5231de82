"""``pod compose exec``."""

from __future__ import annotations

from pod.cli import compose_project
from pod.cli.options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "exec",
    "[OPTIONS] SERVICE COMMAND [ARGS...]",
    "Execute a command in a running container",
    (
        ("detach", "d", "bool", "Detached mode: Run command in the background"),
        compose_project.DRY_RUN,
        ("env", "e", "stringArray", "Set environment variables"),
        ("index", "", "int", "Index of the container if service has multiple replicas"),
        ("interactive", "i", "bool", "Keep STDIN open even if not attached", True, True),
        ("no-tty", "T", "bool", "Disable pseudo-TTY allocation (default: there is one where the output is a terminal)"),
        ("privileged", "", "bool", "Give extended privileges to the process"),
        ("tty", "t", "bool", "Allocate a pseudo-TTY", True, True),
        ("user", "u", "string", "Run the command as this user"),
        ("workdir", "w", "string", "Path to workdir directory for this command"),
    ),
    min_args=2,
    interspersed=False,
)


def main(engine: Engine, options: Options) -> int:
    import os

    from pod.cli import exec as executing
    from pod.cli.options import parse
    from pod.core.compose import existing
    from pod.core.errors import PodError

    name, _project = compose_project.load_or_name(engine, options, options.args[:1])
    one = compose_project.one_container(existing.find(engine, name), options.args[0], options["index"])
    if not one.runs:
        raise PodError(f'service "{options.args[0]}" is not running', hint="'pod compose up -d' starts it")
    words = [f"--env={text}" for text in options["env"]]
    words += [f"--{flag}={options[flag]}" for flag in ("user", "workdir") if options[flag]]
    words += [f"--{flag}" for flag in ("detach", "privileged") if options[flag]]
    terminal = os.isatty(0) and os.isatty(1)
    tty = options["tty"] and not options["no-tty"] and terminal
    if not options["detach"]:
        words += ["--interactive"] if options["interactive"] else []
        words += ["--tty"] if tty else []
    return int(executing.main(engine, parse(executing.COMMAND, [*words, one.id, *options.args[1:]])))
