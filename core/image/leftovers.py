"""What dead pulls left half made: found by the lock that the living hold, removed by the next pull.

    blobs/sha256/.part-…     flock held by blobs.Writer          layers/<map>/.…    flock held by unpacking.extract
    refs/.…, images/.…       temporary files of statefile.write, which live for microseconds
"""

from __future__ import annotations

import os

from pod.core.image import unpacking

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pod.core.engine import Engine

GRACE = 60.0
"""Seconds in which something without a lock is left alone: its maker may be about to lock it."""


def collect(engine: Engine) -> int:
    """Removes them and returns how many there were. Never waits, never fails for what others removed first."""
    removed = 0
    paths = engine.paths
    for folder in (paths.blobs, paths.refs, paths.images):
        removed += sum(_remove_file(path) for path in _hidden(folder))
    root = paths.layers("").rstrip("/")
    for key in _names(root):
        for path in _hidden(f"{root}/{key}"):
            if _is_dead(path, os.O_DIRECTORY):
                unpacking.discard(engine, path, engine.idmap)
                removed += 1
    return removed


def _names(folder: str) -> list[str]:
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def _hidden(folder: str) -> Iterator[str]:
    return (f"{folder}/{name}" for name in _names(folder) if name.startswith("."))


def _remove_file(path: str) -> bool:
    if not _is_dead(path, 0):
        return False
    try:
        os.unlink(path)
    except OSError:
        return False
    return True


def _is_dead(path: str, flags: int) -> bool:
    """Whether it is old enough and nobody holds its lock."""
    import fcntl
    import time

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | flags)
    except OSError:
        return False
    try:
        if os.fstat(fd).st_mtime > time.time() - GRACE:
            return False
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False  # Its maker lives.
    finally:
        os.close(fd)
    return True
