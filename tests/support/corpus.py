"""Archives made up by a seed, written by Python's tarfile, and what must become of them, told by a model.

The model knows image-spec layer.md and POSIX's rules of later entries, not our code: a dictionary of paths that each
entry changes. Entries go through no links (tests/hostile has those).
"""

from __future__ import annotations

import io
import random
import stat
import tarfile
from typing import Any

FORMATS = (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)
NAMES = (
    *("a", "b", "c", "d", "e", "new\nline", "spa ce", "ünïcödé", "\udcff\udcfe", "-dash", "UPPER", "*", "dot.", "..."),
    *("x" * 60, "tab\t", "back\\slash", "quote'\"", "%41", ".hidden", "wh.", "a.wh.b"),
)


class Inode:
    """What an archive's entry made. ``mtime`` is None where it is of now."""

    def __init__(self, kind: int, mode: int, mtime: float | None, content: bytes = b"", target: str = "") -> None:
        self.kind = kind
        self.mode = mode
        self.mtime = mtime
        self.content = content
        self.target = target
        self.xattrs: dict[str, bytes] = {}
        self.opaque = False

    def describe(self) -> tuple[Any, ...]:
        if self.kind == stat.S_IFCHR:
            return ("whiteout",)
        mode = None if self.kind == stat.S_IFLNK else self.mode
        return (stat.S_IFMT(self.kind), mode, self.mtime, self.content, self.target, self.xattrs, self.opaque)


class Model:
    """A tree, and the owners that it must record, as seen by a user with one id."""

    def __init__(self) -> None:
        self.tree: dict[str, Inode] = {}
        self.owners: dict[str, tuple[int, int]] = {}

    def remove(self, path: str) -> None:
        for known in [known for known in self.tree if known == path or known.startswith(path + "/")]:
            del self.tree[known]
        for known in [known for known in self.owners if known == path or known.startswith(path + "/")]:
            del self.owners[known]

    def parents(self, path: str) -> None:
        """Those that no entry made: 0755, opaque where they take a whiteout's place."""
        parts = path.split("/")[:-1]
        for depth in range(1, len(parts) + 1):
            above = "/".join(parts[:depth])
            there = self.tree.get(above)
            if there is None or there.kind == stat.S_IFCHR:
                self.tree[above] = Inode(stat.S_IFDIR, 0o755, None)
                self.tree[above].opaque = there is not None

    def is_blocked(self, path: str) -> bool:
        """Whether a file or link stands where a directory must be."""
        parts = path.split("/")[:-1]
        above = (self.tree.get("/".join(parts[:depth])) for depth in range(1, len(parts) + 1))
        return any(there is not None and there.kind not in (stat.S_IFDIR, stat.S_IFCHR) for there in above)

    def put(self, path: str, inode: Inode, owner: tuple[int, int]) -> None:
        self.parents(path)
        there = self.tree.get(path)
        if inode.kind == stat.S_IFDIR and there is not None and there.kind == stat.S_IFDIR:
            there.mode, there.mtime = inode.mode, inode.mtime
            there.xattrs.update(inode.xattrs)
            self.owners.pop(path, None)
        else:
            self.remove(path)
            self.tree[path] = inode
            inode.opaque = inode.kind == stat.S_IFDIR and there is not None and there.kind == stat.S_IFCHR
        if owner != (0, 0):
            self.owners[path] = owner

    def link(self, path: str, target: str, owner: tuple[int, int]) -> None:
        self.parents(path)
        inode = self.tree[target]
        if self.tree.get(path) is inode:
            return
        self.remove(path)
        self.tree[path] = inode
        if owner != (0, 0):
            self.owners[path] = owner

    def whiteout(self, folder: str, name: str) -> None:
        path = f"{folder}/{name}" if folder else name
        self.parents(path)
        there = self.tree.get(path)
        if there is None:
            self.tree[path] = Inode(stat.S_IFCHR, 0, None)
        elif there.kind == stat.S_IFDIR:
            there.opaque = True

    def make_opaque(self, folder: str) -> None:
        self.parents(folder + "/x")
        self.tree[folder].opaque = True


