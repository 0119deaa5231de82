"""Id maps: which ids of the host a container's ids are, and work done inside such a map.

Two kinds. "range": the user's own id and sub-ids, written by newuidmap/newgidmap. "single": the user's own id alone,
no helper; a container's other ids then exist only by root emulation. user_namespaces(7), subuid(5).
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import HostUnsupported, PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pod.core.engine import Engine

    Extent = tuple[int, int, int]

MAX_EXTENTS = 32
_MAX_ANSWER = 64 << 20


class IdMap:
    """A map of container ids to host ids.

    ``uids`` and ``gids`` are extents (inside, outside, count) with host ids outside; ``key`` names the folder of
    layers that are owned by this map, and of its pins.
    """

    __slots__ = ("gids", "key", "kind", "newgidmap", "newuidmap", "uids")

    def __init__(
        self, kind: str, key: str, uids: list[Extent], gids: list[Extent], newuidmap: str = "", newgidmap: str = ""
    ) -> None:
        self.kind = kind
        self.key = key
        self.uids = uids
        self.gids = gids
        self.newuidmap = newuidmap
        self.newgidmap = newgidmap


def default_map(engine: Engine) -> IdMap:
    """The map of a container that asks for nothing: own id as 0, then the sub-ids; else the one id."""
    facts = engine.facts
    if facts.idmap_kind != "range":
        return IdMap("single", "single", [(0, os.geteuid(), 1)], [(0, os.getegid(), 1)])
    uids = _own_and_ranges(os.geteuid(), facts.uid_ranges)
    gids = _own_and_ranges(os.getegid(), facts.gid_ranges)
    key = "u" + "_".join([f"{start}-{count}" for _, start, count in uids[1:]])
    return IdMap("range", key, uids, gids, facts.newuidmap, facts.newgidmap)


def _own_and_ranges(own: int, ranges: list[tuple[int, int]]) -> list[Extent]:
    extents = [(0, own, 1)]
    inside = 1
    for start, count in ranges[: MAX_EXTENTS - 1]:
        extents.append((inside, start, count))
        inside += count
    return extents


def keep_id_map(engine: Engine, uid: int, gid: int) -> IdMap:
    """The caller's id as ``uid``:``gid`` inside, everything else from the sub-ids (podman's --userns=keep-id)."""
    base = engine.idmap
    if base.kind == "single":
        return IdMap("single", "single", [(uid, os.geteuid(), 1)], [(gid, os.getegid(), 1)])
    key = f"{base.key}.k{uid}.{gid}"
    return IdMap("range", key, _shift(base.uids, uid), _shift(base.gids, gid), base.newuidmap, base.newgidmap)


def _shift(extents: list[Extent], place: int) -> list[Extent]:
    """The first extent (one own id) moved to ``place``; the sub-ids fill the places around it in order."""
    moved = []
    inside = 0
    for _, outside, count in extents[1:]:
        while count:
            if inside == place:
                moved.append((place, extents[0][1], 1))
                inside += 1
            take = min(count, place - inside) if inside < place else count
            moved.append((inside, outside, take))
            inside, outside, count = inside + take, outside + take, count - take
    if place >= inside:
        moved.append((place, extents[0][1], 1))
    return moved


def custom_map(engine: Engine, uid_specs: list[str], gid_specs: list[str]) -> IdMap:
    """--uidmap and --gidmap, "container:intermediate:count": 0 is the caller's own id, 1… are the sub-ids (as
    podman's).

    One list alone serves for both.
    """
    base = engine.idmap
    if base.kind != "range":
        raise HostUnsupported(
            "map ids: this user has no subordinate ids",
            hint="an administrator gives some: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 USER",
        )
    uids = [extent for spec in uid_specs or gid_specs for extent in _translate(spec, base.uids)]
    gids = [extent for spec in gid_specs or uid_specs for extent in _translate(spec, base.gids)]
    uids = _with_own(uids, os.geteuid())
    gids = _with_own(gids, os.getegid())
    if len(uids) > MAX_EXTENTS or len(gids) > MAX_EXTENTS:
        raise UsageError(f"map ids: more than {MAX_EXTENTS} extents")
    if not any(extent[0] == 0 for extent in uids) or not any(extent[0] == 0 for extent in gids):
        raise UsageError("map ids: 0 is not mapped", hint="a container is made by its root: map 0 to one of your ids")
    text = repr((uids, gids)).encode()
    import zlib

    key = f"{base.key}.m{zlib.crc32(text):08x}{len(text):x}"
    return IdMap("range", key, uids, gids, base.newuidmap, base.newgidmap)


def _with_own(extents: list[Extent], own: int) -> list[Extent]:
    """The caller's own id, above all others where it was left out: the store's folders are its property, and a
    namespace without it could not even look at them.
    """
    if any(outside <= own < outside + count for _, outside, count in extents):
        return extents
    return [*extents, (max(inside + count for inside, _, count in extents), own, 1)]


def auto_map(engine: Engine, taken: set[int], size: int = 1024) -> IdMap:
    """--userns auto: a block of ``size`` sub-ids that no container of ``taken`` (first intermediate ids) has."""
    total = sum(count for _, _, count in engine.idmap.uids[1:])
    for start in range(1, total + 2 - size, size):
        if start not in taken:
            return custom_map(engine, [f"0:{start}:{size}"], [])
    if engine.idmap.kind == "range":
        raise HostUnsupported(
            f"map ids: no block of {size} subordinate ids is free", hint="remove a container made with --userns auto"
        )
    return custom_map(engine, ["0:1:1"], [])


def _translate(spec: str, base: list[Extent]) -> list[Extent]:
    parts = spec.split(":")
    if len(parts) not in (2, 3) or not all(part.isascii() and part.isdigit() and len(part) <= 10 for part in parts):
        raise UsageError(f"map ids: invalid mapping: {spec!r}", hint="the form is container:host:count, e.g. 0:1:1000")
    inside, middle, count = int(parts[0]), int(parts[1]), int(parts[2]) if len(parts) == 3 else 1
    result = []
    for start, outside, size in base:
        low, high = max(middle, start), min(middle + count, start + size)
        if low < high:
            result.append((inside + low - middle, outside + low - start, high - low))
    if sum(extent[2] for extent in result) != count or not count:
        raise UsageError(f"map ids: {spec}: not all of these ids are yours", hint="'pod doctor' lists your sub-ids")
    return result


def pins_dir(engine: Engine, idmap: IdMap) -> str:
    """Folder of the pins of this map's namespaces, made if missing."""
    path = f"{engine.run_dir}/pins/{idmap.key}"
    try:
        os.mkdir(path, 0o700)
    except FileExistsError:
        pass
    return path


