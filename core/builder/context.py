"""The context of a build: a folder, an archive or Dockerfile from standard input, or something of the web or of git.

    DIRECTORY                  the folder, as the caller sees it
    -                          an archive where its first bytes are one's, else a Dockerfile without a context
    http(s)://… , git          builder/remote

What comes as an archive is unpacked in a folder of its own in the store, which goes when the context is closed; the
locks of those who live protect them, and the next build takes away what the dead left:

    cache/contexts/<pid>-<random>/      flock held by the build
"""

from __future__ import annotations

import errno
import os
import stat

from pod.core import statefile
from pod.core.builder import ignore as ignoring
from pod.core.builder.ignore import Ignore
from pod.core.container import view
from pod.core.errors import NotFound, PodError, UsageError
from pod.core.image import archive_input, archive_tar, trash
from pod.ext.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pod.core.engine import Engine

DOCKERFILE = "Dockerfile"
DOCKERFILE_MAX = 4 << 20
"""Bytes of a Dockerfile."""
_LINKS_MAX = 40
_DEPTH_MAX = 256
_HEAD = 512
_GRACE = 60.0
"""Seconds in which a folder that nobody holds yet is left alone."""


class Context:
    """``fd``: its folder. ``dockerfile``: the bytes, ``dockerfile_name`` what messages call it, ``ignore`` or None.

    Close it in any case; it is a context manager.
    """

    __slots__ = ("_scratch", "dockerfile", "dockerfile_name", "fd", "ignore")

    def __init__(self, fd: int, scratch: Scratch | None = None) -> None:
        self.fd = fd
        self.dockerfile = b""
        self.dockerfile_name = DOCKERFILE
        self.ignore: Ignore | None = None
        self._scratch = scratch

    def __enter__(self) -> Context:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Removes what was only for this build; a second time does nothing."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = None


class Scratch:
    """A folder of this build alone, by ``path``."""

    __slots__ = ("_engine", "_lock", "_open", "path")

    def __init__(self, engine: Engine) -> None:
        import fcntl

        self._open: list[int] = []

        folder = engine.paths.cache + "/contexts"
        os.makedirs(folder, 0o700, exist_ok=True)
        collect(engine)
        self._engine = engine
        self.path = f"{folder}/{os.getpid()}-{os.urandom(4).hex()}"
        os.mkdir(self.path, 0o700)
        self._lock = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            pass  # without flock here its age alone protects it

    def open_folder(self, path: str) -> int:
        """A descriptor of one of its folders, which is closed with it."""
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC | os.O_NOFOLLOW)
        self._open.append(fd)
        return fd

    def remove(self) -> None:
        while self._open:
            os.close(self._open.pop())
        try:
            trash.discard(self._engine, self.path, self._engine.idmap)
        finally:
            os.close(self._lock)


def collect(engine: Engine) -> int:
    """Removes the folders of builds that were killed, and returns how many there were."""
    import fcntl
    import time

    folder = engine.paths.cache + "/contexts"
    removed = 0
    try:
        names = os.listdir(folder)
    except OSError:
        return 0
    for name in names:
        path = f"{folder}/{name}"
        try:
            fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        except OSError:
            continue
        try:
            age = time.time() - os.fstat(fd).st_mtime
            if age < _GRACE:
                continue
            try:
                fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                continue
            except OSError:
                if age < 86400.0:
                    continue  # no locks here: time alone tells
            trash.discard(engine, path, engine.idmap)
            removed += 1
        except OSError:
            continue  # somebody was faster
        finally:
            os.close(fd)
    return removed


# ---- opening one


def open_context(engine: Engine, word: str, *, stdin_fd: int = 0, file: str = "", remote_ok: bool = True) -> Context:
    """The context that ``word`` means; ``file``: -f, "-" for standard input.

    ``remote_ok``: URLs and git count. NotFound, PodError with Docker's words; nothing is left then.
    """
    if word == "-" and file == "-":
        raise UsageError("invalid argument: can't use stdin for both build context and dockerfile")
    if word == "-":
        return _from_stream(engine, stdin_fd, file, "standard input")
    if remote_ok and _is_remote(word):
        from pod.core.builder import remote

        return remote.open_context(engine, word, stdin_fd=stdin_fd, file=file)
    return _from_folder(word, stdin_fd, file)


def open_named(engine: Engine, word: str) -> Context:
    """A --build-context: a folder or an address, without a Dockerfile. PodError where it is neither."""
    if _is_remote(word):
        from pod.core.builder import remote

        return remote.open_named(engine, word)
    try:
        context = Context(os.open(word, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC))
    except OSError as error:
        raise PodError(f"build context {word}: {(error.strerror or 'failed').lower()}") from None
    return _with_ignore(context)


def _with_ignore(context: Context) -> Context:
    try:
        context.ignore = ignore_of(context.fd)
    except BaseException:
        context.close()
        raise
    return context


