"""Contexts that come from the web or from git, and what ADD has besides COPY: addresses, repositories, archives.

    local file             as COPY has it; an archive (told by its content, however compressed) is unpacked, with the
                           owners that it says, unless an owner, a mode or an exclude is wished
    http(s)://…            a file of 0600 named by the address; unpacked with --unpack
    git                    the repository's files, or those of its folder

Each source is digested by what it is, and fetched once.
"""

from __future__ import annotations

import os
import stat

from pod.core.builder import context as contexts
from pod.core.builder import copying, download, git
from pod.core.builder import ignore as ignoring
from pod.core.builder.context import Context, Plain, Scratch
from pod.core.builder.copying import CopyWishes, Host, Picked
from pod.core.container import view
from pod.core.errors import PodError
from pod.core.image import archive_input, archive_tar
from pod.core.image.patterns import BadPattern, Pattern
from pod.ext.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Union

    from pod.core.engine import Engine

    Part = Union["Picked", "_Fetched", "_Archive"]

_MATCHES_MAX = 100000


# ---- contexts


def open_context(engine: Engine, word: str, *, stdin_fd: int, file: str) -> Context:
    """The context at an address; ``file`` is a path in it, or "-"."""
    context, only = _fetched(engine, word, file)
    try:
        if file == "-":
            contexts.fill_from_stream(context, stdin_fd)
        elif only:
            context.dockerfile = only
        else:
            contexts.fill(context, file)
    except BaseException:
        context.close()
        raise
    return context


def open_named(engine: Engine, word: str) -> Context:
    """A --build-context at an address, which has no Dockerfile. PodError where it is no archive and no repository."""
    context, only = _fetched(engine, word, "")
    try:
        if only:
            raise PodError(f"build context {download.shown(word)}: no archive")
        context.ignore = contexts.ignore_of(context.fd)
    except BaseException:
        context.close()
        raise
    return context


def _fetched(engine: Engine, word: str, file: str) -> tuple[Context, bytes]:
    """The files at an address; of what is no archive an empty folder, and the bytes."""
    scratch = Scratch(engine)
    try:
        folder = f"{scratch.path}/context"
        if not git.is_git(word):
            only = _from_web(engine, word, scratch, folder, file)
            return Context(os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), scratch), only
        one = git.parse(word)
        git.checkout(engine.environ, one, folder)
        fd = contexts.open_inside(scratch.open_folder(folder), one.folder)
        if fd < 0 or not stat.S_ISDIR(os.fstat(fd).st_mode):
            raise PodError(f"{download.shown(one.url)}: no folder {one.folder!r} in the repository")
        return Context(fd, scratch), b""
    except BaseException:
        scratch.remove()
        raise


def _from_web(engine: Engine, url: str, scratch: Scratch, folder: str, file: str) -> bytes:
    """Fills the new ``folder``; of what is no archive the bytes, which are a Dockerfile."""
    path = f"{scratch.path}/download"
    download.fetch(engine, url, path)
    os.mkdir(folder, 0o755)
    with open(path, "rb") as stream:
        head = stream.read(archive_tar.BLOCK)
        stream.seek(0)
        if contexts.is_archive(head):
            os.lseek(stream.fileno(), len(head), os.SEEK_SET)
            contexts.unpack(engine, stream.fileno(), head, folder, download.shown(url))
            return b""
        if file not in ("", "-"):
            raise PodError(f"{download.shown(url)}: no archive, so -f {file} names nothing in it")
        os.lseek(stream.fileno(), 0, os.SEEK_SET)
        return contexts.read_stream(stream.fileno())


# ---- ADD


class Added:
    """What an ADD takes, in its order. Close it: what was fetched goes then."""

    __slots__ = ("_parts", "_scratch")

    def __init__(self, parts: list[Part], scratch: Scratch | None) -> None:
        self._parts = parts
        self._scratch = scratch

    def __enter__(self) -> Added:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        if self._scratch is not None:
            self._scratch.remove()
            self._scratch = None

    @property
    def digest(self) -> str:
        """ "sha256:…" of all; an address with a checksum is not fetched for it."""
        import hashlib

        if len(self._parts) == 1:
            return self._parts[0].digest
        return "sha256:" + hashlib.sha256(" ".join(part.digest for part in self._parts).encode()).hexdigest()

    @property
    def entries(self) -> int:
        return sum(part.entries for part in self._parts)

    @property
    def single(self) -> bool:
        return len(self._parts) == 1 and self._parts[0].single

    def into(self, plan_fd: int, target: str, *, is_folder: bool) -> int:
        """As :meth:`Picked.into`."""
        return sum(part.into(plan_fd, target, is_folder=is_folder) for part in self._parts)


