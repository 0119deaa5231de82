"""``pod image``: the commands on images under their long names."""

from __future__ import annotations

from pod.cli.options import Command

COMMAND = Command("image", "COMMAND", "Manage images")

COMMANDS: dict[str, tuple[str, str] | tuple[str, str, tuple[str, ...]]] = {
    "inspect": ("inspect", "Display detailed information on one or more images", ("--type", "image")),
    "ls": ("images", "List images"),
    "list": ("images", ""),
    "pull": ("pull", "Download an image from a registry"),
    "rm": ("rmi", "Remove one or more images"),
    "remove": ("rmi", ""),
    "tag": ("tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
}
"""See cli/main.py: an empty summary marks another spelling."""
