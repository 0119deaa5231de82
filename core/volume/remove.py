"""Taking volumes away: ``volume rm``, ``volume prune``, and anonymous ones with their container.

A volume goes by a rename to a hidden name. Nobody holds a lock: who makes a container publishes its record and then
looks whether its volumes are there; who removes a volume looks for users, renames, looks again, puts back what
somebody took meanwhile, and else renames it into the trash, which others may empty at any moment.

Two empty files in the folder of an anonymous volume: ``shared``, once a container other than its maker got it (by
--volumes-from, or by name), and ``released``, when the supervisor of a --rm container was done with one that is
shared; the next command that looks removes those that nobody uses any more.
"""

from __future__ import annotations

import os

from pod.core import events, statefile, storedir
from pod.core.errors import Conflict, NoSuchVolume, StoreCorrupt
from pod.core.volume import store

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.volume.store import Volume


def users(engine: Engine) -> dict[str, list[str]]:
    """The ids of the containers that have each volume, by its name; StoreCorrupt where a record cannot be read."""
    found: dict[str, list[str]] = {}
    for container_id in sorted(name for name in storedir.names(engine.paths.containers) if name[:1] != "."):
        try:
            config = statefile.read(engine.paths.container(container_id) + "/config.json")
        except (FileNotFoundError, NotADirectoryError):
            continue  # being made or removed at this moment
        for name in names_in(config):
            found.setdefault(name, []).append(container_id)
    return found


def names_in(config: dict[str, Any]) -> set[str]:
    """The volumes of a container's record."""
    return {str(mount.get("Name")) for mount in config.get("Mounts") or [] if mount.get("Type") == "volume"}


def remove(engine: Engine, name: str, *, force: bool) -> None:
    """``volume rm``: Conflict where containers have it, NoSuchVolume where there is none (not with ``force``)."""
    try:
        volume: Volume | None = store.find(engine, name)
    except NoSuchVolume:
        if force:
            return
        raise
    except StoreCorrupt:
        volume = None  # removable all the same
    folder = volume.folder if volume else engine.paths.volume(name)
    _check_unused(name, users(engine))
    if not _take(engine, name, folder) and not force:
        raise NoSuchVolume(f"get {name}: no such volume", hint="it was removed a moment ago")


def _check_unused(name: str, used: dict[str, list[str]]) -> None:
    if used.get(name):
        shown = ", ".join(used[name])
        raise Conflict(
            f"remove {name}: volume is in use - [{shown}]",
            hint="remove the containers first: pod rm " + " ".join(one[:12] for one in used[name]),
        )


def _take(engine: Engine, name: str, folder: str) -> bool:
    """Renames a volume out of sight; Conflict, and it is back, where a container took it at that moment."""
    aside = store.half_made(engine)
    try:
        os.rename(folder, aside)
    except (FileNotFoundError, NotADirectoryError):
        return False
    try:
        os.utime(aside)  # what another node sees of that name is litter once it is old
        _check_unused(name, users(engine))
    except BaseException:
        try:
            os.rename(aside, folder)
        except OSError:
            storedir.into_trash(engine.paths, aside)  # somebody made a new one of that name: it has that
        raise
    storedir.into_trash(engine.paths, aside)
    tell(engine, name)
    return True


def tell(engine: Engine, name: str) -> None:
    """The event of a volume that has gone."""
    events.emit(engine, "volume", "destroy", name, {"driver": "local"})


class Pruned:
    """``names`` of the volumes that went, and the bytes that they had."""

    __slots__ = ("names", "reclaimed")

    def __init__(self) -> None:
        self.names: list[str] = []
        self.reclaimed = 0


def prune(engine: Engine, wanted: Callable[[Volume], bool]) -> Pruned:
    """Removes the volumes that no container has, as far as ``wanted`` says so."""
    from pod.core.volume.listing import size

    outcome = Pruned()
    used = users(engine)
    for volume in store.list_all(engine):
        if volume.name in used or not wanted(volume):
            continue
        bytes_of_it = size(engine, volume)
        try:
            if _take(engine, volume.name, volume.folder):
                outcome.names.append(volume.name)
                outcome.reclaimed += bytes_of_it
        except Conflict:
            continue  # taken meanwhile
    events.emit(engine, "volume", "prune", "", {"reclaimed": str(outcome.reclaimed)})
    return outcome


def share(engine: Engine, name: str) -> None:
    """Notes that an anonymous volume is another container's too."""
    path = engine.paths.volume(name) + "/shared"
    if not os.path.exists(path):
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def release(engine: Engine, names: Iterable[str], container_id: str) -> None:
    """Removes the anonymous volumes of a container that has gone; one that another has stays, for that one to take."""
    used: dict[str, list[str]] | None = None
    for name in names:
        folder = engine.paths.volume(name)
        if os.path.exists(folder + "/shared"):
            used = users(engine) if used is None else used
            if [one for one in used.get(name, []) if one != container_id]:
                continue
        if storedir.into_trash(engine.paths, folder):
            tell(engine, name)
