"""What COPY and ADD take and where they put it: files of the context, a stage or an image into the view of a stage.

    origin    Host (a folder of the host, as the caller) or Inside (a plan of container/view's: a stage, an image)
    pick      sources, wildcards, excludes, owner and mode to a Picked; nothing is read yet
    digest    of what would be copied: names, types, modes, owners, links, contents, extended attributes; no times
    into      from one process to another as an archive: who packs sees the origin, who unpacks the target alone

All per-file work and resolving of paths is C (ext/src/files/pick.h, place.c). Source: docs.docker.com "COPY", "ADD";
what buildkit's fscopy does: the source itself is followed inside its root, links below it are copied as links, a folder
gives what it has, folders that are missing are made 0755 and belong to whom the files do.
"""

from __future__ import annotations

import os
import posixpath
import stat
import struct

from pod.core.builder import ignore as ignoring
from pod.core.builder.ignore import Ignore
from pod.core.container import view
from pod.core.errors import NotFound, PodError
from pod.core.image.patterns import BadPattern
from pod.ext.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any, Union

    from pod.core.engine import Engine

    Origin = Union["Host", "Inside"]

_KEEP = 0xFFFFFFFF
_LOOK, _DIGEST = 1, 2
_PARTS_MAX = 64
_ALL = Ignore(())


class Host:
    """A folder of the host by its descriptor, seen as the caller; less what ``ignore`` excludes."""

    __slots__ = ("fd", "ignore")

    def __init__(self, dir_fd: int, ignore: Ignore | None = None) -> None:
        self.fd = dir_fd
        self.ignore = ignore or _ALL


class Inside:
    """What a plan of container/view's leads to."""

    __slots__ = ("ignore", "plan_fd")

    def __init__(self, plan_fd: int) -> None:
        self.plan_fd = plan_fd
        self.ignore = _ALL


class CopyWishes:
    """What one COPY asks for. ``owner``: (uid, gid), or None: root's from the host, as they are from inside.

    ``chmod``: octal or as chmod(1) writes it, "" for as they are. ``exclude``: patterns, relative to a source.
    ``parents``: names below the root (or below "/./" in a source) are kept. ``command`` is for messages.
    ``literal``: sources have no wildcards, whatever is in their names.
    """

    __slots__ = ("chmod", "command", "exclude", "literal", "owner", "parents", "sources")

    def __init__(
        self,
        sources: Sequence[str],
        *,
        owner: tuple[int, int] | None = None,
        chmod: str = "",
        exclude: Sequence[str] = (),
        parents: bool = False,
        command: str = "COPY",
        literal: bool = False,
    ) -> None:
        self.sources = list(sources)
        self.owner = owner
        self.chmod = chmod
        self.exclude = list(exclude)
        self.parents = parents
        self.command = command
        self.literal = literal


