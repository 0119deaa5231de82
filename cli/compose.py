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
    "attach": (
        "compose_attach",
        "Attach local standard input, output, and error streams to a service's running container",
    ),
    "build": ("compose_build", "Build or rebuild services"),
    "commit": ("compose_commit", "Create a new image from a service container's changes"),
    "config": ("compose_config", "Parse, resolve and render compose file in canonical format"),
    "convert": ("compose_config", ""),
    "cp": ("compose_cp", "Copy files/folders between a service container and the local filesystem"),
    "create": ("compose_create", "Creates containers for a service"),
    "down": ("compose_down", "Stop and remove containers, networks"),
    "events": ("compose_events", "Receive real time events from containers"),
    "exec": ("compose_exec", "Execute a command in a running container"),
    "export": ("compose_export", "Export a service container's filesystem as a tar archive"),
    "export-bundle": ("compose_export_bundle", "Write the application as one file, with its images and configs"),
    "images": ("compose_images", "List images used by the created containers"),
    "kill": ("compose_kill", "Force stop service containers"),
    "logs": ("compose_logs", "View output from containers"),
    "ls": ("compose_ls", "List running compose projects"),
    "pause": ("compose_pause", "Pause services"),
    "port": ("compose_port", "Print the public port for a port binding"),
    "ps": ("compose_ps", "List containers"),
    "pull": ("compose_pull", "Pull service images"),
    "push": ("compose_push", "Push service images"),
    "restart": ("compose_restart", "Restart service containers"),
    "rm": ("compose_rm", "Removes stopped service containers"),
    "run": ("compose_run", "Run a one-off command on a service"),
    "scale": ("compose_scale", "Scale services"),
    "start": ("compose_start", "Start services"),
    "stats": ("compose_stats", "Display a live stream of container(s) resource usage statistics"),
    "stop": ("compose_stop", "Stop services"),
    "top": ("compose_top", "Display the running processes"),
    "unpause": ("compose_unpause", "Unpause services"),
    "up": ("compose_up", "Create and start containers"),
    "version": ("compose_version", "Show the version of Compose that this is like, and of pod"),
    "volumes": ("compose_volumes", "List volumes"),
    "wait": ("compose_wait", "Block until containers of all (or specified) services stop."),
    "watch": ("compose_watch", "Watch build context for service and rebuild/refresh containers when files are updated"),
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
        raise UsageError(
            f"unsupported --progress value {options['progress']!r}", hint="auto, tty, plain, json or quiet"
        )
    if options["workdir"] and not options["project-directory"]:
        options.values["project-directory"] = options["workdir"]
    return options, rest
