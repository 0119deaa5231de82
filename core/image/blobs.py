"""The content store: blobs/sha256/<hex>. A blob is there or it is not; what is there has its digest.

Writing goes to a file beside it, hashed on the way, and rename publishes. A writer holds a lock on its temporary file,
so that leftovers of the dead can be told from the work of the living (see leftovers).
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import DigestMismatch, PodError, StoreCorrupt
from pod.core.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    import threading

    from pod.core.engine import Engine

_TEMPORARY = ".part-"


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
    """One blob on its way in. Leaving the context without :meth:`commit` removes what was written.

    ``received`` counts the bytes so far, so that a broken download can go on where it ended. More bytes than ``size``
    or, at commit, another size or digest raise DigestMismatch.
    """

    __slots__ = ("_engine", "_fd", "_path", "_verifier", "digest", "size")

    def __init__(self, engine: Engine, digest: str, size: int | None) -> None:
        self._engine = engine
        self._fd = -1
        self._path = ""
        self.digest = digest
        self.size = size
        self._verifier = digests.Verifier(digest, size)

    def __enter__(self) -> Writer:
        import contextlib
        import fcntl

        name = f"{_prefix(self.digest)}{os.getpid()}-{os.urandom(4).hex()}"
        self._path = f"{self._engine.paths.blobs}/{name}"
        self._fd = os.open(self._path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        with contextlib.suppress(OSError):  # Without flock on this file system the grace time alone protects it.
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return self

    @property
    def received(self) -> int:
        return self._verifier.received

    def write(self, data: bytes) -> None:
        """Takes the next bytes."""
        try:
            self._verifier.update(data)
        except digests.DigestError as error:
            raise DigestMismatch(f"download blob: {self.digest}: {error}", hint=_LIAR) from None
        view = memoryview(data)
        try:
            while view:
                view = view[os.write(self._fd, view) :]
        except OSError as error:
            raise no_room(f"store blob: {self.digest[:19]}", error) from error

    def restart(self) -> None:
        """Forgets what was written: the source could not go on in the middle."""
        os.ftruncate(self._fd, 0)
        os.lseek(self._fd, 0, os.SEEK_SET)
        self._verifier = digests.Verifier(self.digest, self.size)

    def commit(self) -> None:
        """Publishes the blob. DigestMismatch where size or digest are not those announced."""
        try:
            self._verifier.finish()
        except digests.DigestError as error:
            raise DigestMismatch(f"verify blob: {self.digest}: {error}", hint=_LIAR) from None
        os.rename(self._path, self._engine.paths.blob(self.digest))
        self._path = ""

    def __exit__(self, *_: object) -> None:
        import contextlib

        if self._path:
            with contextlib.suppress(FileNotFoundError):  # A reset of the store may have gone faster.
                os.unlink(self._path)
        os.close(self._fd)


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
    return f"{_TEMPORARY}{digest[7:23]}-"


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
                size = self._progress()
            if size != grown:
                grown, since = size, time.monotonic()
            if has(self._engine, self.digest) or time.monotonic() - since > self.STALL or stop.wait(self._PAUSE):
                return

    def _progress(self) -> int:
        """Bytes in all temporary files of this blob."""
        total = 0
        prefix = _prefix(self.digest)
        for name in os.listdir(self._engine.paths.blobs):
            if name.startswith(prefix):
                try:
                    total += os.stat(f"{self._engine.paths.blobs}/{name}").st_size
                except FileNotFoundError:
                    continue  # Published or given up just now.
        return total

    def __exit__(self, *_: object) -> None:
        os.close(self._fd)
