"""``pod manifest``: the group; docker/cli: manifest."""

from __future__ import annotations

from pod.cli.options import Command

COMMAND = Command("manifest", "COMMAND", "Manage image manifests and manifest lists")

COMMANDS: dict[str, tuple[str, str]] = {
    "annotate": ("manifest_annotate", "Add additional information to a local image manifest"),
    "create": ("manifest_create", "Create a local manifest list for annotating and pushing to a registry"),
    "inspect": ("manifest_inspect", "Display an image manifest, or manifest list"),
    "push": ("manifest_push", "Push a manifest list to a repository"),
    "rm": ("manifest_rm", "Delete one or more manifest lists from local storage"),
}
"""See cli/main.py."""
