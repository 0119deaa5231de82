"""``pod cp``."""

from __future__ import annotations

import sys

from pod.cli.options import Command
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine

COMMAND = Command(
    "cp",
    "[OPTIONS] CONTAINER:SRC_PATH DEST_PATH|-\n       pod cp [OPTIONS] SRC_PATH|- CONTAINER:DEST_PATH",
    "Copy files/folders between a container and the local filesystem",
    (
        ("archive", "a", "bool", "Archive mode (copy all uid/gid information)"),
        ("follow-link", "L", "bool", "Always follow symbol link in SRC_PATH"),
        ("quiet", "q", "bool", "Suppress progress output during copy. Progress output is automatically suppressed"
         " if no terminal is attached"),
    ),
    min_args=2,
    max_args=2,
    aliases=("pod container cp", "pod cp"),
)  # fmt: skip


def main(engine: Engine, options: Options) -> int:
    from pod.cli import output
    from pod.core.container import cp, cp_paths, store

    for name, text in zip(("source", "destination"), options.args):
        if not text:
            raise PodError(f"{name} can not be empty")
    source, source_path = cp_paths.split_argument(options.args[0])
    target, target_path = cp_paths.split_argument(options.args[1])
    if source and target:
        raise PodError("copying between containers is not supported", hint="copy to a folder of the host first, or: "
                       f"pod cp {options.args[0]} - | pod cp - {options.args[1]}")  # fmt: skip
    if not source and not target:
        raise PodError("must specify at least one container source", hint="the form is CONTAINER:PATH")
    container = store.find(engine, source or target)
    follow = options["follow-link"]
    if source and target_path == "-":
        sys.stdout.flush()
        cp.out_archive(engine, container, source_path, sys.stdout.fileno(), follow=follow)
        return 0
    if target and source_path == "-":
        cp.into_archive(engine, container, sys.stdin.fileno(), target_path)
        return 0
    if source:
        copied = cp.out(engine, container, source_path, target_path, follow=follow)
    else:
        copied = cp.into(engine, container, source_path, target_path, follow=follow, archive=options["archive"])
    if not options["quiet"] and ("quiet" in options.given or sys.stdout.isatty()):
        output.line(f"Successfully copied {output.human_size(copied.bytes)} to {copied.path}", sys.stderr)
    return 0
