"""What killed makers of volumes left, and shared anonymous volumes that --rm is done with. Looked for by ``ps``."""

from __future__ import annotations

import os
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

_FOREIGN = 3600.0
"""Seconds after which what some other boot's maker left is taken for litter."""


def collect(engine: Engine, names: list[str]) -> None:
    """Puts the leftovers among ``names``, what lies in the folder of volumes, into the trash."""
    litter = [name for name in names if name[:1] == "." and _is_litter(engine, name)]
    released = [name for name in names if name[:1] != "." and os.path.exists(engine.paths.volume(name) + "/released")]
    if not litter and not released:
        return
    from pod.core.volume import remove

    used = remove.users(engine) if released else {}
    for name in litter + [name for name in released if name not in used]:
        if remove.into_trash(engine, engine.paths.volume(name)) and name in released:
            remove.tell(engine, name)


def _is_litter(engine: Engine, name: str) -> bool:
    boot, _, rest = name[1:].partition(".")
    pid = rest.partition(".")[0]
    if boot == engine.host.mark and pid.isdigit():
        return not os.path.exists(f"/proc/{pid}")
    try:
        return time.time() - os.lstat(engine.paths.volume(name)).st_mtime > _FOREIGN
    except FileNotFoundError:
        return False
