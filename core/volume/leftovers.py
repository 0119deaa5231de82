"""What killed makers of volumes left, and shared anonymous volumes that --rm is done with. Looked for by ``ps``."""

from __future__ import annotations

import os

from pod.core import rundir, storedir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine


def collect(engine: Engine, names: list[str]) -> None:
    """Puts the leftovers among ``names``, what lies in the folder of volumes, into the trash."""
    hidden = [name for name in names if name[:1] == "."]
    litter = [name for name in hidden if rundir.is_litter(engine, engine.paths.volume(name), name[1:])]
    released = [name for name in names if name[:1] != "." and os.path.exists(engine.paths.volume(name) + "/released")]
    if not litter and not released:
        return
    from pod.core.volume import remove

    used = remove.users(engine) if released else {}
    for name in litter + [name for name in released if name not in used]:
        if storedir.into_trash(engine.paths, engine.paths.volume(name)) and name in released:
            remove.tell(engine, name)
