"""The store's folders and its marker.

VERSION holds the layout's number and says by its presence that the folder is pod's: ``system reset`` removes nothing
without it.
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import HostUnsupported, StoreCorrupt
from pod.core.paths import STORE_FORMAT, check_place

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.paths import Paths

LEAVING = ".reset"
"""VERSION's name once ``system reset`` has left nothing but empty folders: who needs a store then makes a new one."""


def prepare(paths: Paths) -> None:
    """Makes what is missing, every folder 0700. Idempotent; one read where all is there.

    StoreCorrupt for a layout of a newer pod, HostUnsupported where the store cannot be written.
    """
    try:
        data = statefile.read_bytes(paths.version, 64)
        if data.strip(b"\0"):
            check_version(data, paths)
            return  # else cut by a crash of the machine, right after the store was made
    except FileNotFoundError:
        pass
    except OSError as error:
        raise _cannot_make(paths, error) from None
    folders = (
        paths.root, paths.root + "/blobs", paths.blobs, paths.refs, paths.images, paths.root + "/layers",
        paths.containers, paths.names, paths.volumes, paths.networks, paths.cache, paths.trash,
    )  # fmt: skip
    try:
        os.makedirs(os.path.dirname(paths.root), exist_ok=True)
        for folder in folders:
            try:
                os.mkdir(folder, 0o700)
            except FileExistsError:
                continue
        check_place(paths.root)  # somebody may have been quicker
        _forget_reset(paths)
        statefile.write_bytes(paths.version, f"{STORE_FORMAT}\n".encode())
    except OSError as error:
        raise _cannot_make(paths, error) from None


def _forget_reset(paths: Paths) -> None:
    """The mark of a reset that was killed; before VERSION is there, which is when nobody comes here any more."""
    try:
        os.unlink(f"{paths.root}/{LEAVING}")
    except FileNotFoundError:
        pass


def _cannot_make(paths: Paths, error: OSError) -> HostUnsupported:
    return HostUnsupported(
        f"make the store: {paths.root}: {(error.strerror or 'failed').lower()}",
        hint="set POD_ROOT (or --root) to a folder that you can write",
    )


def names(folder: str) -> list[str]:
    """What lies in a folder of the store, in no order; [] where it is missing."""
    try:
        return os.listdir(folder)
    except (FileNotFoundError, NotADirectoryError):
        return []


def into_trash(paths: Paths, path: str) -> str:
    """Renames a file or folder of the store out of sight; its path in the trash, "" where there is no such thing."""
    target = f"{paths.trash}/{os.urandom(8).hex()}"
    try:
        if not os.path.isdir(paths.trash):
            os.makedirs(paths.trash, 0o700, exist_ok=True)
        os.rename(path, target)
    except (FileNotFoundError, NotADirectoryError):
        return ""
    return target


def own_names(folder: str) -> list[str]:
    """:func:`names`, but none of a folder that is a link: what lies behind it may be another store's."""
    return [] if os.path.islink(folder) else names(folder)


def check_version(data: bytes, paths: Paths) -> None:
    """StoreCorrupt unless ``data`` (the file VERSION) names a layout that this pod knows."""
    text = data.decode("ascii", "replace").strip()
    if not text.isdigit() or int(text) > STORE_FORMAT:
        raise StoreCorrupt(
            f"open store: {paths.root}: its format is {text or 'unknown'}, this pod knows {STORE_FORMAT}",
            hint="use the newer pod that made it, or another store (POD_ROOT)",
        )
