"""``pod builder``: builds and their cache."""

from __future__ import annotations

from pod.cli.options import Command

COMMAND = Command("builder", "COMMAND", "Manage builds")

COMMANDS: dict[str, tuple[str, str] | tuple[str, str, tuple[str, ...]]] = {
    "build": ("build", "Build an image from a Dockerfile"),
    "du": ("builder_du", "Disk usage of the build cache"),
    "prune": ("builder_prune", "Remove build cache"),
}
"""See cli/main.py."""
