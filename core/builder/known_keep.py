"""Writes down what a build came to, so that the same can be answered by builder/known.

Only where every step was in the cache, nothing was fetched, nothing was told besides the build's own events, and where
nothing that was looked at changed since the build began: times of files tell that on file systems of this machine.
"""

from __future__ import annotations

import os
import stat

from pod.core import host_doctor, statefile, storedir
from pod.core.builder import known
from pod.core.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.core.builder.context import Context
    from pod.core.builder.ignore import Ignore
    from pod.core.builder.known import Outcome, Question
    from pod.core.engine import Engine

MOST = 256
"""Records; those used last are kept."""
_EVENTS = 4000
_YOUNG, _YOUNG_COARSE = 100_000_000, 2_100_000_000
"""Nanoseconds. What changed so short before the build may have changed again without its times telling; the second
where the file system counts in seconds.
"""
_LOCAL = frozenset(("ext2", "ext3", "ext4", "xfs", "btrfs", "tmpfs", "ramfs", "overlay", "f2fs", "zfs", "bcachefs"))
"""File systems on which a change shows in the times at once."""


class Watch:
    """One build under way, whose events pass here. ``used``: what its stages told that they take."""

    def __init__(self, engine: Engine, question: Question) -> None:
        self._engine = engine
        self._question = question
        self._progress = engine.progress
        self._events: list[dict[str, Any]] = []
        self._repeats = True
        self._context = False
        self._bases: dict[str, str] = {}
        self._steps: list[list[str]] = []
        self._files: list[list[str]] = []
        self._tree = ""
        self._skipped: list[str] = []
        engine.progress = self._told

    def _told(self, event: str, fields: Mapping[str, Any]) -> None:
        if event == "build" and len(self._events) < _EVENTS:
            self._events.append({**fields, **({"seconds": 0.0} if fields.get("seconds") else {})})
        else:
            self._repeats = False
        self._progress(event, fields)

    def used(self, event: Mapping[str, Any]) -> None:
        """``what``: "image" (``name``, ``id``), "context", "step" (``key``, ``layer``, ``created``), or "new":
        something that was not there before, or need not be the same next time.
        """
        what = event["what"]
        if what == "image":
            self._repeats &= self._bases.setdefault(event["name"], event["id"]) == event["id"]
        elif what == "context":
            self._context = True
        elif what == "step":
            self._steps.append([event["key"], event["layer"], event["created"]])
        else:
            self._repeats = False

    def look(self, context: Context) -> None:
        """At what was read, once the steps are done."""
        try:
            if self._repeats:
                self._look(context)
        except (OSError, ValueError):
            self._repeats = False

    def _look(self, context: Context) -> None:
        question = self._question
        self._files = known.files(question)
        same = os.path.samestat(os.stat(question.context), os.fstat(context.fd))
        if not same or digests.of_small(context.dockerfile) not in [digest for _, digest in self._files]:
            raise ValueError("another file")
        folders = {os.path.dirname(path) or "." for path, _ in self._files}
        there = [path for path, digest in self._files if digest]
        self._settled([os.stat(path) for path in (*folders, *there)])
        if any(host_doctor.file_system(path) not in _LOCAL for path in folders):
            raise ValueError("a file system of others")
        if self._context:
            self._tree = self._walk(question.context, context.ignore)

    def _settled(self, found: list[os.stat_result]) -> None:
        """ValueError where one of them changed since the build began, or shortly before."""
        for st in found:
            coarse = st.st_ctime_ns % 1_000_000_000 == 0
            if st.st_ctime_ns > self._question.began - (_YOUNG_COARSE if coarse else _YOUNG):
                raise ValueError("too young")

    def _walk(self, place: str, ignore: Ignore | None) -> str:
        device = os.stat(place).st_dev
        skips = ignore is not None and bool(ignore) and not any(one.exclusion for one in ignore.patterns)
        skipped: set[str] = set()
        lines = []
        for path, line, st in known.entries(place, skipped):
            if skips and ignore is not None and ignore.excluded(path):
                skipped.add(path)
                continue
            folder = stat.S_ISDIR(st.st_mode)
            self._settled([os.lstat(f"{place}/{path}") if folder else st])  # after its attributes were read
            if st.st_dev != device:
                raise ValueError("several file systems")
            lines.append(line)
        self._settled([os.stat(place)])
        self._skipped = sorted(skipped)
        found = known.digest_of(lines)
        if not found or len(skipped) > known.MAX_ENTRIES:
            raise ValueError("too many files")
        return found

    def keep(self, built: Outcome) -> None:
        """Writes the record, if it is right to; never fails."""
        self._engine.progress = self._progress
        if not self._repeats or built.image is None:
            return
        record = {
            "version": known.VERSION, "image": built.image.id, "manifest": built.manifest_digest, "files": self._files,
            "tree": self._tree, "skipped": self._skipped, "bases": [list(one) for one in self._bases.items()],
            "steps": self._steps, "events": self._events, "warnings": built.warnings,
        }  # fmt: skip
        data = statefile.dumps(record).encode()
        if len(data) > known.MAX_RECORD - 100:
            return
        place = known.folder(self._engine)
        try:
            os.makedirs(place, 0o700, exist_ok=True)
            _prune(place)
            line = digests.of_small(data).encode() + b"\n"
            statefile.write_bytes(f"{place}/{self._question.key}", line + data)
        except OSError:
            return  # a full disk: the next build is as slow as this one


def _prune(place: str) -> None:
    names = [name for name in storedir.names(place) if not name.startswith(".")]
    if len(names) < MOST:
        return
    found = []
    for name in names:
        try:
            found.append((os.lstat(f"{place}/{name}").st_mtime, name))
        except OSError:
            continue
    for _, name in sorted(found)[: len(names) - MOST + 1]:
        try:
            os.unlink(f"{place}/{name}")
        except OSError:
            continue
