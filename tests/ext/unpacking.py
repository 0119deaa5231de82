"""Archives byte by byte, and what became of them: for tests of pod.ext.layer. No tar library takes part."""

from __future__ import annotations

import os
import stat
import tempfile
from pathlib import Path
from typing import NamedTuple

from pod.ext import layer

BLOCK = 512
END = bytes(2 * BLOCK)


def octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def base256(value: int, width: int) -> bytes:
    """GNU's binary numbers; negative ones in two's complement."""
    raw = bytearray((value & ((1 << (8 * width)) - 1)).to_bytes(width, "big"))
    raw[0] |= 0x80
    return bytes(raw)


def pad(data: bytes) -> bytes:
    return data + bytes(-len(data) % BLOCK)


def header(
    name: bytes,
    kind: bytes = b"0",
    *,
    size: int | bytes = 0,
    mode: int = 0o644,
    uid: int | bytes = 0,
    gid: int | bytes = 0,
    mtime: int | bytes = 1_000_000_000,
    link: bytes = b"",
    device: tuple[int, int] = (0, 0),
    magic: bytes = b"ustar\x0000",
    prefix: bytes = b"",
) -> bytes:
    """One header block with a right checksum; numbers may be given as the raw bytes of their field."""

    def number(value: int | bytes, width: int) -> bytes:
        return value if isinstance(value, bytes) else octal(value, width)

    fields = [
        (name, 100),
        (octal(mode, 8), 8),
        (number(uid, 8), 8),
        (number(gid, 8), 8),
        (number(size, 12), 12),
        (number(mtime, 12), 12),
        (b" " * 8, 8),
        (kind, 1),
        (link, 100),
        (magic, 8),
        (b"", 64),
        (octal(device[0], 8), 8),
        (octal(device[1], 8), 8),
        (prefix, 167),
    ]
    block = b"".join(value.ljust(width, b"\0")[:width] for value, width in fields)
    return checked(block)


def checked(block: bytes) -> bytes:
    """The header with its checksum set anew."""
    block = block[:148] + b" " * 8 + block[156:]
    return block[:148] + b"%06o\0 " % sum(block) + block[156:]


def file(name: bytes, data: bytes = b"", **fields) -> bytes:
    return header(name, size=len(data), **fields) + pad(data)


def folder(name: bytes, mode: int = 0o755, **fields) -> bytes:
    return header(name, b"5", mode=mode, **fields)


def symlink(name: bytes, target: bytes) -> bytes:
    return header(name, b"2", link=target, mode=0o777)


def hardlink(name: bytes, target: bytes, **fields) -> bytes:
    return header(name, b"1", link=target, **fields)


def pax(records: dict[bytes, bytes] | list[tuple[bytes, bytes]], kind: bytes = b"x") -> bytes:
    """An extended header for the entry that follows."""
    body = b""
    for key, value in records.items() if isinstance(records, dict) else records:
        length = len(key) + len(value) + 3
        digits = 1
        while len(str(length + digits)) != digits:
            digits += 1
        body += b"%d %s=%s\n" % (length + digits, key, value)
    return header(b"PaxHeaders/x", kind, size=len(body)) + pad(body)


def gnu_long(name: bytes, kind: bytes = b"L") -> bytes:
    return header(b"././@LongLink", kind, size=len(name) + 1, magic=b"ustar  \0") + pad(name + b"\0")


class Unpacked(NamedTuple):
    """Where an archive went, and what extract said."""

    root: Path
    result: tuple[str, int, str, int, int]
    owners: list[tuple[str, tuple[int, int] | None, int, tuple[int, int] | None, dict[str, bytes]]]


def unpack(data: bytes, folder_path: Path, *, end: bytes = END, **options) -> Unpacked:
    """Extracts the bytes (and the two closing blocks) into ``folder_path``/diff. StepError passes through."""
    options = {"mapped": False, "dialect": "overlay", "max_bytes": 1 << 30, "max_entries": 100_000, **options}
    root = folder_path / "diff"
    if not root.exists():
        root.mkdir()
        root.chmod(0o755)
    root_fd = os.open(root, os.O_RDONLY | os.O_DIRECTORY)
    (folder_path / "owners").unlink(missing_ok=True)
    owners_fd = os.open(folder_path / "owners", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        with tempfile.TemporaryFile() as source:
            source.write(data + end)
            source.seek(0)
            result = layer.extract(source.fileno(), root_fd, owners_fd, **options)
        return Unpacked(root, result, layer.read_owners(owners_fd))
    finally:
        os.close(root_fd)
        os.close(owners_fd)


def tree(root: Path) -> dict[str, str]:
    """Every name below ``root`` with its kind: "dir", "file CONTENT", "link TARGET", "fifo", "whiteout", …"""
    found = {}
    for parent, folders, files in os.walk(root):
        for name in folders + files:
            path = Path(parent, name)
            found[str(path.relative_to(root))] = kind_of(path)
    return found


def kind_of(path: Path) -> str:
    status = path.lstat()
    if stat.S_ISLNK(status.st_mode):
        return "link " + os.readlink(path)
    if stat.S_ISDIR(status.st_mode):
        return "dir"
    if stat.S_ISFIFO(status.st_mode):
        return "fifo"
    if stat.S_ISCHR(status.st_mode):
        return "whiteout" if status.st_rdev == 0 else "device"
    return "file " + path.read_bytes()[:60].decode("utf-8", "surrogateescape")


def opaque(path: Path) -> bool:
    return "user.overlay.opaque" in os.listxattr(path)


class Jail:
    """A folder to unpack in, beside things that must not change: ``outside`` in the parent."""

    def __init__(self, base: Path, *, threads: bool = True) -> None:
        self.threads = threads
        self.base = base / "layer"
        self.base.mkdir()
        self.outside = base / "outside"
        (self.outside / "dir").mkdir(parents=True)
        (self.outside / "secret").write_text("secret")
        (self.outside / "dir/file").write_text("kept")
        os.utime(self.outside / "secret", (1, 1))
        os.utime(self.outside, (1, 1))
        os.utime(base, (1, 1))
        self._before = self._look()

    def _look(self) -> list[tuple[str, int, int, int, int]]:
        found = []
        for path in [self.outside.parent, self.outside, *sorted(self.outside.rglob("*"))]:
            status = path.lstat()
            found.append((str(path), status.st_mode, status.st_size, status.st_nlink, status.st_mtime_ns))
        return found

    def unpack(self, data: bytes, **options) -> Unpacked:
        return unpack(data, self.base, **{"threads": self.threads, **options})

    def check(self) -> None:
        """Nothing outside was touched. Removes what was unpacked: too deep and too shut for other tools."""
        made = sorted(path.name for path in self.base.iterdir())
        fd = os.open(self.base, os.O_RDONLY)
        layer.rmtree(fd, "diff")
        os.close(fd)
        assert self._look() == self._before
        assert made in ([], ["diff", "owners"])
