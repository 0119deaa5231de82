"""The content store: blobs/sha256/<hex>. A blob is there or it is not; what is there has its digest.

Writing goes to a file beside it, hashed on the way, and rename publishes; who unpacks it may read it as it grows.
A writer holds a lock on its temporary file, so that what the dead left can be told from the work of the living: the
next writer of the same blob goes on with it.
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import DigestMismatch, PodError, StoreCorrupt
from pod.core.image import durable
from pod.core.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading

    from pod.core.engine import Engine

TEMPORARY = ".part-"
_CHUNK = 1 << 20


def has(engine: Engine, digest: str, size: int | None = None) -> bool:
    """Whether the blob is there, of ``size`` bytes where that is known."""
    try:
        found = os.stat(engine.paths.blob(digest), follow_symlinks=False)
    except FileNotFoundError:
        return False
    return size is None or found.st_size == size


def read(engine: Engine, digest: str, limit: int) -> bytes:
    """A small blob whole, verified. StoreCorrupt where it is missing, larger than ``limit`` bytes or not its digest.

    One that is not its digest is removed: it is worth nothing, and in the way of a good one.
    """
    path = engine.paths.blob(digest)
    try:
        data = statefile.read_bytes(path, limit)
    except FileNotFoundError:
        raise StoreCorrupt(f"read blob: {digest}: missing from the store", hint="pull the image again") from None
    if digests.of(data) != digest:
        drop(engine, digest)
        raise StoreCorrupt(f"read blob: {digest}: its content has changed", hint="pull the image again")
    return data


def open_read(engine: Engine, digest: str, missing: str = "", hint: str = "pull or load the image again") -> int:
    """A descriptor of a blob, the caller's to close. StoreCorrupt, in the words ``missing``, where it is not there."""
    try:
        return os.open(engine.paths.blob(digest), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        raise StoreCorrupt(missing or f"read blob: {digest}: missing from the store", hint=hint) from None


def drop(engine: Engine, digest: str) -> None:
    """Removes a blob; a missing one is fine."""
    import contextlib

    with contextlib.suppress(FileNotFoundError):
        os.unlink(engine.paths.blob(digest))


def put(engine: Engine, data: bytes) -> str:
    """Stores ``data``; returns its digest. Idempotent."""
    digest = digests.of(data)
    if not has(engine, digest, len(data)):
        with Writer(engine, digest, len(data)) as writer:
            writer.write(data)
            writer.commit()
    return digest


class Writer:
    """One blob on its way in; goes on where a dead writer of the same blob ended.

    ``received`` counts the bytes so far, so that a broken download can go on where it ended; ``resumed`` says that they
    came in more than one piece. More bytes than ``size`` or, at commit, another size or digest raise DigestMismatch.
    Leaving the context without :meth:`commit` removes what was written, but for a piece worth going on with (KEEP bytes
    at least): the next writer takes it over, leftovers when it is old.
    """

    __slots__ = (
        "_engine", "_fd", "_followers", "_lock", "_path", "_spoilt", "_valid", "_verifier", "digest", "restarts",
        "resumed", "size",
    )  # fmt: skip

    KEEP = 1 << 20

    def __init__(self, engine: Engine, digest: str, size: int | None) -> None:
        import threading

        self._engine = engine
        self._fd = -1
        self._path = ""
        self._spoilt = False
        self._followers: list[int] = []
        self._lock = threading.Lock()
        self.digest = digest
        self.size = size
        self.resumed = False
        self.restarts = 0
        self._verifier = digests.Verifier(digest, size)
        self._valid = 0
        """Bytes that are in the file: ``received`` runs ahead of it for the time of a write."""

    def __enter__(self) -> Writer:
        if not self._take_over():
            self._make()
        return self

    def _make(self) -> None:
        import fcntl

        while True:
            self._path = f"{self._engine.paths.blobs}/{_prefix(self.digest)}{os.getpid()}-{os.urandom(4).hex()}"
            self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                pass
            except OSError:
                return  # Without flock on this file system the grace time alone protects it.
            else:
                if _is_named(self._fd, self._path):
                    return
            os.close(self._fd)  # Who looked for a dead writer's file saw it before its lock: theirs, or published.

    def _take_over(self) -> bool:
        """Whether there is a dead writer's file of this blob; it is ours then."""
        import fcntl

        for size, path in _parts(self._engine, self.digest):
            if self.size is not None and size > self.size:
                continue
            try:
                fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
            except OSError:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                os.close(fd)
                continue  # Its writer lives.
            if not _is_named(fd, path):
                os.close(fd)
                continue  # It was published or removed just now.
            self._fd, self._path = fd, path
            self.resumed = size > 0
            return True
        return False

    def catch_up(self, stop: threading.Event) -> None:
        """Hashes what a dead writer had. To be called before the first :meth:`write`; ends early when told to stop."""
        while self.resumed and not stop.is_set():
            data = os.read(self._fd, _CHUNK)
            if not data:
                return
            self._verifier.update(data)
            self._tell(self.received)

    @property
    def received(self) -> int:
        return self._verifier.received

    def write(self, data: bytes | memoryview) -> None:
        """Takes the next bytes."""
        try:
            self._verifier.update(data)
        except digests.DigestError as error:
            self._spoilt = True
            raise DigestMismatch(f"download blob: {self.digest}: {error}", hint=_LIAR) from None
        try:
            statefile.put(self._fd, data)
        except OSError as error:
            self._spoilt = True
            raise no_room(f"store blob: {self.digest[:19]}", error) from error
        self._tell(self.received)

    def restart(self) -> None:
        """Forgets what was written: the source could not go on in the middle. Who followed sees the end of the pipe."""
        with self._lock:
            self._drop_followers()
            self.restarts += 1
            self._valid = 0
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self.resumed = False
        self._verifier = digests.Verifier(self.digest, self.size)

    def follow(self) -> tuple[int, int] | None:
        """(file, pipe) for a reader of the growing file, both its own to close; None once it is published or given up.

        The pipe has messages of 8 bytes, little-endian: bytes that are valid from the file's start; with bit 63 set
        these are all, and have their digest. Its end before that: the blob was given up, or begun again.
        """
        with self._lock:
            if not self._path:
                return None
            fd = os.open(self._path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            reader, writer = os.pipe2(os.O_CLOEXEC)
            os.set_blocking(writer, False)
            self._followers.append(writer)
            os.write(writer, self._valid.to_bytes(8, "little"))
            return fd, reader

    def _tell(self, total: int) -> None:
        """Each follower learns how far the file is; a full pipe has enough older messages to read on with."""
        with self._lock:
            self._valid = total
            for writer in list(self._followers):
                try:
                    os.write(writer, total.to_bytes(8, "little"))
                except BlockingIOError:
                    continue
                except BrokenPipeError:
                    self._followers.remove(writer)
                    os.close(writer)

    def _tell_all(self, total: int) -> None:
        """The last message, which must not be lost: waits for room in the pipe."""
        for writer in self._followers:
            os.set_blocking(writer, True)
            try:
                os.write(writer, (total | 1 << 63).to_bytes(8, "little"))
            except BrokenPipeError:
                continue
        self._drop_followers()

    def _drop_followers(self) -> None:
        while self._followers:
            os.close(self._followers.pop())

    def commit(self) -> None:
        """Publishes the blob. DigestMismatch where size or digest are not those announced."""
        try:
            self._verifier.finish()
        except digests.DigestError as error:
            self._spoilt = True
            raise DigestMismatch(f"verify blob: {self.digest}: {error}", hint=_LIAR) from None
        durable.mark_blob(self._engine, self.digest)
        with self._lock:
            try:
                os.rename(self._path, self._engine.paths.blob(self.digest))
            except FileNotFoundError:
                raise StoreCorrupt(f"store blob: {self.digest}: it vanished while it was written") from None
            self._path = ""
            self._tell_all(self.received)

    def __exit__(self, *_: object) -> None:
        import contextlib

        with self._lock:
            self._drop_followers()
            if self._path and (self._spoilt or self.received < self.KEEP):
                with contextlib.suppress(FileNotFoundError):  # A reset of the store may have gone faster.
                    os.unlink(self._path)
            self._path = ""
        os.close(self._fd)


class Nameless:
    """A blob on its way in whose digest nobody knows yet: hidden and locked until :meth:`publish`.

    Leaving the context before that removes it; of who was killed, leftovers does.
    """

    __slots__ = ("_engine", "_fd", "_path")

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._fd = -1
        self._path = ""

    def __enter__(self) -> Nameless:
        import contextlib
        import fcntl

        os.makedirs(self._engine.paths.blobs, 0o700, exist_ok=True)
        self._path = f"{self._engine.paths.blobs}/.new-{os.getpid()}-{os.urandom(8).hex()}"
        self._fd = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with contextlib.suppress(OSError):  # Without flock on this file system the grace time alone protects it.
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self

    def fileno(self) -> int:
        return self._fd

    def publish(self, digest: str) -> None:
        """Gives it its name; one that is there stays, it has the same bytes. The caller has made sure of the digest."""
        size = os.fstat(self._fd).st_size
        if has(self._engine, digest, size):
            return
        durable.mark_blob(self._engine, digest)
        try:
            os.rename(self._path, self._engine.paths.blob(digest))
        except FileNotFoundError:
            raise StoreCorrupt(f"store blob: {digest}: it vanished while it was written") from None
        self._path = ""

    def __exit__(self, *_: object) -> None:
        import contextlib

        if self._path:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(self._path)
            self._path = ""
        os.close(self._fd)


def _is_named(fd: int, path: str) -> bool:
    """Whether the file ``fd`` has the name ``path`` and no other."""
    try:
        named = os.stat(path, follow_symlinks=False)
    except FileNotFoundError:
        return False
    held = os.fstat(fd)
    return (held.st_ino, held.st_dev, held.st_nlink) == (named.st_ino, named.st_dev, 1)


def coming(engine: Engine, digest: str) -> int:
    """Bytes in all temporary files of one blob."""
    return sum(size for size, _ in _parts(engine, digest))


def _parts(engine: Engine, digest: str) -> list[tuple[int, str]]:
    """(bytes, path) of the temporary files of one blob, the longest first."""
    found = []
    for name in os.listdir(engine.paths.blobs):
        if name.startswith(_prefix(digest)):
            path = f"{engine.paths.blobs}/{name}"
            try:
                found.append((os.stat(path, follow_symlinks=False).st_size, path))
            except FileNotFoundError:
                continue  # Published or given up just now.
    return sorted(found, reverse=True)


_LIAR = "the registry, a mirror or something on the way changed the data; nothing of it was kept"


def no_room(what: str, error: OSError) -> PodError:
    """A failed write as one line; the usual reasons get a hint."""
    import errno

    hint = None
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        hint = "free some space, or set POD_ROOT to a folder on a larger file system"
    return PodError(f"{what}: {error.strerror}", hint=hint)


def _prefix(digest: str) -> str:
    """How the temporary files of one blob begin."""
    return f"{TEMPORARY}{digest[7:23]}-"


class Turn:
    """One download for two processes: a lock on the blob's name in the run directory.

    :meth:`wait` returns when the lock is ours, when the blob is there, or when nobody's temporary file has grown for
    STALL seconds: who is stopped or stuck holds nobody up.
    """

    __slots__ = ("_engine", "_fd", "digest")

    STALL = 5.0
    _PAUSE = 0.05

    def __init__(self, engine: Engine, digest: str) -> None:
        self._engine = engine
        self.digest = digest
        self._fd = -1

    def __enter__(self) -> Turn:
        path = f"{self._engine.run_dir}/locks/blob-{self.digest[7:]}"
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        return self

    def wait(self, stop: threading.Event) -> None:
        import fcntl
        import time

        grown, since = -1, time.monotonic()
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
                return
            except BlockingIOError:
                size = coming(self._engine, self.digest)
            except OSError:
                return  # No locks here: two may download it, and the first to be done publishes.
            if size != grown:
                grown, since = size, time.monotonic()
            if has(self._engine, self.digest) or time.monotonic() - since > self.STALL or stop.wait(self._PAUSE):
                return

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
