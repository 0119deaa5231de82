"""--build-context NAME=oci-layout://PATH[:TAG|@DIGEST]: an image of an OCI layout on this host.

It is installed as `load` installs it: each digest is held against what it promises, sizes are bounded, and no link
leads out of the folder. It gets no name.
"""

from __future__ import annotations

import os

from pod.core.builder.wishes import LAYOUT
from pod.core.errors import PodError
from pod.core.image import archive_images, archive_members, durable, load
from pod.core.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine
    from pod.core.image.store import Image
    from pod.core.oci.platform import Platform

def parse(told: str) -> tuple[str, str, str]:
    """The path, the tag and the digest that it says, "" for none."""
    path = told[len(LAYOUT) :].removeprefix("//")
    front, at, digest = path.rpartition("@")
    if at and digest.startswith("sha256:"):
        if not digests.is_hex(digest[7:]) or len(digest) != 71:
            raise PodError(f"build context {told}: not a digest: {digest}")
        return _tagged(front)[0], "", digest
    return (*_tagged(path), "")


def _tagged(path: str) -> tuple[str, str]:
    """A colon in the last part of the path begins a tag."""
    front, colon, tag = path.rpartition(":")
    return (front, tag) if colon and "/" not in tag else (path, "")


def image(engine: Engine, told: str, platform: Platform) -> Image:
    """The image that ``told`` means, in the store. PodError where it is none, or damaged."""
    path, tag, digest = parse(told)
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except (OSError, ValueError) as error:
        words = (getattr(error, "strerror", None) or "failed").lower()
        raise PodError(f"build context {told}: {words}", hint="name the folder of an OCI layout") from None
    try:
        with archive_members.open_members(engine, fd, path) as members:
            if members.find("oci-layout") is None or members.find("index.json") is None:
                raise PodError(f"build context {told}: no OCI layout: oci-layout or index.json is not in it")
            return load.install_found(engine, archive_images.of_layout(members, tag, digest), [platform])
    finally:
        os.close(fd)
        durable.settle_later(engine)
