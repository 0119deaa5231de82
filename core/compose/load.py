"""Compose files to a canonical project."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.compose.project import Project, Request


def load(request: Request) -> Project:
    """Reads, merges, checks and completes the files; ComposeError says file, line and key of what is wrong."""
    raise NotImplementedError
