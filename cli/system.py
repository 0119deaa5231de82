"""``pod system``: the commands on the engine itself."""

from __future__ import annotations

from pod.cli.options import Command

COMMAND = Command("system", "COMMAND", "Manage pod")

COMMANDS: dict[str, tuple[str, str] | tuple[str, str, tuple[str, ...]]] = {
    "autostart": ("autostart", "Start the containers that should run after a login or a reboot"),
    "events": ("events", "Get real time events from the store"),
    "info": ("info", "Display what pod found on this host and in its store"),
}
"""See cli/main.py."""
