"""What dead pulls left half made: found by the lock that the living hold, removed by the next pull.

    blobs/sha256/.gone-…     what a killed rmi was about to unlink
    blobs/sha256/.load-…     a folder, flock held by load or import, which spools a stream there
    blobs/sha256/.part-…     flock held by blobs.Writer; a dead one's is kept for a day, for the next pull to go on with
    layers/<map>/.…          flock held by who extracts
    refs/.…, images/.…, manifests/.…, builder/cache/.…, cache/seccomp/.…, cache/compressed/.…, cache/builds/.…,
                             .index.json.…
                             temporary files of statefile.write, which live for microseconds
"""

from __future__ import annotations

import os

from pod.core import storedir
from pod.core.image import blobs, spool, trash

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from pod.core.engine import Engine

GRACE = 60.0
"""Seconds in which something without a lock is left alone: its maker may be about to lock it."""
PART_AGE = 86400.0
"""The same for the beginning of a blob, which the next pull of it goes on with."""


def collect(engine: Engine) -> int:
    """Removes them and returns how many there were. Never waits, never fails for what others removed first."""
    removed = 0
    paths = engine.paths
    caches = (f"{paths.root}/cache/seccomp", f"{paths.root}/cache/compressed", f"{paths.root}/cache/builds")
    folders = (paths.blobs, paths.refs, paths.images, paths.manifests, paths.build_cache, *caches)
    for folder in folders:
        for path in _hidden(folder):
            if path.startswith(f"{paths.blobs}/{spool.PREFIX}"):
                removed += _if_dead(path, os.O_DIRECTORY, GRACE, spool.remove)
                continue
            part = path.startswith(f"{paths.blobs}/{blobs.TEMPORARY}")
            removed += _if_dead(path, 0, PART_AGE if part else GRACE, os.unlink)
    root = paths.layers("").rstrip("/")
    collect_files(paths.root, ".index.json.")
    for key in storedir.own_names(root):
        for path in _hidden(f"{root}/{key}"):
            removed += _if_dead(
                path, os.O_DIRECTORY, GRACE, lambda path: trash.discard(engine, path, engine.idmap)
            )
    return removed


def collect_files(folder: str, prefix: str) -> None:
    """Removes the temporary files of writers of one record who were killed."""
    for path in _hidden(folder):
        if path.startswith(f"{folder}/{prefix}"):
            _if_dead(path, 0, GRACE, os.unlink)


def _hidden(folder: str) -> Iterator[str]:
    return (f"{folder}/{name}" for name in storedir.own_names(folder) if name.startswith("."))


def _if_dead(path: str, flags: int, age: float, remove: Callable[[str], None]) -> bool:
    """Removes it if it is old enough and nobody holds its lock; the lock is ours meanwhile."""
    import fcntl
    import time

    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK | flags)
    except OSError:
        return False
    try:
        since = time.time() - os.fstat(fd).st_mtime
        if since < age:
            return False
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False  # Its maker lives.
        except OSError:
            if since < PART_AGE:
                return False  # No locks here: time alone tells.
        remove(path)
    except OSError:
        return False  # Somebody was faster.
    finally:
        os.close(fd)
    return True
