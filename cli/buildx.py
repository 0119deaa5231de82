"""``pod buildx``: what of Docker's plugin makes sense without a daemon; the rest is refused by name."""

from __future__ import annotations

from pod.cli.options import Command

COMMAND = Command("buildx", "COMMAND", "Builds, under the name of Docker's plugin")

COMMANDS: dict[str, tuple[str, str] | tuple[str, str, tuple[str, ...]]] = {
    "bake": ("buildx_refused", "", ("bake",)),
    "b": ("build", ""),
    "build": ("build", "Build an image from a Dockerfile"),
    "create": ("buildx_refused", "", ("create",)),
    "dial-stdio": ("buildx_refused", "", ("dial-stdio",)),
    "debug": ("buildx_refused", "", ("debug",)),
    "du": ("builder_du", "Disk usage of the build cache"),
    "history": ("buildx_refused", "", ("history",)),
    "imagetools": ("buildx_refused", "", ("imagetools",)),
    "inspect": ("buildx_refused", "", ("inspect",)),
    "install": ("buildx_refused", "", ("install",)),
    "ls": ("buildx_refused", "", ("ls",)),
    "prune": ("builder_prune", "Remove build cache"),
    "rm": ("buildx_refused", "", ("rm",)),
    "stop": ("buildx_refused", "", ("stop",)),
    "uninstall": ("buildx_refused", "", ("uninstall",)),
    "use": ("buildx_refused", "", ("use",)),
    "version": ("buildx_refused", "", ("version",)),
}
"""See cli/main.py: an empty summary keeps a name out of the group's help."""
