"""Tar archives of images, as far as they need it: entries by name, sizes, links; headers and the end of one.

Not the layers inside, which pod.ext.layer reads. Headers come from strangers: checksums and sizes are checked, names
and PAX records bounded. A name is a key to look up and never a path of this host.
"""

from __future__ import annotations

from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Protocol

    class Bytes(Protocol):
        """An archive's bytes in order; ``read`` gives fewer than asked for only at the end, ``position`` counts all."""

        position: int

        def read(self, count: int) -> bytes: ...

        def skip(self, count: int) -> None: ...


BLOCK = 512
MAX_ENTRIES = 50000
MAX_NAME = 4096
MAX_EXTENSION = 1 << 16
"""Bytes of one PAX header or long name."""
MAX_SIZE = 1 << 46
_FILES = (b"0", b"\0", b"7")
_LINKS = {b"1": "hard link", b"2": "symlink"}


class ArchiveError(PodError):
    """An archive that is not what it should be."""


class Entry:
    """``kind``: "file", "hard link", "symlink" or "other"; ``name`` cleaned, ``link`` as the archive has it."""

    __slots__ = ("kind", "link", "name", "size")

    def __init__(self, kind: str, name: str, link: str, size: int) -> None:
        self.kind = kind
        self.name = name
        self.link = link
        self.size = size


def clean(name: str) -> str:
    """A name inside an archive without "." and "//"; ArchiveError where it leaves the archive."""
    parts: list[str] = []
    for part in name.split("/"):
        if part == "..":
            if not parts:
                raise ArchiveError(f"read archive: a name leads out of it: {name[:200]!r}")
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)


def entries(stream: Bytes) -> Iterator[Entry]:
    """Each entry; the stream is at its content then, of which the caller may read as much as it likes.

    ArchiveError for what is no archive, is cut, or has more than MAX_ENTRIES entries.
    """
    extended: dict[str, str] = {}
    for number in range(MAX_ENTRIES + 1):
        header = stream.read(BLOCK)
        if not header.strip(b"\0"):
            if number == 0:
                raise ArchiveError("read archive: it is empty" if not header else "read archive: it has no entries")
            if header and len(header) < BLOCK:
                raise _cut()
            return
        if len(header) < BLOCK:
            raise _cut() if number else ArchiveError("read archive: not a tar archive")
        size = _size(header, extended, first=number == 0)
        kind = header[156:157]
        end = stream.position + size + -size % BLOCK
        if kind in (b"x", b"L", b"K"):
            extended.update(_extension(kind, _whole(stream, size)))
        elif kind != b"g":
            yield _entry(header, kind, extended, size)
            extended = {}
        stream.skip(end - stream.position)
    raise ArchiveError(f"read archive: more than {MAX_ENTRIES} entries")


def _cut() -> ArchiveError:
    return ArchiveError("read archive: unexpected EOF", hint="the archive is cut off; copy or make it again")


def _whole(stream: Bytes, size: int) -> bytes:
    if size > MAX_EXTENSION:
        raise ArchiveError(f"read archive: a header of {size} bytes")
    data = stream.read(size)
    if len(data) < size:
        raise _cut()
    return data


def _size(header: bytes, extended: dict[str, str], *, first: bool) -> int:
    """The size of the entry's content in bytes, once the header's checksum is right."""
    unsigned = sum(header) - sum(header[148:156]) + 8 * 32
    try:
        wanted = int(header[148:156].split(b"\0")[0].strip() or b"-1", 8)
        size = _number(header[124:136])
        if header[156:157] not in (b"x", b"L", b"K", b"g") and "size" in extended:
            size = int(extended["size"]) if extended["size"].isdecimal() and len(extended["size"]) < 20 else -1
    except ValueError:
        wanted = size = -1
    if wanted != unsigned:
        raise ArchiveError("read archive: not a tar archive" if first else "read archive: a header is damaged")
    if not 0 <= size <= MAX_SIZE:
        raise ArchiveError("read archive: an entry's size makes no sense")
    return size if header[156:157] not in (b"1", b"2", b"3", b"4", b"5", b"6") else 0


def is_header(block: bytes) -> bool:
    """Whether an archive may begin with these BLOCK bytes."""
    if len(block) < BLOCK or not block.strip(b"\0"):
        return False
    try:
        _size(block[:BLOCK], {}, first=True)
    except ArchiveError:
        return False
    return True


