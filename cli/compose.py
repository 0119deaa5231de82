"""``pod compose``: the group, and the flags between it and its command; docker/compose: cmd/compose."""

from __future__ import annotations

from pod.cli.options import Command, Options, parse
from pod.core.errors import UsageError

FLAGS = (
    ("all-resources", "", "bool", "Include all resources, even those not used by services"),
    ("ansi", "", "string", 'Control when to print ANSI control characters ("never"|"always"|"auto")', "auto"),
    ("compatibility", "", "bool", "", None, True),
    ("dry-run", "", "bool", "Show what would be done, and do nothing"),
    ("env-file", "", "stringArray", "Specify an alternate environment file"),
    ("file", "f", "stringArray", "Compose configuration files"),
    ("parallel", "", "int", "Control max parallelism, -1 for unlimited", -1),
    ("profile", "", "stringArray", "Specify a profile to enable"),
    ("progress", "", "string", "Set type of progress output (auto, tty, plain, json, quiet)"),
    ("project-directory", "", "string", "Specify an alternate working directory (default: that of the first file)"),
    ("project-name", "p", "string", "Project name"),
    ("version", "v", "bool", "Show the Compose version that this is like"),
    ("workdir", "", "string", "", None, True),
    ("verbose", "", "bool", "", None, True),
)

COMMAND = Command("compose", "[OPTIONS] COMMAND", "Whole applications from one file", FLAGS, interspersed=False)

COMMANDS: dict[str, tuple[str, str] | tuple[str, str, tuple[str, ...]]] = {
    "config": ("compose_config", "Parse, resolve and render compose file in canonical format"),
    "convert": ("compose_config", ""),
}
"""See cli/main.py: an empty summary marks another spelling."""

_ANSI = ("never", "always", "auto")
_PROGRESS = ("", "auto", "tty", "plain", "json", "quiet")


def begin(argv: list[str]) -> tuple[Options, list[str]]:
    """Takes the group's own flags from the front; (those, what is left). UsageError names one that cannot be."""
    options = parse(COMMAND, argv, path="pod compose")
    rest = options.args
    if options["help"]:
        return options, ["--help"]
    if options["version"]:
        return options, ["version"]
    if options["compatibility"]:
        raise UsageError(
            "--compatibility: names with underscores are those of Compose before version 2",
            hint="leave it out; 'container_name' gives a container the name that you want",
        )
    if options["ansi"] not in _ANSI:
        raise UsageError(f"invalid value for --ansi: {options['ansi']}", hint="never, always or auto")
    if options["progress"] not in _PROGRESS:
        raise UsageError(f"unsupported --progress value {options['progress']!r}", hint=", ".join(_PROGRESS[1:]))
    if options["workdir"] and not options["project-directory"]:
        options.values["project-directory"] = options["workdir"]
    return options, rest
