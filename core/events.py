"""What happened in the store, one Docker JSON document a line: the file "events", written here and by the helper.

    $ROOT/events      lines are appended, each by one write; at 4 MiB it becomes
    $ROOT/events.1    the one before, which is then replaced

    {"status": "start", "id": …, "from": IMAGE, "Type": "container", "Action": "start",
     "Actor": {"ID": …, "Attributes": {"image": …, "name": …, LABELS}}, "scope": "local", "time": s, "timeNano": ns}

Writers take no lock: O_APPEND keeps lines whole, and who finds that its file was rotated away twice writes again. A
line that a death or a full disk has cut is closed by the next writer; readers pass over what is no event. The same in
C: ext/src/helper/event.c. Shape: moby api/types/events (status, id and from are of containers and images only).
"""

from __future__ import annotations

import os
import time

from pod.core import statefile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

    from pod.core.engine import Engine

MAX_FILE = 4 << 20
"""Bytes after which the file is rotated."""

MAX_LINE = 1 << 18
"""Bytes; what is longer is none of ours and passed over."""

MAX_LABELS = 16 << 10
"""Bytes of labels, as JSON, that an event carries; further ones are left out."""

_CHUNK = 1 << 16
_TRIES = 4
_APPEND = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK


def emit(engine: Engine, kind: str, action: str, actor_id: str, attributes: dict[str, str]) -> None:
    """Appends an event of now; ``kind`` is container, image, volume or network. Never fails: what cannot be written
    (a full disk, a store that is only read) is left out.
    """
    now = time.time_ns()
    event: dict[str, Any] = {}
    if kind in ("container", "image"):
        event = {"status": action, "id": actor_id}
        if kind == "container":
            event["from"] = attributes.get("image", "")
    event.update({"Type": kind, "Action": action, "Actor": {"ID": actor_id, "Attributes": attributes}})
    event.update({"scope": "local", "time": now // 1_000_000_000, "timeNano": now})
    try:
        _append(engine.paths.root, statefile.dumps(event).encode() + b"\n")
    except OSError:
        return


def label_members(labels: dict[str, Any]) -> str:
    """Labels as members of a JSON object, without braces; MAX_LABELS at most, and none that events have."""
    members = []
    left = MAX_LABELS
    for name in sorted(labels):
        member = statefile.dumps({name: str(labels[name])})[1:-1]
        left -= len(member) + 1
        if left < 0:
            break
        if name not in ("image", "name"):
            members.append(member)
    return ",".join(members)


def _append(folder: str, line: bytes) -> None:
    path = folder + "/events"
    for attempt in range(_TRIES):
        fd = os.open(path, _APPEND, 0o600)
        try:
            st = os.fstat(fd)
            if st.st_mode & 0o170000 != 0o100000:
                return
            if st.st_size and st.st_size + len(line) > MAX_FILE:
                _rotate(folder, st)
                if attempt + 1 < _TRIES:
                    continue
            torn = st.st_size and os.pread(fd, 1, st.st_size - 1) not in (b"\n", b"")
            os.write(fd, b"\n" + line if torn else line)
            if os.fstat(fd).st_nlink:  # else rotated away twice since it was opened: nobody would find the line
                return
        finally:
            os.close(fd)


def _rotate(folder: str, full: os.stat_result) -> None:
    import fcntl

    lock = os.open(folder + "/events.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return
        except OSError:
            pass  # no locks here: of two that rotate at one moment one may take the other's first lines away
        named = os.stat(folder + "/events", follow_symlinks=False)
        if (named.st_ino, named.st_dev) == (full.st_ino, full.st_dev):
            os.rename(folder + "/events", folder + "/events.1")
    except FileNotFoundError:
        return
    finally:
        os.close(lock)


# ---- reading


def parse(line: bytes) -> dict[str, Any] | None:
    """The event of one line with all members of the right kinds, None for what is none."""
    if not line.startswith(b"{"):
        return None
    try:
        event = statefile.loads(line.decode("utf-8", "replace"))
    except ValueError:
        return None
    if not isinstance(event, dict):
        return None
    actor = event.get("Actor")
    attributes = actor.get("Attributes") if isinstance(actor, dict) else None
    if not isinstance(actor, dict) or not isinstance(attributes, dict):
        return None
    if not all(isinstance(value, str) for value in attributes.values()):
        return None
    texts = (event.get("Type"), event.get("Action"), actor.get("ID"))
    moment = event.get("timeNano")
    if not all(isinstance(text, str) for text in texts) or type(moment) is not int or not 0 <= moment < 1 << 63:
        return None
    found = {name: event[name] for name in ("status", "id", "from") if isinstance(event.get(name), str)}
    found.update(Type=texts[0], Action=texts[1], Actor={"ID": texts[2], "Attributes": dict(sorted(attributes.items()))})
    found.update(scope="local", time=moment // 1_000_000_000, timeNano=moment)
    return found


class _Tail:
    """One file, read to its end again and again."""

    __slots__ = ("_fd", "_held", "_skipping", "inode")

    def __init__(self, path: str, *, at_end: bool = False) -> None:
        self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW | os.O_NONBLOCK)
        st = os.fstat(self._fd)
        self.inode = (st.st_ino, st.st_dev)
        self._held = b""
        self._skipping = False
        if at_end:
            os.lseek(self._fd, 0, os.SEEK_END)

    def lines(self) -> Iterator[bytes]:
        """Whole lines that came since the last call."""
        while True:
            data = os.read(self._fd, _CHUNK)
            if not data:
                return
            *whole, rest = (self._held + data).split(b"\n")
            for number, line in enumerate(whole):
                if not (self._skipping and number == 0):
                    yield line
            self._skipping = self._skipping and not whole
            self._held = rest
            if len(rest) > MAX_LINE:
                self._skipping = True
                self._held = b""

    def close(self) -> None:
        os.close(self._fd)


class Reader:
    """The events of a store in the order in which they were written, then those that come: each call of :meth:`read`
    gives what is new. ``whole``: from the beginning of what is kept, else from now on.
    """

    def __init__(self, engine: Engine, *, whole: bool) -> None:
        self._path = engine.paths.root + "/events"
        self._tails: list[_Tail] = []
        self._skips = not whole
        if whole:
            self._open(self._path + ".1")
        self._open(self._path)
        if not self._tails:
            self._open(self._path + ".1")  # the instant between the two names of a rotation
        self._skips = False  # a file that comes later is read whole

    def _open(self, path: str) -> None:
        try:
            tail = _Tail(path, at_end=self._skips)
        except OSError:
            return
        if any(tail.inode == other.inode for other in self._tails):  # rotated between the two
            tail.close()
        else:
            self._tails.append(tail)

    def read(self) -> Iterator[dict[str, Any]]:
        """What came since the last call."""
        for line in self.lines():
            event = parse(line)
            if event is not None:
                yield event

    def lines(self) -> Iterator[bytes]:
        """The same as it stands there, for who seeks a few. A file that was rotated away is kept for one more look: a
        writer may have had it open.
        """
        self._follow_rotation()
        for tail in self._tails:
            yield from tail.lines()

    def _follow_rotation(self) -> None:
        try:
            st = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            return
        if not self._tails or self._tails[-1].inode != (st.st_ino, st.st_dev):
            self._open(self._path + ".1")  # one that came and went between two looks
            self._open(self._path)
            while len(self._tails) > 3:
                self._tails.pop(0).close()

    def close(self) -> None:
        for tail in self._tails:
            tail.close()
        self._tails = []


# ---- filters

FILTERS = (
    "container", "daemon", "event", "image", "label", "network", "plugin", "scope", "type", "volume",
    "config", "node", "secret", "service",
)  # fmt: skip
_BY_PREFIX = ("health_status", "exec_create", "exec_start")


def matcher(filters: list[str]) -> Callable[[dict[str, Any]], bool]:
    """The test of "name=value" texts: one value of each name must fit, of ``label`` all (moby daemon/events/filter.go).

    PodError in Docker's words for a name that is none.
    """
    from pod.core.errors import PodError

    wanted: dict[str, list[str]] = {}
    for text in filters:
        name, _, value = text.partition("=")
        if name not in FILTERS:
            raise PodError(f"invalid filter '{name}'", hint="filters are " + ", ".join(FILTERS[:10]))
        wanted.setdefault(name, []).append(value)
    return lambda event: all(_fits(name, values, event) for name, values in wanted.items())


def _fits(name: str, values: list[str], event: dict[str, Any]) -> bool:
    actor, attributes = event["Actor"]["ID"], event["Actor"]["Attributes"]
    if name == "event":
        if any(value in _BY_PREFIX for value in values):
            return any(event["Action"].startswith(value) for value in values)
        return event["Action"] in values
    if name == "type":
        return event["Type"] in values
    if name == "scope":
        return event["scope"] in values
    if name == "label":
        return all(_has_label(attributes, value) for value in values)
    if name == "image":
        named = attributes.get("image" if event["Type"] == "container" else "name", "")
        found = {named, _stripped(named)} | ({actor, _stripped(actor)} if event["Type"] == "image" else set())
        return event["Type"] in ("image", "container") and any(value in found for value in values)
    if event["Type"] != name:
        return False
    return any(actor.startswith(value) or attributes.get("name", "").startswith(value) for value in values)


def _has_label(attributes: dict[str, str], wanted: str) -> bool:
    name, equals, value = wanted.partition("=")
    return name in attributes and (not equals or attributes[name] == value)


def _stripped(name: str) -> str:
    """An image's name without its tag."""
    head, _, tag = name.rpartition(":")
    return head if head and "/" not in tag else name