class Writer:
    """One archive and its model, from one seed."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.format = FORMATS[seed % len(FORMATS)]
        self.model = Model()
        self._buffer = io.BytesIO()
        self._tar = tarfile.open(  # noqa: SIM115
            fileobj=self._buffer, mode="w", format=self.format, encoding="utf-8", errors="surrogateescape"
        )

    def build(self) -> bytes:
        for _ in range(self.random.randrange(5, 60)):
            self.entry()
        self._tar.close()
        return self._buffer.getvalue()

    def path(self) -> str:
        choose = self.random
        known = list(self.model.tree)
        if known and choose.random() < 0.35:
            return choose.choice(known)
        folders = [path for path, inode in self.model.tree.items() if inode.kind == stat.S_IFDIR]
        above = choose.choice(folders) + "/" if folders and choose.random() < 0.6 else ""
        path = above + "/".join(choose.choice(NAMES) for _ in range(choose.choice((1, 1, 1, 2, 3))))
        if self.format != tarfile.USTAR_FORMAT and choose.random() < 0.1:
            path += "/" + "long-name-" * choose.randrange(1, 25)
        return path

    def entry(self) -> None:
        path = self.path()
        if self.model.is_blocked(path) or (len(path) > 90 and self.format == tarfile.USTAR_FORMAT):
            return
        kinds = [self.file, self.file, self.file, self.folder, self.folder, self.symlink, self.fifo]
        self.random.choice([*kinds, self.hardlink, self.hardlink, self.whiteout, self.opaque])(path)

    def owner(self) -> tuple[int, int]:
        large = (2000000, 5) if self.format == tarfile.USTAR_FORMAT else (4000000000, 3000000)
        return self.random.choice(((0, 0), (0, 0), (0, 0), (1, 2), (1000, 1000), (70000, 5), large))

    def add(self, path: str, kind: bytes, inode: Inode, owner: tuple[int, int], data: bytes = b"") -> None:
        info = tarfile.TarInfo(self.random.choice(("", "./")) + path)
        info.type, info.mode, info.linkname = kind, inode.mode, inode.target
        info.uid, info.gid = owner
        info.size = len(data)
        info.mtime = inode.mtime or 0  # type: ignore[assignment]
        if inode.xattrs:
            info.pax_headers = {f"SCHILY.xattr.{name}": value.decode() for name, value in inode.xattrs.items()}
        self._tar.addfile(info, io.BytesIO(data))

    def times(self) -> float:
        whole = self.random.randrange(0, 2**31)
        return whole + self.random.choice((0, 0.5, 0.25)) if self.format == tarfile.PAX_FORMAT else whole

    def xattrs(self) -> dict[str, bytes]:
        if self.format != tarfile.PAX_FORMAT or self.random.random() < 0.8:
            return {}
        return {f"user.{self.random.choice('abc')}": b"value of some kind"}

    def file(self, path: str) -> None:
        size = self.random.choice((0, 0, 1, 511, 512, 513, 5000, 200_000))
        data = self.random.getrandbits(64).to_bytes(8, "big") * (size // 8) + b"x" * (size % 8)
        inode = Inode(stat.S_IFREG, self.random.choice((0o644, 0o755, 0o600, 0o4755, 0o666)), self.times(), data)
        inode.xattrs = self.xattrs()
        owner = self.owner()
        self.add(path, tarfile.REGTYPE, inode, owner, data)
        self.model.put(path, inode, owner)

    def folder(self, path: str) -> None:
        inode = Inode(stat.S_IFDIR, self.random.choice((0o755, 0o700, 0o1777, 0o2775)), self.times())
        inode.xattrs = self.xattrs()
        owner = self.owner()
        self.add(path, tarfile.DIRTYPE, inode, owner)
        self.model.put(path, inode, owner)

    def symlink(self, path: str) -> None:
        target = self.random.choice(("a", "../..", "/etc", "nowhere", "x" * 90))
        inode = Inode(stat.S_IFLNK, 0o777, self.times(), target=target)
        owner = self.owner()
        self.add(path, tarfile.SYMTYPE, inode, owner)
        self.model.put(path, inode, owner)

    def fifo(self, path: str) -> None:
        inode = Inode(stat.S_IFIFO, 0o620, self.times())
        owner = self.owner()
        self.add(path, tarfile.FIFOTYPE, inode, owner)
        self.model.put(path, inode, owner)

    def hardlink(self, path: str) -> None:
        kinds = (stat.S_IFREG, stat.S_IFLNK)
        fits = len(path) if self.format == tarfile.USTAR_FORMAT else 0
        known = [name for name, inode in self.model.tree.items() if inode.kind in kinds and max(len(name), fits) < 90]
        known = [name for name in known if not name.startswith(path + "/")]
        if known:
            target = self.random.choice(known)
            owner = self.owner()
            self.add(path, tarfile.LNKTYPE, Inode(stat.S_IFREG, 0o644, 0, target=target), owner)
            self.model.link(path, target, owner)

    def whiteout(self, path: str) -> None:
        folder, _, name = path.rpartition("/")
        if name.startswith(".wh.") or len(name) > 200:
            return
        self.add(f"{folder}/.wh.{name}".lstrip("/"), tarfile.REGTYPE, Inode(stat.S_IFREG, 0o600, 0), (0, 0))
        self.model.whiteout(folder, name)

    def opaque(self, path: str) -> None:
        folder = path.rpartition("/")[0]
        if folder:
            self.add(f"{folder}/.wh..wh..opq", tarfile.REGTYPE, Inode(stat.S_IFREG, 0o600, 0), (0, 0))
            self.model.make_opaque(folder)
