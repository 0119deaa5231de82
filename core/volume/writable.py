"""Whether a container's USER can write to its bind mounts: with sub-ids it is somebody else than the caller."""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from pod.core.engine import Engine


def warn(engine: Engine, config: dict[str, Any], mounts: Iterable[dict[str, Any]]) -> None:
    """A warning, with the way out, for bind mounts that are to be written and cannot be by the record's USER."""
    ids = config["Pod"]["IdMap"]
    user, _, group = str(config["Config"]["User"]).partition(":")
    if ids["Kind"] != "range" or user in ("0", "root"):
        return
    # A name is whom the image's /etc/passwd says, hardly ever the caller.
    uid = _outside(ids["Uids"], user)
    gid = _outside(ids["Gids"], group)
    for mount in mounts:
        if mount["Type"] != "bind" or not mount["RW"]:
            continue
        try:
            st = os.stat(mount["Source"])
        except OSError:
            continue
        writes = 0o002 | (0o200 if st.st_uid == uid else 0) | (0o020 if st.st_gid == gid else 0)
        if not st.st_mode & writes and st.st_mode & 0o170000 in (0o040000, 0o100000):
            text = f"bind mount {mount['Source']}: user {user} of the container cannot write there"
            hint = "--userns keep-id makes the container's user you"
            engine.progress("warning", {"text": f"{text}; {hint}"})


def _outside(extents: list[list[int]], text: str) -> int:
    """The host's id of a number inside, -1 for what is none, or none of the map."""
    if not (text.isascii() and text.isdigit()) or len(text) > 10:
        return -1
    inside = int(text)
    for start, outside, count in extents:
        if start <= inside < start + count:
            return outside + inside - start
    return -1
