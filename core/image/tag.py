"""`pod tag`: one more name for an image, with Docker's order of checks and their words."""

from __future__ import annotations

from pod.core.errors import InvalidReference
from pod.core.image import store
from pod.core.oci import digest as digests
from pod.core.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.oci.reference import Reference


def tag(engine: Engine, source: str, target: str) -> Reference:
    """Both names are checked before the image is looked for. InvalidReference, NoSuchImage."""
    if not digests.is_hex(source.removeprefix("sha256:")):
        _check(source)
    _check(target)
    return store.tag(engine, source, target)


def _check(name: str) -> None:
    try:
        references.parse(name)
    except InvalidReference as error:
        said = error.message.removesuffix(f": {name}")
        text = f'error parsing reference: "{name}" is not a valid repository/tag: {said}'
        raise InvalidReference(text, hint=error.hint) from None