def add(
    engine: Engine,
    origin: Host,
    wishes: CopyWishes,
    *,
    checksum: str = "",
    keep_git_dir: bool = False,
    unpack: bool | None = None,
) -> Added:
    """``wishes`` of ADD; ``unpack`` None: archives of the context are unpacked, downloads are not."""
    remote = [source for source in wishes.sources if _is_remote(source)]
    if checksum and len(remote) != len(wishes.sources):
        raise PodError("checksum can't be specified for non-HTTP(S) and non-Git sources")
    scratch = Scratch(engine) if remote else None
    try:
        parts: list[Part] = []
        local: list[str] = []
        for source in wishes.sources:
            if source not in remote:
                local.append(source)
                continue
            parts += _local(engine, origin, wishes, local, unpack=unpack is not False)
            local = []
            assert scratch is not None
            if git.is_git(source):
                parts.append(_repository(engine, source, wishes, scratch, checksum, keep=keep_git_dir))
            else:
                parts.append(_Fetched(engine, source, wishes, scratch, checksum, unpack=unpack is True))
        parts += _local(engine, origin, wishes, local, unpack=unpack is not False)
        return Added(parts, scratch)
    except BaseException:
        if scratch is not None:
            scratch.remove()
        raise


def is_any(sources: Sequence[str]) -> bool:
    """Whether one of the sources is an address."""
    return any(_is_remote(source) for source in sources)


def _is_remote(source: str) -> bool:
    return download.is_url(source) or git.is_git(source)


def _repository(
    engine: Engine, source: str, wishes: CopyWishes, scratch: Scratch, commit: str, *, keep: bool
) -> Picked:
    one = git.parse(source)
    folder = _new_name(scratch)
    git.checkout(engine.environ, one, folder, keep=keep, commit=commit)
    return copying.pick(engine, Host(scratch.open_folder(folder)), _like(wishes, [one.folder or "."]))


def _new_name(scratch: Scratch) -> str:
    return f"{scratch.path}/{os.urandom(4).hex()}"


def _like(wishes: CopyWishes, sources: list[str]) -> CopyWishes:
    return CopyWishes(
        sources, owner=wishes.owner, chmod=wishes.chmod, exclude=wishes.exclude, command=wishes.command, literal=True
    )


class _Fetched:
    """A file of the web, fetched when it is needed."""

    __slots__ = ("_checksum", "_engine", "_part", "_scratch", "_unpack", "_url", "_wishes")

    def __init__(
        self, engine: Engine, url: str, wishes: CopyWishes, scratch: Scratch, checksum: str, *, unpack: bool
    ) -> None:
        download.host_of(url)
        if checksum:
            download.check_digest(checksum)
        self._engine = engine
        self._url = url
        self._wishes = wishes
        self._scratch = scratch
        self._checksum = checksum
        self._unpack = unpack
        self._part: Part | None = None

    @property
    def digest(self) -> str:
        """By the content's digest, which a checksum tells without asking for it."""
        import hashlib

        if not self._checksum:
            self._fetch()
        known = [self._checksum, download.file_name(self._url), self._wishes.owner or (0, 0), self._wishes.chmod]
        return "sha256:" + hashlib.sha256(repr([*known, self._wishes.exclude, self._unpack]).encode()).hexdigest()

    @property
    def entries(self) -> int:
        return self._fetch().entries

    @property
    def single(self) -> bool:
        return True

    def into(self, plan_fd: int, target: str, *, is_folder: bool) -> int:
        return self._fetch().into(plan_fd, target, is_folder=is_folder)

    def _fetch(self) -> Part:
        if self._part is None:
            folder = _new_name(self._scratch)
            os.mkdir(folder, 0o755)
            name = download.file_name(self._url)
            self._checksum = download.fetch(self._engine, self._url, f"{folder}/{name}", checksum=self._checksum)
            origin = Host(self._scratch.open_folder(folder))
            wishes = _like(self._wishes, [name])
            self._part = _one(self._engine, origin, wishes, unpack=self._unpack)
        return self._part


# ---- files of the context


def _local(engine: Engine, origin: Host, wishes: CopyWishes, sources: list[str], *, unpack: bool) -> Iterator[Part]:
    """Archives each for itself, all others together."""
    if not sources:
        return
    if wishes.parents or not unpack:
        plain = CopyWishes(
            sources, owner=wishes.owner, chmod=wishes.chmod, exclude=wishes.exclude, parents=wishes.parents,
            command=wishes.command,
        )  # fmt: skip
        yield copying.pick(engine, origin, plain)
        return
    rest: list[str] = []
    for source in sources:
        found = list(_expand(origin, source))
        archives = [path for path in found if is_archive_at(origin.fd, path)]
        if not archives:
            rest.append(source)
            continue
        if rest:
            yield copying.pick(engine, origin, _wild(wishes, rest))
            rest = []
        for path in found:
            yield _one(engine, origin, _like(wishes, [path]), unpack=path in archives)
    if rest:
        yield copying.pick(engine, origin, _wild(wishes, rest))


def _wild(wishes: CopyWishes, sources: list[str]) -> CopyWishes:
    found = _like(wishes, sources)
    found.literal = False
    return found


def _one(engine: Engine, origin: Host, wishes: CopyWishes, *, unpack: bool) -> Part:
    picked = copying.pick(engine, origin, wishes)
    if not unpack or not is_archive_at(origin.fd, wishes.sources[0]):
        return picked
    return _Archive(engine, origin, wishes, picked)


