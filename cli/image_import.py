"""``pod import``: docker/cli: image import."""

from __future__ import annotations

import os
import sys

from pod.cli import output
from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pod.cli.options import Options
    from pod.core.engine import Engine
    from pod.core.image.store import Image

COMMAND = Command(
    "import",
    "[OPTIONS] file|URL|- [REPOSITORY[:TAG]]",
    "Import the contents from a tarball to create a filesystem image",
    (
        ("change", "c", "list", "Apply Dockerfile instruction to the created image"),
        ("message", "m", "string", "Set commit message for imported image"),
        ("platform", "", "string", "Set platform if server is multi-platform capable"),
    ),
    min_args=1,
    max_args=2,
    aliases=("pod image import", "pod import"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.core.image import importing

    source = options.args[0]
    name = importing.check_name(options.args[1] if len(options.args) > 1 else "")

    def make(fd: int, shown: str, check: Callable[[], None] = lambda: None) -> Image:
        return importing.import_archive(
            engine, fd, shown, name=name, edits=options["change"], message=options["message"],
            platform=options["platform"], check=check,
        )  # fmt: skip

    if source == "-":
        if sys.stdin is None or sys.stdin.isatty():
            raise PodError("requested import from stdin, but stdin is a terminal", hint="redirect an archive to it")
        image = make(sys.stdin.fileno(), "-")
    elif importing.is_url(source):
        with importing.Download(engine, source) as download:
            image = make(download.fd, source, download.check)
    else:
        try:
            fd = os.open(source, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise PodError(f"open {source}: {(error.strerror or 'failed').lower()}") from None
        image = make(fd, "-")  # As in Docker's history, whose daemon knows no more of it.
    output.line(image.id)
    return 0
