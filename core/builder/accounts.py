"""Names of users and groups of a tree to ids, for --chown and for what WORKDIR makes: /etc/passwd and /etc/group of it.

The files are strangers': they are read by a process inside the tree's view (core/container/view) and bounded here.
"""

from __future__ import annotations

import io
import os
import threading

from pod.core.container import view
from pod.core.errors import PodError
from pod.ext.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.builder.working import Working

_MOST = 4 << 20
"""Bytes of /etc/passwd that are looked at."""
_LAST = 0xFFFFFFFE


def ids(working: Working, text: str) -> tuple[int, int]:
    """(uid, gid) of "user", "user:group", numbers or names. A user's group is its own for a name, as for a number that
    /etc/passwd has; else 0. PodError for names that the tree does not have.
    """
    user, colon, group = text.partition(":")
    uid, gid = _user(working, user) if user else (0, 0)
    if colon and group:
        gid = _group(working, group)
    elif not colon and user.isdecimal():
        gid = uid  # Docker: --chown=10 is 10:10
    return uid, gid


def _user(working: Working, name: str) -> tuple[int, int]:
    if name.isascii() and name.isdecimal():
        return _number(name), _number(name)
    for fields in _table(working, "/etc/passwd"):
        if fields[0] == name and len(fields) >= 4 and fields[2].isdecimal() and fields[3].isdecimal():
            return _number(fields[2]), _number(fields[3])
    raise PodError(f"unable to find user {name}: no matching entries in passwd file")


def _group(working: Working, name: str) -> int:
    if name.isascii() and name.isdecimal():
        return _number(name)
    for fields in _table(working, "/etc/group"):
        if fields[0] == name and len(fields) >= 3 and fields[2].isdecimal():
            return _number(fields[2])
    raise PodError(f"unable to find group {name}: no matching entries in group file")


def _number(text: str) -> int:
    if len(text) > 10 or int(text) > _LAST:
        raise PodError(f"id {text[:20]} is out of range")
    return int(text)


def _table(working: Working, path: str) -> list[list[str]]:
    text = _read(working, path).decode("utf-8", "surrogateescape")
    return [line.split(":") for line in text.splitlines() if line and not line.startswith("#")]


def _read(working: Working, path: str) -> bytes:
    """The file's content, links followed inside the tree; nothing for none."""

    def pack(plan_fd: int) -> bytes:
        reader, writer = os.pipe()
        try:
            job = view.Job("pack", plan_fd, path, stream=writer, base="file", flags=view.FOLLOW)
        except BaseException:
            os.close(reader)
            raise
        finally:
            os.close(writer)
        found: list[bytes] = []
        thread = threading.Thread(target=lambda: found.append(_drain(reader)))
        thread.start()
        try:
            job.result()
        except StepError as error:
            if error.errno not in (2, 20):
                raise view.words(error, "build") from None
            return b""
        finally:
            thread.join()
            os.close(reader)
        return found[0]

    archive = working.plan(pack)
    return _content(archive) if archive else b""


def _drain(reader: int) -> bytes:
    kept = io.BytesIO()
    while part := os.read(reader, 1 << 16):
        if kept.tell() < _MOST:
            kept.write(part)
    return kept.getvalue()


def _content(archive: bytes) -> bytes:
    import tarfile

    with tarfile.open(fileobj=io.BytesIO(archive)) as entries:
        for entry in entries:
            if entry.isreg():
                body = entries.extractfile(entry)
                assert body is not None
                return body.read(_MOST)
    return b""
