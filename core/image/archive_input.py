"""Bytes of an archive that somebody gave us: plain, gzip, zstd, xz or bzip2, told by their first bytes.

gzip and zstd are decoded by a child behind walls (archive_decoder), xz and bzip2 by the standard library, with a bound
on what one step gives. What comes out is bounded by who reads it: it goes to the store's disk, never to
memory.
"""

from __future__ import annotations

import os
import stat

from pod.core.errors import PodError
from pod.core.image.archive_decoder import Decoder
from pod.core.image.archive_tar import ArchiveError, File, Pipe

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_CHUNK = 1 << 20
_MAGIC = (
    (b"\x1f\x8b", "gzip"),
    (b"\x28\xb5\x2f\xfd", "zstd"),
    (b"\xfd7zXZ\0", "xz"),
    (b"BZh", "bzip2"),
)
HEAD = 6
_XZ_MEMORY = 256 << 20
"""Bytes of a dictionary at most; `xz -9` has 64 MiB."""


def kind_of(head: bytes) -> str:
    """gzip, zstd, xz, bzip2, or "" for what is not compressed, by the first HEAD bytes."""
    for magic, kind in _MAGIC:
        if head.startswith(magic):
            return kind
    return ""


class Input:
    """An archive from the descriptor ``fd``, which stays the caller's; ``head``: what was read of it already.

    ``file``: it is a plain file and can be read anywhere; else ``pipe`` reads it once, decoded. Close it in any case.
    """

    __slots__ = ("_decoder", "file", "kind", "pipe", "start")

    def __init__(self, fd: int, head: bytes = b"") -> None:
        self._decoder: Decoder | None = None
        self.file: File | None = None
        found = os.fstat(fd)
        regular = stat.S_ISREG(found.st_mode) and not head
        if stat.S_ISDIR(found.st_mode):
            raise ArchiveError("read archive: it is a directory")
        start = self.start = os.lseek(fd, 0, os.SEEK_CUR) if regular else 0
        head = os.pread(fd, HEAD, start) if regular else head or first(fd, HEAD)
        self.kind = kind_of(head)
        if not self.kind:
            if regular:
                self.file = File(fd, start, found.st_size)
            self.pipe = Pipe(lambda count: os.read(fd, count), b"" if regular else head)
        elif self.kind in ("gzip", "zstd"):
            self._decoder = Decoder(fd, b"" if regular else head)
            self.pipe = Pipe(_Plain(self._decoder).give)
        else:
            self.pipe = Pipe(_Unpacker(self.kind, fd, b"" if regular else head).give)

    def close(self) -> None:
        if self._decoder is not None:
            self._decoder.__exit__()


def first(fd: int, count: int) -> bytes:
    """The first ``count`` bytes of a stream, fewer where there are no more."""
    head = b""
    while len(head) < count:
        part = os.read(fd, count - len(head))
        if not part:
            break
        head += part
    return head


class _Unpacker:
    """What the xz or bzip2 streams of ``fd`` (after ``head``) hold, one after the other."""

    __slots__ = ("_decoder", "_failure", "_fd", "_kind", "_rest")

    def __init__(self, kind: str, fd: int, head: bytes) -> None:
        self._kind = kind
        self._fd = fd
        self._rest = head
        self._failure: Any = OSError
        self._decoder = self._make()

    def _make(self) -> Any:
        if self._kind == "bzip2":
            import bz2

            return bz2.BZ2Decompressor()
        import lzma

        self._failure = lzma.LZMAError
        return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)

    def give(self, count: int) -> bytes:
        """At most ``count`` bytes; none at the end."""
        while True:
            if self._decoder.eof and not self._begin_next():
                return b""
            if self._decoder.needs_input and not self._rest:
                self._rest = os.read(self._fd, _CHUNK)
                if not self._rest:
                    raise ArchiveError("read archive: unexpected EOF", hint="the archive is cut off")
            rest, self._rest = self._rest, b""
            try:
                data: bytes = self._decoder.decompress(rest, count)
            except self._failure as error:
                raise ArchiveError(f"read archive: {self._kind}: {str(error).lower()}") from None
            if data:
                return data

    def _begin_next(self) -> bool:
        """After the end of a stream: whether there is another one. Zeros between them are padding."""
        rest: bytes = self._decoder.unused_data
        while not rest.strip(b"\0"):
            rest = os.read(self._fd, _CHUNK)
            if not rest:
                return False
        self._rest = rest.lstrip(b"\0")
        self._decoder = self._make()
        return True


class _Plain:
    """A decoder's pipe; at its end the decoder's verdict."""

    __slots__ = ("_decoder", "_ended")

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder
        self._ended = False

    def give(self, count: int) -> bytes:
        """At most ``count`` bytes; none at the end."""
        data = os.read(self._decoder.fd, count)
        if not data and not self._ended:
            self._ended = True
            try:
                self._decoder.finish()
            except PodError as error:
                raise ArchiveError(f"read archive: {error.message}") from None
        return data
