"""``pod image``: the commands on images under their long names."""

from __future__ import annotations

from pod.cli.options import Command

COMMAND = Command("image", "COMMAND", "Manage images")

COMMANDS: dict[str, tuple[str, str] | tuple[str, str, tuple[str, ...]]] = {
    "build": ("later", "", ("build",)),
    "history": ("history", "Show the history of an image"),
    "import": ("later", "", ("import",)),
    "inspect": ("image_inspect", "Display detailed information on one or more images"),
    "list": ("images", ""),
    "load": ("later", "", ("load",)),
    "ls": ("images", "List images"),
    "prune": ("image_prune", "Remove unused images"),
    "pull": ("pull", "Download an image from a registry"),
    "push": ("later", "", ("push",)),
    "remove": ("rmi", ""),
    "rm": ("rmi", "Remove one or more images"),
    "save": ("later", "", ("save",)),
    "tag": ("tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
}
"""See cli/main.py: an empty summary keeps a name out of the group's help."""
