"""``pod volume``: the group; docker/cli: cmd_volume."""

from __future__ import annotations

from pod.cli.options import Command

COMMAND = Command("volume", "COMMAND", "Manage volumes")

COMMANDS: dict[str, tuple[str, str]] = {
    "create": ("volume_create", "Create a volume"),
    "inspect": ("volume_inspect", "Display detailed information on one or more volumes"),
    "ls": ("volume_ls", "List volumes"),
    "list": ("volume_ls", ""),
    "prune": ("volume_prune", "Remove unused local volumes"),
    "rm": ("volume_rm", "Remove one or more volumes"),
    "remove": ("volume_rm", ""),
    "update": ("volume_update", ""),
}
"""See cli/main.py: an empty summary marks another spelling."""