def _expand(origin: Host, source: str) -> Iterator[str]:
    """The paths that ``source`` means, by names alone; what is ignored is not there."""
    path, names = copying.split_wildcards(source)
    if not names:
        yield path
        return
    try:
        patterns = [Pattern(name) for name in names]
    except BadPattern as error:
        raise PodError(f"{source}: {error}") from None
    found = [path]
    for number, pattern in enumerate(patterns):
        below = []
        for folder in found:
            fd = contexts.open_inside(origin.fd, folder)
            if fd < 0:
                continue
            try:
                inner = sorted(name for name in os.listdir(fd) if pattern.matches(name))
            except NotADirectoryError:
                inner = []
            finally:
                os.close(fd)
            below += [f"{folder}/{name}" if folder else name for name in inner]
            if len(below) > _MATCHES_MAX:
                raise PodError(f"{source}: more than {_MATCHES_MAX} names fit")
        found = below if number == len(patterns) - 1 else [one for one in below if _is_folder(origin.fd, one)]
    yield from (one for one in found if not origin.ignore.excluded(one))


def _is_folder(root: int, path: str) -> bool:
    fd = contexts.open_inside(root, path)
    if fd < 0:
        return False
    try:
        return stat.S_ISDIR(os.fstat(fd).st_mode)
    finally:
        os.close(fd)


def is_archive_at(root: int, path: str) -> bool:
    """Whether the file ``path`` below ``root`` is a tar archive, also a compressed one; what is in it is looked at."""
    fd = contexts.open_inside(root, path)
    if fd < 0:
        return False
    try:
        if not stat.S_ISREG(os.fstat(fd).st_mode):
            return False
        head = os.pread(fd, archive_tar.BLOCK, 0)
        if not archive_input.kind_of(head[: archive_input.HEAD]):
            return archive_tar.is_header(head)
        source = archive_input.Input(fd)
        try:
            return archive_tar.is_header(source.pipe.read(archive_tar.BLOCK))
        except PodError:
            return False
        finally:
            source.close()
    finally:
        os.close(fd)


class _Archive:
    """A local archive, unpacked in the target."""

    __slots__ = ("_engine", "_file", "_origin", "_wishes", "entries")

    def __init__(self, engine: Engine, origin: Host, wishes: CopyWishes, file: Picked) -> None:
        self._engine = engine
        self._origin = origin
        self._wishes = wishes
        self._file = file
        self.entries = 0

    @property
    def digest(self) -> str:
        import hashlib

        return "sha256:" + hashlib.sha256(f"unpacked {self._file.digest}".encode()).hexdigest()

    @property
    def single(self) -> bool:
        return True

    def into(self, plan_fd: int, target: str, *, is_folder: bool) -> int:
        wishes = self._wishes
        before = self._file.digest
        fd = contexts.open_inside(self._origin.fd, wishes.sources[0])
        if fd < 0:
            raise PodError(f"{wishes.command}: {wishes.sources[0]}: it was there a moment ago")
        try:
            if wishes.owner is None and not wishes.chmod and not wishes.exclude:
                self.entries = self._unpack(fd, plan_fd, target)
            else:
                self.entries = self._unpack_apart(fd, plan_fd, target)
        finally:
            os.close(fd)
        if copying.pick(self._engine, self._origin, wishes).digest != before:
            raise PodError(f"{wishes.command}: the files changed while they were copied", hint="build again")
        return self.entries

    def _unpack(self, fd: int, plan_fd: int, target: str) -> int:
        """With the owners that it says."""
        path = ignoring.clean("/" + target).rstrip("/") + "/"
        command = self._wishes.command
        try:
            place = view.Job("look", plan_fd, path, flags=view.FOLLOW | view.MAKE).result()
        except StepError as error:
            if error.errno == 20:
                raise PodError(f"{command}: cannot copy to non-directory: {path}") from None
            raise view.words(error, f"{command}: {path}") from None
        with Plain(fd, os.read(fd, archive_tar.BLOCK)) as plain:
            try:
                result = view.Job("unpack", plan_fd, place["path"], stream=plain.fd).result()
            except StepError as error:
                raise view.words(error, f"{command} {self._wishes.sources[0]}") from None
            plain.check()
        for count, what in ((result["devices"], "devices"), (result["owners"], "owners")):
            if count:
                text = f"{count} {what} of {self._wishes.sources[0]} left out; one is of {result['name']!r}"
                self._engine.progress("warning", {"text": text})
        return int(result["entries"])

    def _unpack_apart(self, fd: int, plan_fd: int, target: str) -> int:
        """Owner, mode or exclude are wished: unpacked here, then copied as those say."""
        scratch = Scratch(self._engine)
        try:
            name = self._wishes.sources[0]
            contexts.unpack(self._engine, fd, os.read(fd, archive_tar.BLOCK), scratch.path, name)
            origin = Host(scratch.open_folder(scratch.path))
            picked = copying.pick(self._engine, origin, _like(self._wishes, ["."]))
            return picked.into(plan_fd, target, is_folder=True)
        finally:
            scratch.remove()
