"""The place of load and import for what a stream brings: a hidden folder in the store, locked while its maker lives.

    blobs/sha256/.load-<pid>-<random>/<number>      beside the blobs, so that a file becomes one by a second name
                                     /small         what is small, together

image/leftovers takes away those of the dead.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

PREFIX = ".load-"


def make(engine: Engine) -> tuple[str, int]:
    """A hidden folder beside the store's blobs, and the descriptor that holds its lock."""
    import contextlib
    import fcntl

    folder = f"{engine.paths.blobs}/{PREFIX}{os.getpid()}-{os.urandom(4).hex()}"
    os.mkdir(folder, 0o700)
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # Without flock on this file system its age alone protects it.
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return folder, lock


def remove(folder: str) -> None:
    """Removes the folder with its files; a missing one is fine."""
    import contextlib

    with contextlib.suppress(FileNotFoundError):
        for name in os.listdir(folder):
            with contextlib.suppress(FileNotFoundError):
                os.unlink(f"{folder}/{name}")
        os.rmdir(folder)
