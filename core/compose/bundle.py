"""A bundle: an application as one file, an OCI archive whose first member is the compose document (``compose.json``).

``-f`` reads it like any compose file; its services name their images by digest, and what of these is not in the store
comes out of the archive. It is a stranger's file: the document is held within the bounds of compose files, the archive
is read by what ``load`` has.
"""

from __future__ import annotations

import os

from pod.core.errors import ComposeError, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pod.core.engine import Engine

MEMBER = "compose.json"
_BLOCK = 512
_NAME = slice(0, 100)
_SIZE = slice(124, 136)
_MAGIC = slice(257, 262)
"""Fields of a tar's header: POSIX.1-2017, pax, "ustar Interchange Format"."""


def document(descriptor: int, path: str, most: int) -> bytes | None:
    """The compose document of a bundle, from a file that is open; None for a file that is none."""
    try:
        head = os.pread(descriptor, _BLOCK, 0)
    except OSError:
        return None  # A pipe.
    if len(head) < _BLOCK or head[_MAGIC] != b"ustar" or head[_NAME].rstrip(b"\0") != MEMBER.encode():
        return None
    text = head[_SIZE].rstrip(b"\0 ")
    size = int(text, 8) if text.isdigit() and not set(text) & set(b"89") else most + 1
    if size > most:
        raise ComposeError(f"the bundle's {MEMBER} is larger than {most >> 10} KiB", file=path)
    data = os.pread(descriptor, size, _BLOCK)
    if len(data) != size:
        raise ComposeError(f"the bundle ends in its {MEMBER}", file=path, hint="copy it again: it is not whole")
    return data


def images(files: Sequence[str]) -> dict[str, str]:
    """Images that a project's bundles have: names by digest, as services have them, and the bundle of each."""
    import json

    from pod.core.compose import document as documents

    found: dict[str, str] = {}
    for path in files:
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            continue  # Standard input, or gone: who reads it has said so.
        try:
            data = document(descriptor, path, documents.MOST_BYTES)
        finally:
            os.close(descriptor)
        if data is None:
            continue
        try:
            services = json.loads(data)["services"]
            found.update({str(service["image"]): path for service in services.values() if "@" in service["image"]})
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            raise ComposeError(f"the bundle's {MEMBER} is not what export-bundle writes", file=path) from None
    return found


def load(engine: Engine, path: str, image: str) -> None:
    """Has the store know ``image``, a name by digest, from the bundle. PodError where the bundle does not have it."""
    from pod.core import events
    from pod.core.image import archive_images, archive_members, durable, gc, layout, leftovers
    from pod.core.image import load as loading
    from pod.core.oci import reference as references

    reference = references.parse(image)
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise PodError(f"open {path}: {(error.strerror or 'failed').lower()}") from None
    layout.prepare(engine)
    leftovers.collect(engine)
    try:
        with archive_members.open_members(engine, descriptor, path) as members:
            found = archive_images.of_layout(members, "", reference.digest)
            loaded = loading.install_found(engine, found, [])
            loading.give_name(engine, loaded, found, reference.with_digest(reference.digest))
            events.emit(engine, "image", "load", loaded.id, {"name": loaded.id})
    finally:
        os.close(descriptor)
        durable.settle_later(engine)
    gc.after_publishing(engine)
