"""Files of secrets for RUN: in memory, in a folder of the caller's whose name says which process it belongs to.

A killed build cannot remove its own; the next one does.
"""

from __future__ import annotations

import contextlib
import os
import shutil

from pod.core import rundir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pod.core.engine import Engine

_PLACE = "/dev/shm"


def _parent(engine: Engine) -> str:
    return _PLACE if os.access(_PLACE, os.W_OK | os.X_OK) else engine.run_dir


def _prefix() -> str:
    return f"pod-secret-{os.geteuid()}-"


@contextlib.contextmanager
def folder(engine: Engine) -> Iterator[str]:
    """A new folder that nobody else may look into; it goes with the context."""
    path = f"{_parent(engine)}/{_prefix()}{os.urandom(8).hex()}.{engine.host.mark}.{os.getpid()}"
    os.mkdir(path, 0o700)
    try:
        yield path
    finally:
        shutil.rmtree(path, ignore_errors=True)


def write(path: str, content: bytes, mode: int) -> None:
    """A new file of that mode."""
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as file:
        file.write(content)
        os.fchmod(file.fileno(), mode)


def collect(engine: Engine) -> None:
    """Removes those of builds that were killed; others' files of such names are left alone."""
    for parent in {_PLACE, engine.run_dir}:
        try:
            names = os.listdir(parent)
        except OSError:
            continue
        for name in names:
            path = f"{parent}/{name}"
            if not name.startswith(_prefix()) or not rundir.is_litter(engine, path, name.partition(".")[2]):
                continue
            with contextlib.suppress(OSError):
                if os.lstat(path).st_uid == os.geteuid():
                    shutil.rmtree(path, ignore_errors=True)
