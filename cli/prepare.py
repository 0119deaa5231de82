"""What the helper asks for in $POD_PREPARED (ext/src/helper/prepared.h) before ``run`` or ``exec`` does its work: a
mark where these words came first, a record of the second time.
"""

from __future__ import annotations

import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.options import Options
    from pod.core.engine import Engine


def begin(engine: Engine, options: Options, *, named: bool = False) -> Engine:
    """The engine to go on with: one that is watched where this is to be recorded. ``named``: by --name.

    The words are the command line up to its first argument, the image or the container.
    """
    hint = engine.environ.pop("POD_PREPARED", "")
    if hint[17:18] != "/" or sys.argv[1:2] not in (["run"], ["exec"]):
        return engine  # nobody asks, or not the helper
    from pod.core.runtime import launch

    words = sys.argv[1 : len(sys.argv) - len(options.args) + 1]
    path = launch.prepared_path(hint, words, has_args=len(options.args) > 1)
    if hint[0] == "r":
        from pod.core.container import prepared

        return prepared.Recorder(path, words, options.args[1:], named=named).begin(engine)
    _mark(path)
    return engine


def _mark(path: str) -> None:
    """Leaves word that these words came once. A cache that cannot be written is no failure."""
    folder = path.rpartition("/")[0]
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except OSError:
        if not os.path.isdir(folder):  # a cleaner of temporary files took it
            try:
                os.mkdir(folder, 0o700)
            except OSError:
                return
    if path[-1] == "0":
        from pod.core.container import prepared_file

        prepared_file.prune(folder)
