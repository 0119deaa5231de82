"""What an archive of images has, by name: in a file that can be read anywhere, spooled from a stream, or in a folder.

A stream is read once. Each large file in it goes to a file of its own in a hidden folder of the store, hashed on the
way; the blobs among them become the store's by a second name (:meth:`Members.adopt`). Small ones share a file: there
may be tens of thousands. The folder is locked while its maker lives; leftovers takes those of the dead away.
"""

from __future__ import annotations

import errno
import os
import stat

from pod.core import statefile
from pod.core.image import archive_tar, blobs, durable, spool
from pod.core.image.archive_input import HEAD, Input, kind_of
from pod.core.image.archive_tar import ArchiveError, clean

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from pod.core.engine import Engine

_CHUNK = 1 << 20
_MAX_LINKS = 16
_MAX_REST = 1 << 20
"""Bytes after an archive's end that are read so that its writer does not die of SIGPIPE."""
_SMALL = 1 << 16
"""Bytes of a spooled file up to which it shares one with others."""
_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW


class Part:
    """One file: ``offset`` and ``size`` in the archive, or in the file ``path``, its ``own`` or one of several;
    ``digest`` is "" where it is not known.
    """

    __slots__ = ("digest", "offset", "own", "path", "size")

    def __init__(self, offset: int, size: int, path: str = "", digest: str = "", *, own: bool = False) -> None:
        self.offset = offset
        self.size = size
        self.path = path
        self.digest = digest
        self.own = own


class Members:
    """Files of an archive or a folder by name. A context: leaving it removes what was spooled."""

    __slots__ = ("_fd", "_folder", "_links", "_lock", "_parts", "_twice", "shown")

    def __init__(self, shown: str, fd: int = -1) -> None:
        self.shown = shown
        self._fd = fd
        self._parts: dict[str, Part] = {}
        self._links: dict[str, str] = {}
        self._twice: set[str] = set()
        self._folder = ""
        self._lock = -1

    def __enter__(self) -> Members:
        return self

    def __exit__(self, *_: object) -> None:
        if self._folder:
            spool.remove(self._folder)
        if self._lock >= 0:
            os.close(self._lock)

    def find(self, name: str) -> Part | None:
        """The file of that name; links are followed inside the archive. ArchiveError where there are two."""
        name = clean(name)
        for _ in range(_MAX_LINKS):
            if name in self._twice:
                raise ArchiveError(f"read archive: {self.shown}: {name[:200]} is there twice")
            part = self._parts.get(name)
            if part is not None or name not in self._links:
                return part
            name = self._links[name]
        raise ArchiveError(f"read archive: {self.shown}: links of {name[:200]} have no end")

    def need(self, name: str) -> Part:
        """:meth:`find`, ArchiveError where there is none."""
        part = self.find(name)
        if part is None:
            raise ArchiveError(f"read archive: {self.shown}: {name[:200]} is missing")
        return part

    def read(self, name: str, limit: int) -> bytes:
        """A small file whole. ArchiveError where it is missing or has more than ``limit`` bytes."""
        part = self.need(name)
        if part.size > limit:
            raise ArchiveError(f"read archive: {self.shown}: {name[:200]} is larger than {limit} bytes")
        return b"".join(self.chunks(part))

    def chunks(self, part: Part, start: int = 0) -> Iterator[bytes]:
        """The file's bytes from ``start`` on. Any thread may."""
        fd = self.open(part)
        try:
            position = start
            while position < part.size:
                data = os.pread(fd, min(_CHUNK, part.size - position), part.offset + position)
                if not data:
                    raise ArchiveError(f"read archive: {self.shown}: it became shorter while it was read")
                yield data
                position += len(data)
        finally:
            os.close(fd)

    def open(self, part: Part) -> int:
        """A descriptor of the file that has the part, from its ``offset`` on; the caller's to close."""
        if not part.path:
            return os.dup(self._fd)
        return os.open(part.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)

    def kind(self, part: Part) -> str:
        """How the part is compressed, by its first bytes; "" for not at all."""
        fd = self.open(part)
        try:
            return kind_of(os.pread(fd, min(HEAD, part.size), part.offset))
        finally:
            os.close(fd)

    def digest(self, part: Part) -> str:
        """The part's digest; what is not known yet is computed, once."""
        if not part.digest:
            import hashlib

            hashed = hashlib.sha256()
            for data in self.chunks(part):
                hashed.update(data)
            part.digest = "sha256:" + hashed.hexdigest()
        return part.digest

    def adopt(self, engine: Engine, part: Part, digest: str) -> None:
        """Makes a spooled file that has that digest the store's blob by a second name, where the disk has such."""
        if not (self._folder and part.own and part.digest == digest) or blobs.has(engine, digest, part.size):
            return
        durable.mark_blob(engine, part.digest)
        try:
            os.link(part.path, engine.paths.blob(part.digest))
        except OSError as error:
            if error.errno not in (errno.EEXIST, errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK):
                raise

    def _add(self, entry: archive_tar.Entry, part: Part | None) -> None:
        if entry.name in self._parts or entry.name in self._links:
            self._twice.add(entry.name)
        elif part is not None:
            self._parts[entry.name] = part
        elif entry.kind == "symlink":
            above = "" if entry.link.startswith("/") else entry.name.rpartition("/")[0]
            self._links[entry.name] = clean(f"{above}/{entry.link}")
        else:
            self._links[entry.name] = clean(entry.link)

    def index(self, source: archive_tar.File, start: int) -> None:
        """Notes where everything is in an archive that can be read anywhere."""
        for entry in archive_tar.entries(source):
            if entry.kind == "file":
                self._add(entry, Part(start + source.position, entry.size))
            elif entry.kind != "other":
                self._add(entry, None)

    def spool(self, engine: Engine, source: archive_tar.Pipe) -> None:
        """Reads a stream to its end, its files into the store's own place."""
        self._folder, self._lock = spool.make(engine)
        number = end = 0
        path = f"{self._folder}/small"
        small = os.open(path, _FLAGS, 0o600)
        try:
            for entry in archive_tar.entries(source):
                if entry.kind == "file" and entry.size <= _SMALL:
                    _, digest = copy_down(source, small, entry.size)
                    self._add(entry, Part(end, entry.size, path, digest))
                    end += entry.size
                elif entry.kind == "file":
                    number += 1
                    self._add(entry, write_down(source, f"{self._folder}/{number}", entry.size))
                elif entry.kind != "other":
                    self._add(entry, None)
        finally:
            os.close(small)
        rest = 0
        while rest < _MAX_REST:
            data = source.some(_CHUNK)
            if not data:
                return
            rest += len(data)

    def spool_whole(self, engine: Engine, source: archive_tar.Pipe) -> Part:
        """All that the stream gives as one file, which has no name."""
        self._folder, self._lock = spool.make(engine)
        return write_down(source, f"{self._folder}/0", None)