def enter(engine: Engine, idmap: IdMap) -> None:
    """Moves this process, which must have one thread, to where the map's owners can be written; there is no way back.

    With a range that makes it root of the map's user namespace; a single id is the caller's own: nothing to do.
    """
    if idmap.kind == "single":
        return
    from pod.core.runtime import plan
    from pod.ext import process

    process.enter_idmap(
        pins_dir(engine, idmap), plan.extents(idmap.uids), plan.extents(idmap.gids), idmap.newuidmap, idmap.newgidmap
    )


def call_mapped(engine: Engine, idmap: IdMap, function: Callable[[], bytes]) -> bytes:
    """Runs ``function`` where the map's owners can be written and removed; returns its bytes.

    With a range that is a forked child, root of the map's user namespace; a single id is the caller's own, right here.
    A PodError of the child is raised here again (class, message, hint); any other end of it is a PodError too.
    """
    if idmap.kind == "single":
        return function()
    pins_dir(engine, idmap)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(reader)
            enter(engine, idmap)
            statefile.put(writer, b"+" + function())
        except PodError as error:
            statefile.put(writer, _pack(type(error).__name__, error.message, error.hint))
        except OSError as error:
            statefile.put(writer, _pack("PodError", f"work in the user namespace: {error}", None))
        except BaseException as error:  # noqa: BLE001 - a fork must not run the parent's handlers
            statefile.put(writer, _pack("PodError", f"work in the user namespace: {error!r}", None))
        finally:
            os._exit(0)
    statefile.close_unwritten(writer)
    try:
        answer = _receive(reader)
    finally:
        statefile.close_unwritten(reader)
        os.waitpid(child, 0)
    if answer[:1] == b"+":
        return answer[1:]
    raise _unpack(answer)


def _receive(descriptor: int) -> bytes:
    parts = []
    size = 0
    while part := os.read(descriptor, 65536):
        parts.append(part)
        size += len(part)
        if size > _MAX_ANSWER:
            raise PodError("work in the user namespace: the answer is too large")
    return b"".join(parts)


def _pack(kind: str, message: str, hint: str | None) -> bytes:
    return b"-" + statefile.dumps([kind, message, hint]).encode()


def _unpack(answer: bytes) -> PodError:
    from pod.core import errors

    if not answer:
        return PodError("work in the user namespace: the process ended without an answer")
    kind, message, hint = statefile.loads(answer[1:])
    found = getattr(errors, kind, PodError)
    if not (isinstance(found, type) and issubclass(found, PodError)) or found is errors.LaunchFailed:
        found = PodError
    return found(message, hint=hint)


def end_with_parent(parent: int, number: int) -> None:
    """In a child: it gets that signal when ``parent``, which forked it, ends; at once where that is gone already."""
    from pod.ext import process

    process.end_with_parent(parent, number)
