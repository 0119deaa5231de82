"""What a build that was killed leaves: a step's container that nobody lists (builder/working.py), secrets, holds."""

from __future__ import annotations

import shutil
import time

from pod.core import rundir, statefile, storedir
from pod.core.container import lifecycle, model, secret_files
from pod.core.errors import PodError
from pod.core.image import built_layers

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine


def end(engine: Engine, directory: str) -> None:
    """Ends what runs in the folder of a step, and waits until its supervisor has written that down."""
    try:
        state = statefile.read(directory + "/state.json")
    except (OSError, PodError):
        return
    here = engine.host
    if state.get("status") != "running" or (state.get("machine"), state.get("boot")) != (here.machine, here.boot):
        return
    for name in ("pid", "supervisor"):
        pid, start = int(state.get(name, 0)), int(state.get(name + "Start", 0))
        for _ in range(200):
            if not model.process_lives(pid, start):
                break
            if name == "pid":
                lifecycle.send(pid, start, 9)
            time.sleep(0.01)
        else:
            lifecycle.send(pid, start, 9)


def throw_away(engine: Engine, directory: str, container_id: str) -> None:
    """The folder of a step that is done; the trash is emptied at the end of the build."""
    shutil.rmtree(rundir.container_dir(engine, container_id), ignore_errors=True)
    storedir.into_trash(engine.paths, directory)


def collect(engine: Engine) -> None:
    """Ends and removes what killed builds have left."""
    secret_files.collect(engine)
    built_layers.held(engine)
    for name in storedir.names(engine.paths.build_work):
        container_id, _, maker = name.partition(".")
        path = f"{engine.paths.build_work}/{name}"
        if rundir.is_litter(engine, path, maker):
            end(engine, path)
            throw_away(engine, path, container_id)
