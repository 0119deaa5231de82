"""``pod image``: the commands on images under their long names."""

from __future__ import annotations

from pod.cli.options import Command

COMMAND = Command("image", "COMMAND", "Manage images")

COMMANDS: dict[str, tuple[str, str] | tuple[str, str, tuple[str, ...]]] = {
    "build": ("build", "Build an image from a Dockerfile"),
    "history": ("history", "Show the history of an image"),
    "import": ("image_import", "Import the contents from a tarball to create a filesystem image"),
    "inspect": ("image_inspect", "Display detailed information on one or more images"),
    "list": ("images", ""),
    "load": ("load", "Load an image from a tar archive or STDIN"),
    "ls": ("images", "List images"),
    "prune": ("image_prune", "Remove unused images"),
    "pull": ("pull", "Download an image from a registry"),
    "push": ("push", "Upload an image to a registry"),
    "remove": ("rmi", ""),
    "rm": ("rmi", "Remove one or more images"),
    "save": ("save", "Save one or more images to a tar archive (streamed to STDOUT by default)"),
    "sign": ("image_signing", "", ("sign",)),
    "tag": ("tag", "Create a tag TARGET_IMAGE that refers to SOURCE_IMAGE"),
    "verify": ("image_signing", "", ("verify",)),
}
"""See cli/main.py: an empty summary keeps a name out of the group's help."""
