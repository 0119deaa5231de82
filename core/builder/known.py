"""Builds that were done before and would come to the same: answered from a record, without reading the Dockerfile.

    cache/builds/<key>   {"version":1, "image", "manifest", "files":[[path, digest or ""], …], "tree":digest or "",
                          "skipped":[path, …], "bases":[[name, image id], …],
                          "steps":[[key, digest of its layer, created], …], "events":[…], "warnings":[…]}
                         after a line with the digest of all that
                         key: what was asked, word by word; its mtime is its last use, to an hour; 256 at most

An answer is given only where all that the build rested on is there and the same: the Dockerfile and its ignore files
byte by byte, what the context has (names, and of each file inode, size, times, mode and owner), the images that the
names of FROM and --from lead to, the record and the layer of each step, the image with all its parts. Otherwise the
build goes its way, and builder/known_keep writes down what it came to if every step was in the cache. Warm path:
imports nothing heavy.
"""

from __future__ import annotations

import os
import time

from pod.core import statefile
from pod.core.errors import PodError
from pod.core.image import built_layers, store
from pod.core.oci import digest as digests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.store import Image
    from pod.core.oci.reference import Reference

VERSION = 1
MAX_RECORD = 4 << 20
MAX_ENTRIES = 50000
"""Files and folders of a context; a larger one is always digested anew, in C."""
_MAX_FILE = 4 << 20
_MAX_DEPTH = 200
_USE_NOTED = 3600.0
_FOLDER = 0o040000
_NAMES = ("Dockerfile", "dockerfile", "Dockerfile.dockerignore", "dockerfile.dockerignore", ".dockerignore")


class Outcome:
    """What a build came to, for who tells of it. ``image`` is None where nothing went to the store; the digests are ""
    where no output has them.
    """

    __slots__ = ("config_digest", "events", "image", "manifest_digest", "warnings")

    def __init__(self) -> None:
        self.image: Image | None = None
        self.config_digest = self.manifest_digest = ""
        self.warnings: list[str] = []
        self.events: list[dict[str, Any]] = []
        """Of an answer: what the build told when it was done."""


class Question:
    """A build as it was asked for. ``parts``: every word and variable that may change what it comes to."""

    __slots__ = ("began", "context", "file", "key", "tags")

    def __init__(self, context: str, file: str, tags: Sequence[Reference], parts: list[Any]) -> None:
        self.began = time.time_ns()
        self.context = context
        self.file = file
        self.tags = list(tags)
        own = os.stat(__file__)
        code = [VERSION, __file__, own.st_size, own.st_mtime_ns, os.uname().machine]
        text = statefile.dumps([code, os.getcwd(), context, file, [one.canonical() for one in tags], parts])
        self.key = digests.of_small(text.encode("utf-8", "surrogatepass"))[7:]


def folder(engine: Engine) -> str:
    return engine.paths.cache + "/builds"


def find(engine: Engine, question: Question) -> Outcome | None:
    """The answer; then the image has its names. None where the build has to go its way, also to tidy up."""
    if built_layers.are_left(engine):
        return None
    path = f"{folder(engine)}/{question.key}"
    try:
        told, _, data = statefile.read_bytes(path, MAX_RECORD).partition(b"\n")
        if digests.of_small(data).encode() != told:
            return None  # cut by a crash
        record = statefile.loads(data)
        if record["version"] != VERSION or files(question) != record["files"]:
            return None
        if record["tree"] and tree(question.context, set(record["skipped"])) != record["tree"]:
            return None
        with store.collection_lock(engine, publish=True):
            image = _image(engine, record)
            if image is None:
                return None
            os.utime(engine.paths.image(image.id))  # as if it were published now: `system gc` looks at it
            _name(engine, image, question.tags)
        _note_use(path)
    except (OSError, PodError, ValueError):
        return None  # something that was looked for is not there
    found = Outcome()
    found.image = image
    found.config_digest, found.manifest_digest = image.id, str(image.record["manifest"])
    found.events, found.warnings = record["events"], record["warnings"]
    return found


