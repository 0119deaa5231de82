"""`pod history`: how an image was made, newest step first, as its configuration tells it (image-spec config.md).

What the configuration tells is a stranger's word: texts may be anything, times may be none, and the steps that made a
layer may be more or fewer than there are layers.
"""

from __future__ import annotations

from pod.core import moments
from pod.core.image.sizes import Sizes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.store import Image

MISSING = "<missing>"
MAX_STEPS = 10000
"""Steps that are shown at most, the newest; of an image that people made no more than a few hundred are known."""


class Step:
    """One step. ``id``: the image's for the newest, else "<missing>". ``created``: nanoseconds since 1970 or None.

    ``size``: bytes of the layer, 0 for a step without one, None where the layer is not extracted.
    """

    __slots__ = ("comment", "created", "created_by", "id", "size")

    def __init__(self, id: str, created: int | None, created_by: str, size: int | None, comment: str) -> None:
        self.id = id
        self.created = created
        self.created_by = created_by
        self.size = size
        self.comment = comment


def steps(engine: Engine, image: Image) -> list[Step]:
    """The newest MAX_STEPS steps. Layers of which no step tells have one each, above those that are told of."""
    config = image.config(engine)
    told = config.get("history")
    told = told if isinstance(told, list) else []
    sizes = Sizes(engine)
    layers = iter(image.record["layers"])
    found: list[Step] = []
    for entry in told:
        entry = entry if isinstance(entry, dict) else {}
        layer = None if entry.get("empty_layer") is True else next(layers, None)
        size = 0 if layer is None else sizes.of_layer(layer)
        created = moments.instant(entry.get("created"))
        found.append(Step(MISSING, created, _text(entry, "created_by"), size, _text(entry, "comment")))
    found += [Step(MISSING, None, "", sizes.of_layer(layer), "") for layer in layers]
    found = found[-MAX_STEPS:]
    if found:
        found[-1].id = image.id
    found.reverse()
    return found


def _text(entry: dict[str, Any], key: str) -> str:
    value = entry.get(key)
    return value if isinstance(value, str) else ""