class Folder(Members):
    """A folder of the host: only regular files below it, no link is followed."""

    __slots__ = ()

    def find(self, name: str) -> Part | None:
        parts = clean(name).split("/")
        fd = os.dup(self._fd)
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        try:
            for number, part in enumerate(parts):
                last = number == len(parts) - 1
                new = os.open(part, flags | (0 if last else os.O_DIRECTORY), dir_fd=fd)
                os.close(fd)
                fd = new
            found = os.fstat(fd)
            if not stat.S_ISREG(found.st_mode):
                raise ArchiveError(f"read archive: {self.shown}: {name[:200]} is no regular file")
            return Part(0, found.st_size, "/".join(parts))
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            text = (error.strerror or "failed").lower()
            raise ArchiveError(f"read archive: {self.shown}: {name[:200]}: {text}") from None
        finally:
            os.close(fd)

    def open(self, part: Part) -> int:
        folder = self._fd
        above, _, last = part.path.rpartition("/")
        flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK
        fd = os.dup(folder)
        for one in [*(above.split("/") if above else []), last]:
            try:
                new = os.open(one, flags, dir_fd=fd)
            finally:
                os.close(fd)
            fd = new
        return fd


def write_down(source: archive_tar.Pipe, path: str, size: int | None) -> Part:
    """The next ``size`` bytes (None: all there are) as a file of its own, hashed on the way."""
    fd = os.open(path, _FLAGS, 0o600)
    try:
        total, digest = copy_down(source, fd, size)
    finally:
        os.close(fd)
    return Part(0, total, path, digest, own=True)


def copy_down(source: archive_tar.Pipe, fd: int, size: int | None) -> tuple[int, str]:
    """Writes the next ``size`` bytes (None: all there are); how many, and their digest."""
    import hashlib

    hashed = hashlib.sha256()
    total = 0
    while size is None or total < size:
        data = source.some(_CHUNK if size is None else min(_CHUNK, size - total))
        if not data:
            if size is None:
                break
            raise ArchiveError("read archive: unexpected EOF", hint="the archive is cut off; make it again")
        hashed.update(data)
        total += len(data)
        try:
            statefile.put(fd, data)
        except OSError as error:
            raise blobs.no_room("store archive", error) from error
    return total, "sha256:" + hashed.hexdigest()


def open_members(engine: Engine, fd: int, shown: str) -> Members:
    """What the archive (or the folder) ``fd`` has; a stream is read to its end."""
    if stat.S_ISDIR(os.fstat(fd).st_mode):
        return Folder(shown, fd)
    source = Input(fd)
    members = Members(shown, fd)
    try:
        if source.file is not None:
            members.index(source.file, source.start)
        else:
            members.spool(engine, source.pipe)
    except BaseException:
        members.__exit__()
        raise
    finally:
        source.close()
    return members
