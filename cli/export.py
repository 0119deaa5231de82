"""``pod export``."""

from __future__ import annotations

import os
import sys

from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.container.model import Container
    from pod.core.engine import Engine

COMMAND = Command(
    "export",
    "[OPTIONS] CONTAINER",
    "Export a container's filesystem as a tar archive",
    (("output", "o", "string", "Write to a file, instead of STDOUT"),),
    min_args=1,
    max_args=1,
    aliases=("pod container export", "pod export"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.core.container import cp, export, store

    path = options["output"]
    if not path:
        if sys.stdout.isatty():
            raise PodError("cowardly refusing to save to a terminal. Use the -o flag or redirect")
        sys.stdout.flush()
        export.export(engine, store.find(engine, options.args[0]), sys.stdout.fileno())
        return 0
    try:
        cp.check_output(path)
    except PodError as error:
        raise PodError(f"failed to export container: {error.message}", hint=error.hint) from None
    if os.path.isdir(path):
        raise PodError(f"failed to export container: {path} is a directory", hint="name a file")
    container = store.find(engine, options.args[0])
    _to_file(engine, container, path)
    return 0


def _to_file(engine: Engine, container: Container, path: str) -> None:
    """The whole archive under its name, or nothing."""
    from pod.core.container import export

    temporary = f"{path}.{os.getpid()}.part"
    try:
        descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise PodError(f"failed to export container: {path}: {(error.strerror or 'failed').lower()}") from None
    try:
        export.export(engine, container, descriptor)
        os.rename(temporary, path)
    except BaseException:
        os.unlink(temporary)
        raise
    finally:
        os.close(descriptor)
