"""What was renamed out of sight (storedir.into_trash) is removed: at once, or in the background; what a kill leaves is
removed by the next ``ps`` or ``rm``.
"""

from __future__ import annotations

import os

from pod.core import background, storedir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.runtime.userns import IdMap


def empty(engine: Engine) -> None:
    """Removes what lies in the trash."""
    for name in storedir.own_names(engine.paths.trash):
        remove_tree(engine, f"{engine.paths.trash}/{name}", engine.idmap)


def empty_later(engine: Engine) -> None:
    """:func:`empty` in the background."""
    if storedir.own_names(engine.paths.trash):
        background.run(lambda: empty(engine))


def discard(engine: Engine, path: str, idmap: IdMap) -> None:
    """Takes a folder of the store out of sight at once, then removes it. A missing one is fine."""
    target = storedir.into_trash(engine.paths, path)
    if target:
        remove_tree(engine, target, idmap)


def remove_tree(engine: Engine, path: str, idmap: IdMap) -> None:
    """Removes a tree whose owners may be any ids of the map: with a range in the user's mapped namespace."""
    from pod.core.runtime import userns
    from pod.ext.layer import rmtree

    folder, _, name = path.rpartition("/")
    parent = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
    try:

        def work() -> bytes:
            rmtree(parent, name)
            return b""

        userns.call_mapped(engine, idmap, work)
    finally:
        os.close(parent)
