"""Unpacked sizes of layers, from what their extraction noted, whatever id map they were extracted for."""

from __future__ import annotations

from pod.core import statefile, storedir
from pod.core.errors import StoreCorrupt

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine


class Sizes:
    """Remembers what it read: layers are asked for again and again."""

    __slots__ = ("_engine", "_keys", "_known")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._keys = sorted(storedir.names(engine.paths.layers("").rstrip("/")))
        self._known: dict[str, int | None] = {}

    def of(self, chain_id: str) -> int | None:
        """Bytes of the layer's tar stream; None where it is extracted for no map."""
        if chain_id not in self._known:
            self._known[chain_id] = self._read(chain_id)
        return self._known[chain_id]

    def _read(self, chain_id: str) -> int | None:
        for key in self._keys:
            size = noted(self._engine.paths.layer(key, chain_id))
            if size is not None:
                return size
        return None


def noted(layer: str) -> int | None:
    """What the extraction of the layer folder ``layer`` noted; None where there is none, or nothing to be read."""
    try:
        size = statefile.read(layer + "/done").get("size")
    except (OSError, StoreCorrupt):
        return None
    return size if isinstance(size, int) else None
