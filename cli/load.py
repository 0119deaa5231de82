"""``pod load``: docker/cli: image load."""

from __future__ import annotations

import os
import sys

from pod.cli import output
from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "load",
    "[OPTIONS]",
    "Load an image from a tar archive or STDIN",
    (
        ("input", "i", "string", "Read from tar archive file, instead of STDIN"),
        ("platform", "", "stringSlice", "Load only the given platform(s), as os[/arch[/variant]]"),
        ("quiet", "q", "bool", "Suppress the load output"),
    ),
    max_args=0,
    aliases=("pod image load", "pod load"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.core.image import load

    path = options["input"]
    if path:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise PodError(f"open {path}: {(error.strerror or 'failed').lower()}") from None
    elif sys.stdin is None or sys.stdin.isatty():
        raise PodError("requested load from stdin, but stdin is empty", hint="name an archive: pod load -i FILE")
    else:
        fd = sys.stdin.fileno()
    for loaded in load.load(engine, fd, path or "standard input", options["platform"]):
        if loaded.replaced:
            moved = f"renaming the old one with ID {loaded.replaced} to empty string"
            output.line(f"The image {loaded.name} already exists, {moved}")
        output.line(f"Loaded image: {loaded.name}" if loaded.name else f"Loaded image ID: {loaded.image.id}")
    return 0
