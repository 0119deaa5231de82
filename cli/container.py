"""``pod container``: the commands on containers under their long names."""

from __future__ import annotations

from pod.cli.options import Command

COMMAND = Command("container", "COMMAND", "Manage containers")

COMMANDS: dict[str, tuple[str, str] | tuple[str, str, tuple[str, ...]]] = {
    "attach": ("attach", "Attach local standard input, output, and error streams to a running container"),
    "commit": ("commit", "Create a new image from a container's changes"),
    "cp": ("cp", "Copy files/folders between a container and the local filesystem"),
    "create": ("create", "Create a new container"),
    "diff": ("diff", "Inspect changes to files or directories on a container's filesystem"),
    "exec": ("exec", "Execute a command in a running container"),
    "export": ("export", "Export a container's filesystem as a tar archive"),
    "inspect": ("inspect", "Display detailed information on one or more containers", ("--type", "container")),
    "kill": ("kill", "Kill one or more running containers"),
    "logs": ("logs", "Fetch the logs of a container"),
    "ls": ("ps", "List containers"),
    "list": ("ps", ""),
    "ps": ("ps", ""),
    "pause": ("pause", "Pause all processes within one or more containers"),
    "port": ("port", "List port mappings or a specific mapping for the container"),
    "prune": ("container_prune", "Remove all stopped containers"),
    "rename": ("rename", "Rename a container"),
    "restart": ("restart", "Restart one or more containers"),
    "rm": ("rm", "Remove one or more containers"),
    "remove": ("rm", ""),
    "run": ("run", "Create and run a new container from an image"),
    "start": ("start", "Start one or more stopped containers"),
    "stats": ("stats", "Display a live stream of container(s) resource usage statistics"),
    "stop": ("stop", "Stop one or more running containers"),
    "top": ("top", "Display the running processes of a container"),
    "unpause": ("unpause", "Unpause all processes within one or more containers"),
    "update": ("update", "Update configuration of one or more containers"),
    "wait": ("wait", "Block until one or more containers stop, then print their exit codes"),
}
"""See cli/main.py: an empty summary marks another spelling."""
