"""Records that a crash of the machine has cut: renamed into their places, and never written to the disk. Such a file is
empty, full of zeros, or ends in the middle. Looked for by the first command of a boot.

What is lost with one can be had again (a name, an image's record: by a pull) or is nothing that counts any more (the
state of what ran when the machine went down). A container's configuration is on disk before it is published, but for
--rm, which would be gone anyway; a volume without its record has its data and no labels.
"""

from __future__ import annotations

import os
import time

from pod.core import statefile, storedir
from pod.core.errors import StoreCorrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pod.core.engine import Engine

_FRESH = 5.0
"""Seconds in which a file may be somebody's who is about to write it, on another node of a shared home."""
_OF_CONTAINERS = ("state.json", "changes.json", "health.json")


def heal(engine: Engine) -> None:
    """Takes them away, each with a warning; names of containers are made anew from their records."""
    for path in _records(engine):
        if is_lost(path):
            engine.progress("warning", {"text": f"lost in a crash of the machine: {path}"})
            _unlink(path)
    paths = engine.paths
    for container in _whole_names(paths.containers):
        folder = paths.container(container)
        if is_lost(folder + "/config.json"):
            engine.progress("warning", {"text": f"lost in a crash of the machine: {folder}"})
            os.makedirs(paths.trash, 0o700, exist_ok=True)
            os.rename(folder, f"{paths.trash}/{os.urandom(8).hex()}")
    _name_again(engine)


def _records(engine: Engine) -> Iterator[str]:
    paths = engine.paths
    yield from (f"{paths.root}/{name}" for name in ("index.json", "oci-layout"))
    for folder in (paths.refs, paths.images):
        yield from (f"{folder}/{name}" for name in _whole_names(folder))
    for container in _whole_names(paths.containers):
        yield from (f"{paths.container(container)}/{name}" for name in _OF_CONTAINERS)
    for volume in _whole_names(paths.volumes):
        yield paths.volume(volume) + "/volume.json"
    yield from (f"{paths.networks}/{name}" for name in _whole_names(paths.networks) if name.endswith(".json"))


def _whole_names(folder: str) -> list[str]:
    return [name for name in storedir.names(folder) if name[:1] != "."]


def is_lost(path: str) -> bool:
    """Whether there is a file that is no record, and that nobody has just made. One of a newer pod is a record."""
    try:
        statefile.read(path)
    except StoreCorrupt:
        return _is_old(path)
    except OSError:
        return False
    return False


def _is_old(path: str) -> bool:
    try:
        return time.time() - os.lstat(path).st_mtime > _FRESH
    except OSError:
        return False


def _name_again(engine: Engine) -> None:
    """Names whose file lost the id; one that leads to another container is left alone."""
    lost = []
    for name in _whole_names(engine.paths.names):
        path = engine.paths.name(name)
        if len(statefile.read_bytes(path, 4096).strip(b"\0\n ")) != 64 and _is_old(path):
            lost.append(name)
    for container in _whole_names(engine.paths.containers) if lost else ():
        folder = engine.paths.container(container)
        try:
            name = str(statefile.read(folder + "/config.json")["Name"])
            if os.path.exists(folder + "/changes.json"):
                name = str(statefile.read(folder + "/changes.json").get("Name", name))
        except (OSError, KeyError, StoreCorrupt):
            continue
        if name[1:] in lost:
            statefile.write_bytes(engine.paths.name(name[1:]), container.encode() + b"\n")
            lost.remove(name[1:])
    for name in lost:
        _unlink(engine.paths.name(name))


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return
