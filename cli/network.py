"""``pod network``: the group; docker/cli: cmd_network."""

from __future__ import annotations

from pod.cli.options import Command

COMMAND = Command("network", "COMMAND", "Manage networks")

COMMANDS: dict[str, tuple[str, str]] = {
    "connect": ("network_connect", "Connect a container to a network"),
    "create": ("network_create", "Create a network"),
    "disconnect": ("network_disconnect", "Disconnect a container from a network"),
    "inspect": ("network_inspect", "Display detailed information on one or more networks"),
    "ls": ("network_ls", "List networks"),
    "list": ("network_ls", ""),
    "prune": ("network_prune", "Remove all unused networks"),
    "rm": ("network_rm", "Remove one or more networks"),
    "remove": ("network_rm", ""),
}
"""See cli/main.py: an empty summary marks another spelling."""
