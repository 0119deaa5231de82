"""Layers that steps of builds made, and the base images that builds at work stand on: both are kept like images' own.

    builder/cache/<key, 64 hex>   {"version":1, "layer":{digest, mediaType, size, diffID, chainID, unpacked} or null,
                                   "created":<RFC 3339>, "description":<what the step was>}
                                   its mtime is its last use, to a day
    builder/holds/<hex of image id>.<mark>.<pid>   a build of that process uses the image

A record is published after its blob, under the lock of who publishes images (store.collection_lock).
"""

from __future__ import annotations

import os
import time

from pod.core import rundir, statefile, storedir
from pod.core.errors import StoreCorrupt
from pod.core.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from pod.core.engine import Engine

_USE_NOTED = 3600.0
"""Seconds for which a use is not noted again."""


def path_of(engine: Engine, key: str) -> str:
    return f"{engine.paths.build_cache}/{key}"


def read(engine: Engine, key: str) -> dict[str, Any] | None:
    """The record of that key; None for none, and for one that cannot be read, which is none."""
    try:
        found = statefile.read(path_of(engine, key))
    except (FileNotFoundError, StoreCorrupt):
        return None
    return found if _sound(found) else None


def _sound(record: dict[str, Any]) -> bool:
    layer = record.get("layer")
    if not isinstance(record.get("created"), str) or not isinstance(layer, (dict, type(None))):
        return False
    if layer is None:
        return True
    hexes = [layer.get(name) for name in ("digest", "diffID", "chainID")]
    good = all(isinstance(one, str) and one.startswith("sha256:") and digests.is_hex(one[7:]) for one in hexes)
    return good and isinstance(layer.get("size"), int) and isinstance(layer.get("mediaType"), str)


def write(engine: Engine, key: str, record: dict[str, Any]) -> None:
    """Publishes it; the caller holds the lock of who publishes."""
    os.makedirs(engine.paths.build_cache, 0o700, exist_ok=True)
    statefile.write(path_of(engine, key), record)


def note_use(engine: Engine, key: str) -> None:
    """Notes it in the record's time; a store that cannot be written stays as it is."""
    path = path_of(engine, key)
    try:
        if abs(time.time() - os.stat(path).st_mtime) > _USE_NOTED:
            os.utime(path)
    except OSError:
        return


def keys(engine: Engine) -> list[str]:
    """Of all records."""
    return [name for name in storedir.names(engine.paths.build_cache) if len(name) == 64 and digests.is_hex(name)]


def layers(engine: Engine) -> Iterator[dict[str, Any]]:
    """The layers of all records."""
    for key in keys(engine):
        record = read(engine, key)
        if record is not None and record["layer"] is not None:
            yield record["layer"]


def hold(engine: Engine, image_id: str, pid: int) -> str:
    """Keeps the image until :func:`let_go` of the path that it returns, or until the process ``pid`` has ended."""
    folder = engine.paths.build_holds
    os.makedirs(folder, 0o700, exist_ok=True)
    path = f"{folder}/{image_id[7:]}.{engine.host.mark}.{pid}"
    os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600))
    return path


def let_go(path: str) -> None:
    """Ends a hold. One that cannot be removed ends with the process that it names."""
    try:
        os.unlink(path)
    except OSError:
        return


def let_all_go(engine: Engine) -> None:
    """Ends all holds of this process."""
    for name in storedir.names(engine.paths.build_holds):
        if name.partition(".")[2] == f"{engine.host.mark}.{os.getpid()}":
            let_go(f"{engine.paths.build_holds}/{name}")


def held(engine: Engine) -> set[str]:
    """Ids of the images that builds at work stand on; holds of processes that are gone are removed."""
    found: set[str] = set()
    for name in storedir.names(engine.paths.build_holds):
        image, _, maker = name.partition(".")
        path = f"{engine.paths.build_holds}/{name}"
        if rundir.is_litter(engine, path, maker):
            let_go(path)
        else:
            found.add("sha256:" + image)
    return found


def are_left(engine: Engine) -> bool:
    """Whether a build that was ended has left a hold, or the folder of a step: the next one collects them."""
    for folder in (engine.paths.build_holds, engine.paths.build_work):
        for name in storedir.names(folder):
            if rundir.is_litter(engine, f"{folder}/{name}", name.partition(".")[2]):
                return True
    return False