class Picked:
    """What a COPY takes, once it is asked for; the origin has to be there until then."""

    __slots__ = ("_digest", "_engine", "_found", "_origin", "_rest", "_wishes")

    def __init__(self, engine: Engine, origin: Origin, wishes: CopyWishes) -> None:
        self._engine = engine
        self._origin = origin
        self._wishes = wishes
        self._rest = _request(origin, wishes)
        self._digest = ""
        self._found: dict[str, Any] = {}

    @property
    def digest(self) -> str:
        """ "sha256:…": the same for the same files wherever they lie. NotFound where a source is missing."""
        if not self._digest:
            self._found = self._run(_DIGEST)
            self._digest = "sha256:" + self._found["digest"]
        return self._digest

    @property
    def entries(self) -> int:
        """How many files and folders; once the digest is known."""
        return int(self._found.get("entries", 0))

    @property
    def single(self) -> bool:
        """Whether there is one source: a file, or a folder whose content is meant."""
        return bool(self._look()["items"] == 1)

    def into(self, plan_fd: int, target: str, *, is_folder: bool) -> int:
        """Copies it to the absolute path ``target`` of that view; ``is_folder``: it ended with a slash.

        How many entries that were. PodError where that cannot be, or the origin is no more what the digest says.
        """
        found = self._look()
        if not found["items"]:
            return 0
        directory, name = self._place(plan_fd, target, found, is_folder=is_folder or self._wishes.parents)

        def pack(stream: int) -> view.Job:
            return self._job(_DIGEST, stream, name)

        def unpack(stream: int) -> view.Job:
            return view.Job("unpack", plan_fd, directory, stream=stream)

        try:
            packed, unpacked = view.through_pipe(pack, unpack)
        except StepError as error:
            raise self._failure(error, directory) from None
        self._tell(packed, "cannot be copied")
        self._tell(unpacked, "cannot be made there")
        digest = "sha256:" + packed["digest"]
        if self._digest not in ("", digest):
            hint = "build again when nothing writes there"
            raise PodError(f"{self._wishes.command}: the files changed while they were copied", hint=hint)
        self._digest, self._found = digest, packed
        return int(packed["entries"])

    def _look(self) -> dict[str, Any]:
        if not self._found:
            self._found = self._run(_LOOK)
        return self._found

    def _run(self, flags: int) -> dict[str, Any]:
        try:
            return self._job(flags, -1, "").result()
        except StepError as error:
            raise self._failure(error, "") from None

    def _job(self, flags: int, stream: int, name: str) -> view.Job:
        origin = self._origin
        request = struct.pack("=I", flags) + self._rest
        if isinstance(origin, Host):
            job = view.Job("pick", -1, "", dir_fd=origin.fd, stream=stream, base=name, request=request,
                           flags=view.NO_DEVICES)  # fmt: skip
        else:
            job = view.Job("pick", origin.plan_fd, "", stream=stream, base=name, request=request)
        return job

    def _place(self, plan_fd: int, target: str, found: dict[str, Any], *, is_folder: bool) -> tuple[str, str]:
        """(folder of the view to unpack in, what one file is called there or "" for as it was)."""
        command, owner = self._wishes.command, self._wishes.owner or (0, 0)
        folder = is_folder or bool(found["folders"])
        path = ignoring.clean("/" + target)
        try:
            asked = path.rstrip("/") + "/" if folder else path
            place = view.Job("look", plan_fd, asked, flags=view.FOLLOW | view.MAKE, owner=owner).result()
        except StepError as error:
            if error.errno == 20:
                raise PodError(f"{command}: cannot copy to non-directory: {path}") from None
            raise view.words(error, f"{command}: {path}") from None
        self._tell(place, "cannot be made there")
        if place["look"] & view.EXISTS and stat.S_ISDIR(place["mode"]):
            return place["path"], ""
        if folder:
            raise PodError(f"{command}: cannot copy to non-directory: {path}")
        if found["items"] > 1:
            text = "with more than one source file, the destination must be a directory and end with a /"
            raise PodError(f"When using {command} {text}")
        above, _, name = str(place["path"]).rpartition("/")
        return above or "/", name

    def _failure(self, error: StepError, directory: str) -> PodError:
        command = self._wishes.command
        if error.step == "RESOLVE" and error.errno in (2, 20):
            hint = None
            if self._origin.ignore and self._origin.ignore.excluded(error.path):
                hint = "the ignore file (.dockerignore) excludes it"
            return NotFound(f'failed to compute cache key: "/{error.path}": not found', hint=hint)
        place = f"{directory.rstrip('/')}/{error.path.rstrip('/')}"
        if error.step == "COPY" and error.errno == 21:
            return PodError(f"{command}: cannot replace to directory {place} with file")
        if error.step == "COPY" and error.errno == 20:
            return PodError(f"{command}: cannot copy to non-directory: {place}")
        return view.words(error, command)

    def _tell(self, result: dict[str, Any], why: str) -> None:
        for count, what in ((result["sockets"], "sockets"), (result["devices"], "devices")):
            if count:
                text = f"{count} {what} left out, which {why}; one is {result['name']!r}"
                self._engine.progress("warning", {"text": text})
        if result["owners"]:
            text = f"{result['owners']} files are root's: their owners are not in the id map"
            self._engine.progress("warning", {"text": f"{text}; one is {result['name']!r}"})


def pick(engine: Engine, origin: Origin, wishes: CopyWishes) -> Picked:
    """``wishes`` of ``origin``. PodError for a pattern or a mode that makes no sense."""
    return Picked(engine, origin, wishes)


# ---- the request (ext/src/files/pick_request.c)