def _number(field: bytes) -> int:
    """Octal, or GNU's base 256."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:], "big")
    return int(field.split(b"\0")[0].strip() or b"0", 8)


def _extension(kind: bytes, data: bytes) -> dict[str, str]:
    """What a PAX header ("path", "linkpath", "size") or one of GNU's long names says of the entry after it."""
    if kind != b"x":
        return {"path" if kind == b"L" else "linkpath": _text(data.split(b"\0")[0])}
    found: dict[str, str] = {}
    while data:
        digits, space, _ = data.partition(b" ")
        if not space or not digits.isdigit() or len(digits) > 7:
            break
        length = int(digits)
        record = data[len(digits) + 1 : length]
        key, equals, value = record.partition(b"=")
        if length > len(data) or not equals or not value.endswith(b"\n"):
            raise ArchiveError("read archive: a PAX header is damaged")
        if key.startswith(b"GNU.sparse."):
            raise ArchiveError("read archive: it has sparse entries", hint="make it without --sparse")
        if key in (b"path", b"linkpath", b"size"):
            found[key.decode()] = _text(value[:-1])
        data = data[length:]
    return found


def _text(raw: bytes) -> str:
    if len(raw) > MAX_NAME:
        raise ArchiveError(f"read archive: a name of {len(raw)} bytes")
    return raw.decode("utf-8", "surrogateescape")


def _entry(header: bytes, kind: bytes, extended: dict[str, str], size: int) -> Entry:
    name = _text(header[:100].split(b"\0")[0])
    if header[257:263] == b"ustar\0" and header[345]:
        name = _text(header[345:500].split(b"\0")[0]) + "/" + name
    name = extended.get("path", name)
    link = extended.get("linkpath") or _text(header[157:257].split(b"\0")[0])
    what = "file" if kind in _FILES and not name.endswith("/") else _LINKS.get(kind, "other")
    return Entry(what, clean(name), link, size)


def header(
    name: str, size: int, *, folder: bool = False, mode: int | None = None, ids: tuple[int, int] = (0, 0)
) -> bytes:
    """The header of a file or folder of 1970, root's if no ``ids`` are given; ``name`` has 100 bytes at most."""
    raw = name.encode() + (b"/" if folder else b"")
    assert len(raw) <= 100
    octal = b"%011o\0" % size if size < 1 << 33 else b"\x80" + size.to_bytes(11, "big")
    bits = (0o755 if folder else 0o644) if mode is None else mode
    owner = b"".join(b"%07o\0" % one if one < 1 << 21 else b"\x80" + one.to_bytes(7, "big") for one in ids)
    front = raw.ljust(100, b"\0") + b"%07o\0" % bits + owner + octal + b"00000000000\0"
    back = (b"5" if folder else b"0") + b"\0" * 100 + b"ustar\x0000" + b"\0" * 64 + b"0000000\0" * 2 + b"\0" * 167
    checksum = b"%06o\0 " % (sum(front) + 8 * 32 + sum(back))
    return front + checksum + back


def padding(size: int) -> bytes:
    """What follows a content of ``size`` bytes."""
    return b"\0" * (-size % BLOCK)


END = b"\0" * (2 * BLOCK)


class Pipe:
    """Bytes of a reader that cannot go back; ``give(n)`` returns at most n bytes, none at the end."""

    __slots__ = ("_give", "_held", "position")

    def __init__(self, give: Callable[[int], bytes], held: bytes = b"") -> None:
        self._give = give
        self._held = held
        self.position = 0

    def some(self, count: int) -> bytes:
        """What is there, at most ``count`` bytes; none at the end."""
        data, self._held = self._held[:count], self._held[count:]
        data = data or self._give(count)
        self.position += len(data)
        return data

    def read(self, count: int) -> bytes:
        parts = []
        while count > 0:
            part = self.some(min(count, 1 << 20))
            if not part:
                break
            parts.append(part)
            count -= len(part)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        while count > 0:
            part = self.some(min(count, 1 << 20))
            if not part:
                raise _cut()
            count -= len(part)


class File:
    """Bytes of a file, from ``start`` on; nobody else's position matters."""

    __slots__ = ("_fd", "_size", "_start", "position")

    def __init__(self, fd: int, start: int, size: int) -> None:
        self._fd = fd
        self._start = start
        self._size = size
        self.position = 0

    def read(self, count: int) -> bytes:
        import os

        parts = []
        while count > 0:
            part = os.pread(self._fd, min(count, 1 << 20), self._start + self.position)
            if not part:
                break
            parts.append(part)
            count -= len(part)
            self.position += len(part)
        return b"".join(parts)

    def skip(self, count: int) -> None:
        self.position += count
        if self._start + self.position > self._size:
            raise _cut()