def _is_remote(word: str) -> bool:
    """Whether it is an address; what is a folder here is one, but for whole addresses."""
    from pod.core.builder import download, git

    return download.is_url(word) or (git.is_git(word) and ("://" in word or not os.path.isdir(word)))


def _from_folder(word: str, stdin_fd: int, file: str) -> Context:
    try:
        fd = os.open(word, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        if error.errno == errno.ENOENT:
            raise NotFound(f'unable to prepare context: path "{word}" not found') from None
        reason = (error.strerror or "failed").lower()
        raise PodError(f'unable to prepare context: path "{word}": {reason}') from None
    context = Context(fd)
    try:
        if file == "-":
            fill_from_stream(context, stdin_fd)
        elif file:
            context.dockerfile, beside = _named_file(fd, file)
            context.dockerfile_name = file
            context.ignore = beside or ignore_of(fd, "")
        else:
            fill(context, "")
    except BaseException:
        context.close()
        raise
    return context


def _named_file(context_fd: int, file: str) -> tuple[bytes, Ignore | None]:
    """-f of a folder: where the caller is, else in the context; with the ignore file beside it."""
    raw = _own_file(file, DOCKERFILE_MAX)
    if raw is not None:
        beside = _own_file(file + ".dockerignore", ignoring.MAX_BYTES)
        return raw, None if beside is None else Ignore(ignoring.read(beside))
    raw = read_inside(context_fd, file, DOCKERFILE_MAX) if not file.startswith("/") else None
    if raw is None:
        raise _no_dockerfile(file)
    beside = read_inside(context_fd, file + ".dockerignore", ignoring.MAX_BYTES)
    return raw, None if beside is None else Ignore(ignoring.read(beside))


def _no_dockerfile(name: str) -> NotFound:
    hint = "name another one with -f"
    return NotFound(f"failed to read dockerfile: open {name}: no such file or directory", hint=hint)


def fill_from_stream(context: Context, stream: int) -> None:
    """The Dockerfile from a descriptor, and the context's own ignore file."""
    context.dockerfile = read_stream(stream)
    context.ignore = ignore_of(context.fd, "")


def fill(context: Context, file: str) -> None:
    """The Dockerfile ``file`` ("": the default names) in the context itself, and its ignore file."""
    for name in (file,) if file else (DOCKERFILE, DOCKERFILE.lower()):
        raw = read_inside(context.fd, name, DOCKERFILE_MAX)
        if raw is not None:
            context.dockerfile, context.dockerfile_name = raw, name
            context.ignore = ignore_of(context.fd, name)
            return
    raise _no_dockerfile(file or DOCKERFILE)


def ignore_of(fd: int, dockerfile: str = "") -> Ignore | None:
    """By NAME.dockerignore of the Dockerfile, else .dockerignore; None where there is neither."""
    for name in ([dockerfile + ".dockerignore"] if dockerfile else []) + [".dockerignore"]:
        raw = read_inside(fd, name, ignoring.MAX_BYTES)
        if raw is not None:
            try:
                return Ignore(ignoring.read(raw))
            except PodError as error:
                raise PodError(f"{name}: {error.message}") from None
    return None


def _from_stream(engine: Engine, stream: int, file: str, shown: str) -> Context:
    """An archive, or a Dockerfile alone, from a descriptor that is read once."""
    head = archive_input.first(stream, _HEAD)
    scratch = Scratch(engine)
    try:
        context = Context(os.open(scratch.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), scratch)
    except BaseException:
        scratch.remove()
        raise
    try:
        if is_archive(head):
            unpack(engine, stream, head, scratch.path, shown)
            fill(context, file)
        elif file:
            hint = "-f names a file inside an archive; leave it out to build a Dockerfile from standard input"
            raise PodError("the context from standard input is no archive", hint=hint)
        else:
            context.dockerfile = _bounded(head, stream)
    except BaseException:
        context.close()
        raise
    return context


# ---- archives


def is_archive(head: bytes) -> bool:
    """Whether something that begins so (512 bytes) is a tar archive, perhaps compressed."""
    if archive_input.kind_of(head[: archive_input.HEAD]):
        return True
    return archive_tar.is_header(head)


def unpack(engine: Engine, stream: int, head: bytes, folder: str, shown: str) -> None:
    """The archive ``stream`` (after ``head``) into the host's ``folder``; behind walls, everything is the caller's."""
    with Plain(stream, head) as plain:
        try:
            result = view.Job("unpack", -1, folder, stream=plain.fd).result()
        except StepError as error:
            raise view.words(error, f"read context from {shown}") from None
        plain.check()
    if result["devices"]:
        text = f"{result['devices']} devices of the context left out; one is {result['name']!r}"
        engine.progress("warning", {"text": text})


class Plain:
    """An archive, however it is compressed, as a descriptor that gives something C can read: plain, gzip or zstd.

    What was read of it already is given again, and xz and bzip2 decoded (archive_input), by a child that does nothing
    else; the rest is decoded by who unpacks, behind walls.
    """

    __slots__ = ("_answer", "_child", "fd")

    def __init__(self, stream: int, head: bytes) -> None:
        reader, writer = os.pipe2(os.O_CLOEXEC)
        answer, verdict = os.pipe2(os.O_CLOEXEC)
        try:
            self._child = os.fork()
        except OSError as error:
            for fd in (reader, writer, answer, verdict):
                os.close(fd)
            raise PodError(f"read archive: start a process: {error.strerror}") from None
        if self._child == 0:
            statefile.close_unwritten(reader)
            statefile.close_unwritten(answer)
            _pump(stream, head, writer, verdict)
        statefile.close_unwritten(writer)
        statefile.close_unwritten(verdict)
        self.fd, self._answer = reader, answer

    def __enter__(self) -> Plain:
        return self

    def check(self) -> None:
        """Once its end was read: ArchiveError where that was not all, or damaged."""
        words = b""
        while len(words) < 4096:
            part = os.read(self._answer, 4096)
            if not part:
                break
            words += part
        if words != b"whole":
            raise archive_tar.ArchiveError(words.decode("utf-8", "replace") or "read archive: it breaks off")

    def __exit__(self, *_: object) -> None:
        os.close(self.fd)
        os.close(self._answer)
        os.kill(self._child, 9)
        os.waitpid(self._child, 0)


def _pump(stream: int, head: bytes, writer: int, verdict: int) -> None:
    """In the child, which ends."""
    try:
        compressed = archive_input.kind_of(head[: archive_input.HEAD]) in ("xz", "bzip2")
        source = archive_input.Input(stream, head).pipe if compressed else archive_tar.Pipe(_reads(stream), head)
        while data := source.some(1 << 20):
            statefile.put(writer, data)
        os.close(writer)
        os.write(verdict, b"whole")
    except PodError as error:
        os.write(verdict, error.message.encode("utf-8", "replace")[:4096])
    except OSError as error:
        os.write(verdict, f"read archive: {error.strerror}".encode()[:4096])
    finally:
        os._exit(0)


def _reads(stream: int) -> Callable[[int], bytes]:
    return lambda count: os.read(stream, count)


# ---- files of a folder that strangers may have made


def read_stream(stream: int) -> bytes:
    """A Dockerfile from a descriptor."""
    return _bounded(b"", stream)


def _bounded(head: bytes, fd: int, limit: int = DOCKERFILE_MAX) -> bytes:
    parts, size = [head], len(head)
    while size <= limit:
        part = os.read(fd, 1 << 16)
        if not part:
            return b"".join(parts)
        parts.append(part)
        size += len(part)
    raise PodError(f"it has more than {limit} bytes", hint="a Dockerfile, or an archive whose first header is right")


def _own_file(path: str, limit: int) -> bytes | None:
    """A file that the caller named; None where there is none."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise PodError(f"failed to read dockerfile: open {path}: {(error.strerror or 'failed').lower()}") from None
    try:
        if stat.S_ISDIR(os.fstat(fd).st_mode):
            raise PodError(f"failed to read dockerfile: read {path}: is a directory")
        return _bounded(b"", fd, limit)
    finally:
        os.close(fd)


def read_inside(folder: int, path: str, limit: int) -> bytes | None:
    """The plain file ``path`` below ``folder``, links followed inside it; None where there is none.

    Part by part by descriptors, so that no link and no race leads out. PodError for what is no file or too large.
    """
    fd = open_inside(folder, path)
    if fd < 0:
        return None
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            raise PodError(f"{path}: not a regular file")
        return _bounded(b"", fd, limit)
    finally:
        os.close(fd)


def open_inside(folder: int, path: str) -> int:
    """A descriptor to read ``path`` below ``folder`` by, links followed inside it; -1 where that does not exist."""
    above = [os.dup(folder)]
    todo = _parts(path)
    links = 0
    try:
        while todo and links <= _LINKS_MAX and len(above) < _DEPTH_MAX:
            name = todo.pop()
            if name == "..":
                _up(above, 1)
                continue
            target = _link(name, above[-1])
            if target:
                links += 1
                _up(above, len(above) if target.startswith("/") else 0)
                todo += _parts(target)
            elif todo:
                flags = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
                above.append(os.open(name, flags, dir_fd=above[-1]))
            else:
                flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
                return os.open(name, flags, dir_fd=above[-1])
        return os.dup(above[-1]) if not todo else -1
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP):
            return -1
        raise PodError(f"open {path}: {(error.strerror or 'failed').lower()}") from None
    finally:
        for fd in above:
            os.close(fd)


def _parts(path: str) -> list[str]:
    """Its names, the first one last."""
    return [name for name in path.split("/") if name not in ("", ".")][::-1]


def _up(above: list[int], count: int) -> None:
    while count and len(above) > 1:
        os.close(above.pop())
        count -= 1


def _link(name: str, folder: int) -> str:
    """Where the link leads; "" of what is none."""
    try:
        return os.readlink(name, dir_fd=folder)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        return ""