def _image(engine: Engine, record: Mapping[str, Any]) -> Image | None:
    """The image, if it, what the build stood on and its steps are as they were; the caller holds the lock."""
    for name, wanted in record["bases"]:
        if store.resolve(engine, name).id != wanted:
            return None
    for key, digest, created in record["steps"]:
        step = built_layers.read(engine, key)
        if step is None or step["layer"] is None or [step["layer"]["digest"], step["created"]] != [digest, created]:
            return None
        if not _has(engine, digest, step["layer"]["size"]):
            return None
        built_layers.note_use(engine, key)
    image = store.by_id(engine, record["image"])
    if image.record["manifest"] != record["manifest"]:
        return None
    parts = [(image.id, None), (record["manifest"], None)]
    parts += [(layer["digest"], layer["size"]) for layer in image.record["layers"]]
    return image if all(_has(engine, digest, size) for digest, size in parts) else None


def _has(engine: Engine, digest: str, size: int | None) -> bool:
    found = os.stat(engine.paths.blob(digest), follow_symlinks=False).st_size
    return found == size if size is not None else found > 0


def _name(engine: Engine, image: Image, tags: Sequence[Reference]) -> None:
    """The names, and their events, as a build gives them."""
    from pod.core import events

    for reference in tags:
        ref = store.read_ref(engine, reference.canonical())
        if ref is None or (ref["image"], ref["digest"]) != (image.id, image.record["manifest"]):
            store.give_name(engine, image.id, reference)
    for reference in tags:
        events.emit(engine, "image", "tag", image.id, {"name": reference.familiar()})


def _note_use(path: str) -> None:
    if abs(time.time() - os.stat(path).st_mtime) > _USE_NOTED:
        os.utime(path)


# ---- what the build reads


def files(question: Question) -> list[list[str]]:
    """Every file that may be the Dockerfile or its ignore file, with the digest of its bytes, "" where it is missing.
    OSError, ValueError for what is no plain file, or a link inside the context.
    """
    paths = [(f"{question.context}/{name}", os.O_NOFOLLOW) for name in _NAMES]
    if question.file:
        paths = [(question.file, 0), (question.file + ".dockerignore", 0), paths[-1]]
    return [[path, _digest(path, flag)] for path, flag in paths]


def _digest(path: str, flag: int) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY | flag)
    except FileNotFoundError:
        return ""
    try:
        st = os.fstat(fd)
        if st.st_mode & 0o170000 != 0o100000 or st.st_size > _MAX_FILE:
            raise ValueError("no plain file")
        data = os.read(fd, st.st_size + 1)
        if len(data) != st.st_size:
            raise ValueError("made up by the kernel, or growing")
        return digests.of_small(data)
    finally:
        os.close(fd)


def tree(place: str, skipped: set[str]) -> str:
    """A digest of names and states of everything below ``place`` but for the paths ``skipped``; "" for too much."""
    return digest_of([line for _, line, _ in entries(place, skipped)])


def digest_of(lines: list[str]) -> str:
    """Of the lines that :func:`entries` gives; "" for too many."""
    return digests.of_small("\n".join(lines).encode()) if len(lines) <= MAX_ENTRIES else ""


def entries(place: str, skipped: set[str]) -> Iterator[tuple[str, str, os.stat_result]]:
    """(path below ``place``, its state as a line, stat) of each, in an order that depends on the names alone; one more
    than MAX_ENTRIES at most. What joins ``skipped`` on the way is not gone into. Of a folder its times are no part:
    they tell of names that come and go, which are seen themselves, and of those that are skipped. OSError, ValueError.
    """
    todo = [""]
    count = 0
    while todo:
        above = todo.pop()
        if above[:-1] in skipped:
            continue
        if above.count("/") > _MAX_DEPTH:
            raise ValueError("too deep")
        with os.scandir(f"{place}/{above}") as found:
            here = sorted((one.name, one.stat(follow_symlinks=False)) for one in found)
        for name, st in here:
            path = above + name
            if path in skipped:
                continue
            count += 1
            about = f"{path!a} {st.st_mode} {st.st_uid} {st.st_gid} {st.st_dev} {st.st_ino}"
            if st.st_mode & 0o170000 == _FOLDER:
                todo.append(path + "/")
                about += _attributes(f"{place}/{path}")
            else:
                about += f" {st.st_size} {st.st_mtime_ns} {st.st_ctime_ns} {st.st_rdev}"
            yield path, about, st
            if count > MAX_ENTRIES:
                return


def _attributes(path: str) -> str:
    """Extended attributes of a folder, which its times would tell of."""
    try:
        names = os.listxattr(path, follow_symlinks=False)
    except OSError:
        return ""  # none on this file system
    return "".join([f" {name!a}={os.getxattr(path, name, follow_symlinks=False)!r}" for name in sorted(names)])
