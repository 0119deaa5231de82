"""Blobs to trees: layers/<map>/<hex of chainID>/{diff,owners,done} and flat-<hex>/{diff,owners,done}, by pod.ext.layer.

A layer folder appears by rename, whole, after the digest of its unpacked tar was held against the diffID. Each has
a lock of its own: two processes that need the same layer do the work once.
"""

from __future__ import annotations

import errno
import os

from pod.core import statefile, storedir
from pod.core.errors import DigestMismatch, PodError
from pod.core.image import durable, trash
from pod.core.image.layers import is_done
from pod.core.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.runtime.userns import IdMap

MAX_BYTES = 1 << 40
"""Unpacked bytes of one layer at most; the free space of the file system is the nearer bound."""
MAX_ENTRIES = 1 << 24
LOCK_TIMEOUT = 3600.0
_SPARE = 64 << 20
LIMITS = "is a limit on processes or memory too low? ('ulimit -a')"
_AGAIN = "the image is damaged or forged; pull it again"


class Refused(PodError):
    """A layer that could not be unpacked; ``errno`` is that of the step that failed."""

    def __init__(self, message: str, *, hint: str | None = None, errno: int = 0) -> None:
        super().__init__(message, hint=hint)
        self.errno = errno


class Unpacking:
    """One layer on its way: a hidden folder, locked, and the descriptors that its extraction needs.

    The steps: :meth:`prepare`, then :class:`Apart` with :meth:`request` and :meth:`descriptors` in whatever process,
    then :meth:`publish` with its answer; :meth:`close` in any case, and :meth:`give_up` before it, which
    does nothing once it is published.
    """

    __slots__ = (
        "_blob", "_coming", "_engine", "_held", "_idmap", "_owners", "_pipe", "_root", "folder", "layer", "path",
    )  # fmt: skip

    def __init__(self, engine: Engine, layer: dict[str, Any], idmap: IdMap) -> None:
        self._engine = engine
        self._idmap = idmap
        self.layer = layer
        self.path = engine.paths.layer(idmap.key, layer["chainID"])
        self.folder = ""
        self._coming = False
        self._blob = self._root = self._owners = self._held = self._pipe = -1

    def lock(self, timeout: float) -> statefile.Lock:
        """The lock of this layer. Who has it and is stopped, or needs more than ``timeout`` seconds, is not waited for:
        of two that unpack, the second to be done throws its own away. 0: Busy at once.
        """
        return _lock(self._engine, self._idmap, self.path.rpartition("/")[2], timeout)

    def holder_is_stopped(self) -> bool:
        """Whether a process that has the lock (or one at work for it) is stopped just now."""
        from pod.core import holders

        return holders.stopped_holder_of(lock_path(self._engine, self._idmap, self.path.rpartition("/")[2])) > 0

    def prepare(self, source: tuple[int, int] | None = None) -> None:
        """Makes the folder. ``source``: (file, pipe) of a blob that is still coming (blobs.Writer.follow), ours from
        now on; else the blob is read from the store, StoreCorrupt where it is not there.
        """
        if source is not None:
            self._blob, self._pipe = source
            self._coming = True
        else:
            self._blob = _open_blob(self._engine, self.layer)
        parent = self.path.rpartition("/")[0]
        os.makedirs(parent, 0o700, exist_ok=True)
        self.folder = f"{parent}/.{self.layer['chainID'][7:23]}.{os.getpid()}.{os.urandom(4).hex()}"
        self._held = _make_held(self.folder)
        os.mkdir(self.folder + "/diff", 0o755)
        os.chmod(self.folder + "/diff", 0o755)
        self._root = os.open(self.folder + "/diff", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._owners = os.open(self.folder + "/owners", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)

    def request(self) -> dict[str, Any]:
        """What :class:`Apart` is asked, as JSON can carry it."""
        return {
            "digest": self.layer["digest"],
            "mapped": self._idmap.kind == "range",
            "dialect": self._engine.facts.layer_dialect,
            "limit": _max_bytes(self._root),
            "userns": self._engine.facts.userns,
        }

    def descriptors(self) -> list[int]:
        """For :class:`Apart`: blob, root, owners, the folder's lock, and the pipe that tells of the blob's growth."""
        return [self._blob, self._root, self._owners, self._held, *([self._pipe] if self._pipe >= 0 else [])]

    def let_go(self) -> None:
        """Once another process has the descriptors: the writer of the blob must see when that one goes."""
        if self._pipe >= 0:
            os.close(self._pipe)
            self._pipe = -1

    def publish(self, answer: list[Any]) -> None:
        """Holds what :class:`Apart` found against the image's digests, then gives the folder its name."""
        blob_hex, _blob_size, diff_hex, diff_size, entries = answer
        self._compare(blob_hex, diff_hex)
        if _hides_all(self.folder + "/diff"):
            statefile.write(self.folder + "/opaque", {"version": 1})
        dialect = self._engine.facts.layer_dialect
        done = {"version": 1, "diffID": self.layer["diffID"], "size": diff_size, "entries": entries, "dialect": dialect}
        statefile.write(self.folder + "/done", done)
        if _publish(self._engine, self._idmap, self.folder, self.path):
            self.folder = ""

    def blame(self) -> None:
        """After a failed extraction: DigestMismatch if the blob in the store is not what it was, and it is dropped."""
        if not self._coming:
            self._compare(digests.of_file(self._blob)[7:], self.layer["diffID"][7:])

    def _compare(self, blob_hex: str, diff_hex: str) -> None:
        layer = self.layer
        for what, wanted, got in (("blob", layer["digest"], blob_hex), ("unpacked layer", layer["diffID"], diff_hex)):
            if "sha256:" + got == wanted:
                continue
            if what == "blob":
                from pod.core.image import blobs

                blobs.drop(self._engine, layer["digest"])  # Worth nothing, and in the way of a good one.
            raise DigestMismatch(
                f"extract layer: {layer['digest']}: wrong digest: {what} is sha256:{got}, not {wanted}", hint=_AGAIN
            )

    def close(self) -> None:
        """Closes the descriptors; the folder's lock goes with them."""
        for descriptor in (self._blob, self._root, self._owners, self._held, self._pipe):
            if descriptor >= 0:
                os.close(descriptor)
        self._blob = self._root = self._owners = self._held = self._pipe = -1

    def give_up(self) -> str:
        """Takes what was not published out of sight; its path in the trash, for :func:`remove_tree`, "" for none."""
        folder, self.folder = self.folder, ""
        return storedir.into_trash(self._engine.paths, folder) if folder else ""


class Apart:
    """The child that unpacks one layer behind walls (ext/src/core/sandbox.h). The caller has one thread. Refused."""

    __slots__ = ("_answer", "_digest", "_parts", "_pid")

    def __init__(self, request: dict[str, Any], descriptors: list[int]) -> None:
        from pod.ext import layer

        blob, root, owners, _held, *pipe = descriptors
        self._digest = request["digest"]
        self._parts: list[bytes] = []
        try:
            self._pid, self._answer = layer.start_extract(
                blob, root, owners, mapped=request["mapped"], dialect=request["dialect"], max_bytes=request["limit"],
                max_entries=MAX_ENTRIES, follow=pipe[0] if pipe else -1, userns=request["userns"],
            )  # fmt: skip
        except OSError as error:
            raise _explain(error, self._digest) from error

    def fileno(self) -> int:
        return self._answer

    def is_done(self) -> bool:
        """Reads what there is, or waits for it; True at the end: :meth:`result` will not wait then."""
        part = os.read(self._answer, 4096)
        if len(self._parts) < 16:  # A child gone mad fills no memory; such an answer is refused for its length.
            self._parts.append(part)
        return not part

    def result(self) -> list[Any]:
        """[blob hex, blob bytes, diff hex, diff bytes, entries] at its end; Refused. An interrupt ends the child."""
        from pod.ext import layer

        try:
            while not self.is_done():
                pass
        except BaseException:
            self.end()
            raise
        status = self._gone()
        try:
            return list(layer.extract_result(b"".join(self._parts)))
        except OSError as error:
            if os.WIFSIGNALED(status):
                said = f"the process that does it was ended by signal {os.WTERMSIG(status)}"
                raise Refused(f"extract layer: {self._digest[:19]}: {said}", hint=LIMITS, errno=errno.EIO) from error
            raise _explain(error, self._digest) from error

    def end(self) -> None:
        """Kills it, and waits until nothing of it is left."""
        os.kill(self._pid, 9)
        self._gone()

    def _gone(self) -> int:
        os.close(self._answer)
        return os.waitpid(self._pid, 0)[1]


def extract(engine: Engine, layer: dict[str, Any], idmap: IdMap) -> str:
    """Extracts one layer of an image record and publishes it; returns its folder. Waits for another who is at it."""
    from pod.core.runtime import userns

    job = Unpacking(engine, layer, idmap)
    with job.lock(LOCK_TIMEOUT):
        if is_done(job.path):
            return job.path
        try:
            job.prepare()
            request, descriptors = job.request(), job.descriptors()
            try:
                answer = userns.call_mapped(
                    engine, idmap, lambda: statefile.dumps(Apart(request, descriptors).result()).encode()
                )
            except PodError:
                job.blame()
                raise
            job.publish(statefile.loads(answer))
        finally:
            aside = job.give_up()
            job.close()
            if aside:
                trash.remove_tree(engine, aside, idmap)
    return job.path


def _lock(engine: Engine, idmap: IdMap, name: str, timeout: float) -> statefile.Lock:
    return statefile.Lock(lock_path(engine, idmap, name), timeout=timeout, optional=timeout > 0)


def lock_path(engine: Engine, idmap: IdMap, name: str) -> str:
    """The file of the lock of the layer folder ``name``."""
    return f"{engine.run_dir}/locks/layer-{idmap.key}-{name}"


def _make_held(folder: str) -> int:
    """Makes a folder and returns a descriptor that holds its lock: leftovers leaves it alone while we live."""
    import contextlib
    import fcntl

    os.mkdir(folder, 0o700)
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    with contextlib.suppress(OSError):  # Without flock on this file system the grace time alone protects it.
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    return fd


def _open_blob(engine: Engine, layer: dict[str, Any]) -> int:
    from pod.core.image import blobs

    return blobs.open_read(
        engine, layer["digest"], f"extract layer: {layer['digest']}: its blob is missing", "pull the image"
    )


def _publish(engine: Engine, idmap: IdMap, folder: str, path: str) -> bool:
    """Gives the whole folder its name; False where another process was faster, whose layer is as good.

    What lies there without "done" is no layer by any rule, and put out of the way.
    """
    durable.mark_layer(engine, idmap.key, path.rpartition("/")[2])
    while True:
        try:
            os.rename(folder, path)
            return True
        except OSError as error:
            if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
                raise
        if is_done(path):
            return False
        storedir.into_trash(engine.paths, path)


def _hides_all(root: str) -> bool:
    """Whether the layer hides everything below it (``.wh..wh..opq`` at its top)."""
    try:
        return os.getxattr(root, "user.overlay.opaque") == b"y"
    except OSError:
        return os.path.lexists(root + "/.wh..wh..opq")


def _max_bytes(descriptor: int) -> int:
    space = os.fstatvfs(descriptor)
    return min(MAX_BYTES, space.f_bavail * space.f_frsize + _SPARE)


def _explain(error: OSError, digest: str) -> Refused:
    """An OSError of the extraction as one line."""
    from pod.ext.errors import StepError

    said = str(error) if isinstance(error, StepError) else f"{error.filename or ''}: {error.strerror}".lstrip(": ")
    hint = None
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        hint = "free some space, or set POD_ROOT to a folder on a larger file system"
    return Refused(f"extract layer: {digest[:19]}: {said}", hint=hint, errno=error.errno or 0)


def flatten(engine: Engine, folders: list[str], idmap: IdMap, path: str) -> None:
    """Builds the tree flat-<hex> at ``path`` of the layers ``folders``, base first; others who want it wait."""
    folder, _, name = path.rpartition("/")
    with _lock(engine, idmap, name, LOCK_TIMEOUT):
        if is_done(path):
            return
        os.makedirs(folder, 0o700, exist_ok=True)
        temporary = f"{folder}/.{name[:21]}.{os.getpid()}.{os.urandom(4).hex()}"
        held = _make_held(temporary)
        try:
            _flatten(engine, folders, idmap, temporary)
            if not _publish(engine, idmap, temporary, path):
                trash.discard(engine, temporary, idmap)
        except BaseException:
            trash.discard(engine, temporary, idmap)
            raise
        finally:
            os.close(held)


def _flatten(engine: Engine, folders: list[str], idmap: IdMap, temporary: str) -> None:
    from pod.core.runtime import userns
    from pod.ext import layer

    os.mkdir(temporary + "/diff", 0o755)
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW
    trees: list[int] = []
    owners: list[int] = []
    try:
        for folder in (*folders, temporary):
            trees.append(os.open(folder + "/diff", flags | os.O_DIRECTORY))
        owners += [os.open(folder + "/owners", flags) for folder in folders]
        owners.append(os.open(temporary + "/owners", os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600))

        def work() -> bytes:
            layer.flatten(trees[:-1], trees[-1], owners[:-1], owners[-1])
            return b""

        userns.call_mapped(engine, idmap, work)
    finally:
        for descriptor in (*trees, *owners):
            os.close(descriptor)
    statefile.write(temporary + "/done", {"version": 1, "layers": [folder.rpartition("/")[2] for folder in folders]})
