"""An image of the store for a platform that was asked for: --platform of ``history``, ``image inspect``, ``rmi``."""

from __future__ import annotations

from pod.core.errors import NoSuchImage
from pod.core.image import store
from pod.core.oci import platform as platforms
from pod.core.oci.platform import Platform

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pod.core.engine import Engine
    from pod.core.image.store import Image


def resolve(engine: Engine, name: str, wanted: Sequence[str], *, exactly: bool = False) -> Image:
    """The image that ``name`` means; NoSuchImage where it serves none of the ``wanted`` platforms, if any are wanted.

    ``exactly``: it is for one of them, not only fit to be run there.
    """
    parsed = [platforms.parse(text) for text in wanted]
    image = store.resolve(engine, name)
    platform = platform_of(image)
    if parsed and not any(one == platform if exactly else one.rank(platform) is not None for one in parsed):
        raise NoSuchImage(
            f"image with reference {name} was found but its platform ({platform}) does not match the "
            f"specified platform ({', '.join(map(str, parsed))})",
            hint="a name leads to the platform that was pulled last; leave --platform out to take it",
        )
    return image


def platform_of(image: Image) -> Platform:
    """The platform that an image of the store is for."""
    record = image.record
    return Platform(record["os"], record["architecture"], record.get("variant") or "")
