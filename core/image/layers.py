"""Extracted layers: layers/<map>/<hex of chainID>/{diff,owners,done}, and which of them a container stacks.

Warm path: when all is there, a stat or two each; image/unpacking makes what is missing.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.image.store import Image
    from pod.core.runtime.userns import IdMap


def ensure(engine: Engine, image: Image, idmap: IdMap | None = None) -> list[str]:
    """The folders {diff,owners,done} of the image's layers, base first, extracted where they are missing.

    Layers below one whose root is opaque are left out: overlayfs does not look for the mark there.
    DigestMismatch where a blob does not unpack to its diffID, StoreCorrupt where a blob is missing.
    """
    if idmap is None:
        idmap = engine.idmap
    found: list[str] = []
    for layer in image.record["layers"]:
        path = engine.paths.layer(idmap.key, layer["chainID"])
        if not is_done(path):
            from pod.core.image import unpacking

            unpacking.extract(engine, layer, idmap)
        if os.path.exists(path + "/opaque"):
            found.clear()
        found.append(path)
    return found


def is_done(path: str) -> bool:
    """Whether the layer folder ``path`` is complete."""
    try:
        os.stat(path + "/done")
    except OSError:
        return False
    return True


def ensure_flat(engine: Engine, image: Image, idmap: IdMap | None = None) -> str:
    """The folder {diff,done} of one plain tree with all layers applied: the root where overlay is refused.

    ``diff`` is built once for each chain and shared read-only; the layers' own owners records stay beside their trees.
    """
    if idmap is None:
        idmap = engine.idmap
    folders = ensure(engine, image, idmap)
    chain = image.chain_ids[-1][7:] if image.chain_ids else "empty"
    path = f"{engine.paths.layers(idmap.key)}/flat-{chain}"
    if not is_done(path):
        from pod.core.image import unpacking

        unpacking.flatten(engine, folders, idmap, path)
    return path
