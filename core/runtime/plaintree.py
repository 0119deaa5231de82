"""Where there is no overlay: a container's own copy of the flattened image."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.runtime.userns import IdMap


def make(engine: Engine, source: str, target: str, idmap: IdMap) -> None:
    """Copies the tree ``source`` to ``target`` (reflinked where the file system can); appears whole or not at all.

    ``target`` is rootfs in a container's folder. The disk may have it later: image/durable.py.

    With a single id the owners that the image has, a file beside ``source``, lie beside ``target`` as "image-owners"
    until a start with full root emulation has given them to the files (ext/src/emulator/records_copies.c).
    """
    from pod.core.image import durable
    from pod.core.runtime import userns
    from pod.ext.layer import flatten

    temporary = f"{target}.{os.getpid()}"
    os.mkdir(temporary, 0o755)
    source_fd = os.open(source, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    target_fd = os.open(temporary, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)

    def work() -> bytes:
        flatten([source_fd], target_fd)
        return b""

    try:
        userns.call_mapped(engine, idmap, work)
    finally:
        os.close(source_fd)
        os.close(target_fd)
    if idmap.kind == "single":
        owners = os.path.dirname(source) + "/owners"
        with open(owners, "rb") as record, open(os.path.dirname(target) + "/image-owners", "wb") as copy:
            copy.write(record.read())
    durable.mark_tree(engine, os.path.basename(os.path.dirname(target)))
    os.rename(temporary, target)
