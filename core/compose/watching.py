"""develop.watch: what changed below the watched paths, by looking again and again: pure but for the looking.

Looking, not inotify: it works on every file system, network ones too, and needs no limit of the host's raised.
"""

from __future__ import annotations

import os
import stat

from pod.core.errors import PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.compose.project import Project

    Snapshot = dict[str, tuple[int, int]]

MOST_FILES = 200_000
ACTIONS = ("sync", "rebuild", "restart", "sync+restart")
_ALWAYS_IGNORED = (".git", "**/.DS_Store", "**/*.swp", "**/*~", "**/4913")


class Rule:
    """One entry of develop.watch. ``service`` has it."""

    def __init__(self, service: str, entry: Mapping[str, Any], ignored: list[str]) -> None:
        from pod.core.builder.ignore import Ignore

        self.service = service
        self.path = str(entry.get("path") or "").rstrip("/") or "/"
        self.action = str(entry.get("action") or "")
        self.target = str(entry.get("target") or "")
        if self.action not in ACTIONS:
            raise UsageError(
                f"service {service}: develop.watch: unknown action {self.action!r}", hint=", ".join(ACTIONS)
            )
        if "sync" in self.action and not self.target.startswith("/"):
            raise UsageError(f"service {service}: develop.watch: target is required for action {self.action}")
        if not os.path.exists(self.path):
            raise PodError(f"service {service}: develop.watch: no such path: {self.path}")
        self._ignore = Ignore([*_ALWAYS_IGNORED, *ignored, *(entry.get("ignore") or [])])

    def wanted(self, relative: str) -> bool:
        """Whether a change of that path, relative to the watched one, counts."""
        return not relative or not self._ignore.excluded(relative)

    def look(self) -> Snapshot:
        """Every file below the path by what tells a change of it. PodError where there are too many."""
        found: Snapshot = {}
        try:
            status = os.stat(self.path)
        except OSError:
            return found
        if not stat.S_ISDIR(status.st_mode):
            found[""] = (status.st_mtime_ns, status.st_size)
            return found
        todo = [""]
        while todo:
            folder = todo.pop()
            try:
                entries = list(os.scandir(f"{self.path}/{folder}"))
            except OSError:
                continue
            for entry in entries:
                self._note(entry, f"{folder}/{entry.name}" if folder else entry.name, found, todo)
            if len(found) + len(todo) > MOST_FILES:
                raise PodError(
                    f"service {self.service}: develop.watch: {self.path}: more than {MOST_FILES} files",
                    hint="name a smaller path, or leave some out with 'ignore'",
                )
        return found

    def _note(self, entry: os.DirEntry[str], relative: str, found: Snapshot, todo: list[str]) -> None:
        if entry.is_dir(follow_symlinks=False):
            if not self._ignore.excluded(relative) or self._ignore.may_hold(relative):
                todo.append(relative)
        elif self.wanted(relative):
            try:
                status = entry.stat(follow_symlinks=False)
            except OSError:
                return
            found[relative] = (status.st_mtime_ns, status.st_size)

    def place(self, relative: str) -> str:
        """Where that file goes in the container."""
        return f"{self.target.rstrip('/')}/{relative}" if relative else self.target


def rules(project: Project, names: list[str]) -> list[Rule]:
    """Of those services, or of all."""
    found = []
    for name in names or sorted(project.services):
        service = project.services[name]
        for entry in (service.get("develop") or {}).get("watch") or []:
            found.append(Rule(name, entry, _ignored(service)))
    return found


def _ignored(service: Mapping[str, Any]) -> list[str]:
    """What the build's .dockerignore leaves out."""
    from pod.core.builder import ignore

    context = str((service.get("build") or {}).get("context") or "")
    try:
        with open(context + "/.dockerignore", "rb") as file:
            return ignore.read(file.read(1 << 20))
    except OSError:
        return []


def changes(before: Snapshot, now: Snapshot) -> tuple[list[str], list[str]]:
    """(made or changed, gone)."""
    return sorted(name for name in now if before.get(name) != now[name]), sorted(set(before) - set(now))
