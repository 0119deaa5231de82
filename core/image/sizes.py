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
            try:
                size = statefile.read(self._engine.paths.layer(key, chain_id) + "/done").get("size")
            except (FileNotFoundError, NotADirectoryError, StoreCorrupt):
                continue
            if isinstance(size, int):
                return size
        return None
