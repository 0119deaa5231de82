"""``pod system``: the commands on the engine itself."""

from __future__ import annotations

from pod.cli.options import Command

COMMAND = Command("system", "COMMAND", "Manage pod")

COMMANDS: dict[str, tuple[str, str] | tuple[str, str, tuple[str, ...]]] = {
    "autostart": ("autostart", "Start the containers that should run after a login or a reboot"),
    "df": ("system_df", "Show disk usage of the store"),
    "events": ("events", "Get real time events from the store"),
    "gc": ("system_gc", "Remove images that are not used, the least recently used first, down to a size of the store"),
    "info": ("info", "Display what pod found on this host and in its store"),
    "prune": ("system_prune", "Remove unused data"),
    "reset": ("system_reset", "Stop all containers and remove the whole store"),
}
"""See cli/main.py."""
