"""Archives to layers as they are stored, and back: both digests in one pass, by C (ext/src/layer/compress.h)."""

from __future__ import annotations

import errno
import os

from pod.core.errors import PodError

GZIP, ZSTD, NONE = KINDS = ("gzip", "zstd", "none")

MAX_BYTES = 1 << 40
"""Of one layer, decompressed."""


class Written:
    """A layer's two sides. ``digest`` and ``size`` (bytes) are those of the stored, perhaps compressed one, ``diff_id``
    and ``raw_size`` those of the plain archive in it; whichever of them was read, and whichever written.
    """

    __slots__ = ("diff_id", "digest", "raw_size", "size")

    def __init__(self, digest: str, size: int, diff_id: str, raw_size: int) -> None:
        self.digest = digest
        self.size = size
        self.diff_id = diff_id
        self.raw_size = raw_size


def write(source_fd: int, target_fd: int, kind: str = GZIP) -> Written:
    """Reads a plain archive to its end and writes it, compressed, from where ``target_fd`` stands.

    The same archive gives the same bytes on every run of one build, whatever the number of processors. PodError where a
    side fails; the target has some of it then.
    """
    from pod.ext import layer

    try:
        blob, size, diff, raw_size = layer.compress(source_fd, target_fd, kind)
    except OSError as error:
        raise _words("compress layer", error) from error
    return Written("sha256:" + blob, size, "sha256:" + diff, raw_size)


def plain(source_fd: int, target_fd: int, *, max_bytes: int = MAX_BYTES) -> Written:
    """Reads a layer, gzip of any number of members, zstd or plain, to its end and writes the archive that is in it.

    A stranger's bytes: they are decoded behind walls, by a child of the caller, who has one thread. PodError where the
    layer is damaged, holds more than ``max_bytes``, or a side fails; the target has some of it then.
    """
    from pod.ext import layer

    try:
        child, answer = layer.start_decompress(source_fd, target_fd, max_bytes=max_bytes, userns=True)
        blob, size, diff, raw_size, _ = layer.extract_result(answer_of(child, answer))
    except OSError as error:
        raise _words("decompress layer", error) from error
    return Written("sha256:" + blob, size, "sha256:" + diff, raw_size)


def answer_of(child: int, answer: int) -> bytes:
    """All of it, at the child's end; an interrupt ends the child. One gone mad fills no memory."""
    parts: list[bytes] = []
    try:
        while part := os.read(answer, 4096):
            if len(parts) < 16:
                parts.append(part)
    except BaseException:
        os.kill(child, 9)
        raise
    finally:
        os.close(answer)
        os.waitpid(child, 0)
    return b"".join(parts)


def _words(what: str, error: OSError) -> PodError:
    hint = None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some space, or set POD_ROOT to a folder on a larger file system"
    return PodError(f"{what}: {error}", hint=hint)
