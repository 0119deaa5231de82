"""The tree that tells glibc's loader of the library inside a container's programs (ext/src/core/preload.h).

It is every such container's lowest layer and lies in the store, on the layers' file system: $ROOT/cache/preload, with
nothing in it but etc/ld.so.preload. Made once in a store's life.
"""

from __future__ import annotations

import os

LIST = "/dev/.pod/root.so\n"
"""POD_PAGE_LIBRARY of ext/src/core/page.h."""


def make(tree: str) -> bool:
    """Beside its place and then renamed: nobody sees half of it. Whether it is there; a store that cannot be written
    goes without.
    """
    partial = f"{tree}.{os.getpid()}"
    path = partial + "/etc/ld.so.preload"
    try:
        for folder in (partial, partial + "/etc"):
            os.mkdir(folder)
            os.chmod(folder, 0o755)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o644)
        try:
            os.fchmod(fd, 0o644)
            os.write(fd, LIST.encode())
        finally:
            os.close(fd)
        os.rename(partial, tree)
    except OSError:
        _remove(partial)
    return os.path.exists(tree + "/etc/ld.so.preload")


def _remove(partial: str) -> None:
    for remove, path in ((os.unlink, "/etc/ld.so.preload"), (os.rmdir, "/etc"), (os.rmdir, "")):
        try:
            remove(partial + path)
        except OSError:
            continue