def _request(origin: Origin, wishes: CopyWishes) -> bytes:
    """All of it but the flags."""
    uid, gid = wishes.owner or ((0, 0) if isinstance(origin, Host) else (_KEEP, _KEEP))
    changes = mode_changes(wishes.chmod)
    parts = [struct.pack("=III", uid, gid, len(changes))]
    parts += [struct.pack("=IIII", *one) for one in changes]
    parts.append(origin.ignore.encoded())
    parts.append(Ignore([one.lstrip("/") for one in wishes.exclude]).encoded())
    parts.append(struct.pack("=I", len(wishes.sources)))
    parts += [_item(source, parents=wishes.parents, literal=wishes.literal) for source in wishes.sources]
    return b"".join(parts)


def _item(source: str, *, parents: bool, literal: bool) -> bytes:
    if "\0" in source:
        raise PodError(f"a source with a NUL in it: {source!r}")
    if parents:
        above, pivot, pattern = source.partition("/./")
        above, pattern = (above, pattern) if pivot else ("", source)
        wanted = Ignore([ignoring.clean("/" + pattern)[1:] or "**"])
        path = ignoring.clean("/" + above)[1:]
        return ignoring.text_bytes(path) + struct.pack("=II", 0, 1) + wanted.encoded(parents=True)
    path, names = (ignoring.clean("/" + source)[1:], []) if literal else split_wildcards(source)
    if len(names) > _PARTS_MAX:
        raise PodError(f"more than {_PARTS_MAX} folders with wildcards in a source")
    parts = [ignoring.text_bytes(path), struct.pack("=I", len(names))]
    try:
        parts += [ignoring.states_bytes(ignoring.name_states(name)) for name in names]
    except BadPattern as error:
        raise PodError(f"{source}: {error}") from None
    return b"".join([*parts, struct.pack("=I", 0), _ALL.encoded()])


def split_wildcards(source: str) -> tuple[str, list[str]]:
    """(path below the root without wildcards, names from the first that has one on)."""
    names = ignoring.clean("/" + source)[1:].split("/")
    for number, name in enumerate(names):
        if _is_wild(name):
            return "/".join(names[:number]), names[number:]
    return "/".join(names), []


def _is_wild(name: str) -> bool:
    at = 0
    while at < len(name):
        if name[at] in "*?[":
            return True
        at += 2 if name[at] == "\\" else 1
    return False


def mode_changes(text: str) -> list[tuple[int, int, int, int]]:
    """struct pod_pick_change of ``--chmod``: an octal number, or "u=rwX,go-w" and the like. PodError."""
    if not text:
        return []
    if all(character in "01234567" for character in text):
        if int(text, 8) > 0o7777:
            raise PodError(f"invalid chmod parameter: '{text}'. it should be octal string and between 0 and 07777")
        return [(ord("="), 0o7777, int(text, 8), 0)]
    found = []
    for clause in text.split(","):
        found += _clause(clause, text)
    return found


_WHO = {"u": 0o4700, "g": 0o2070, "o": 0o1007, "a": 0o7777}
_BITS = {"r": 0o444, "w": 0o222, "x": 0o111, "s": 0o6000, "t": 0o1000}


def _clause(clause: str, text: str) -> list[tuple[int, int, int, int]]:
    wrong = PodError(f"invalid chmod parameter: '{text}'", hint="an octal number, or as chmod(1) takes it: u=rwX,go=rX")
    at = 0
    where = 0
    while at < len(clause) and clause[at] in _WHO:
        where |= _WHO[clause[at]]
        at += 1
    where = where or 0o7777
    found: list[tuple[int, int, int, int]] = []
    while at < len(clause):
        how = clause[at]
        if how not in "+-=":
            raise wrong
        at += 1
        bits = source = 0
        while at < len(clause) and clause[at] not in "+-=":
            character = clause[at]
            at += 1
            if character in _BITS:
                bits |= _BITS[character]
            elif character in "Xugo" and not source:
                source = ord(character)
            else:
                raise wrong
        found.append((ord(how), where, bits, source))
    if not found:
        raise wrong
    return found


def base_name(source: str) -> str:
    """What a source is called where it arrives."""
    return posixpath.basename(ignoring.clean("/" + source))


def open_folder(path: str) -> int:
    """A descriptor for :class:`Host`. OSError."""
    return os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
