"""The volumes of the store: volumes/<name>/{_data,volume.json}. Making and finding them.

Beside those two may lie: owners (ext/src/emulator/sidecar.h), filling (ext/src/core/mount_volume.c), and for anonymous
ones shared and released (:mod:`pod.core.volume.remove`).
"""

from __future__ import annotations

import os

from pod.core import events, statefile, storedir
from pod.core.errors import Conflict, NoSuchVolume, PodError, StoreCorrupt
from pod.core.volume import options as driver_options
from pod.core.volume.syntax import valid_name

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine

ANONYMOUS = "com.docker.volume.anonymous"
"""Docker's label of volumes that nobody named."""


class Volume:
    """One volume. ``options`` and ``labels`` are never None."""

    __slots__ = ("folder", "labels", "name", "options", "record")

    def __init__(self, name: str, folder: str, record: dict[str, Any]) -> None:
        self.name = name
        self.folder = folder
        self.record = record
        self.labels: dict[str, str] = dict(record.get("Labels") or {})
        self.options: dict[str, str] = dict(record.get("Options") or {})

    @property
    def mountpoint(self) -> str:
        return self.folder + "/_data"

    @property
    def anonymous(self) -> bool:
        return ANONYMOUS in self.labels

    def document(self) -> dict[str, Any]:
        """What ``volume inspect`` shows."""
        return {
            "CreatedAt": self.record.get("CreatedAt", ""),
            "Driver": "local",
            "Labels": self.labels or None,
            "Mountpoint": self.mountpoint,
            "Name": self.name,
            "Options": self.options or None,
            "Scope": "local",
        }


def check_driver(driver: str) -> None:
    """PodError in Docker's words for a driver other than local."""
    if driver not in ("", "local"):
        raise PodError(
            f'error looking up volume plugin {driver}: plugin "{driver}" not found',
            hint="pod has no plugins; the local driver binds folders where something is mounted (-o o=bind)",
        )


def check_name(name: str) -> None:
    """PodError in Docker's words."""
    if len(name) < 2:
        raise PodError("volume name is too short, names should be at least two alphanumeric characters")
    if not valid_name(name):
        raise PodError(
            f'create {name}: "{name}" includes invalid characters for a local volume name, only '
            '"[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed',
            hint="if you intended to pass a host directory, use an absolute path",
        )


def find(engine: Engine, name: str) -> Volume:
    """The volume of that name. NoSuchVolume, or StoreCorrupt where its record cannot be read."""
    folder = engine.paths.volume(name)
    if valid_name(name):
        try:
            return Volume(name, folder, _checked(statefile.read(folder + "/volume.json"), folder))
        except (FileNotFoundError, NotADirectoryError):
            if os.path.isdir(folder + "/_data"):  # its record was lost; what it holds is there
                return Volume(name, folder, {})
    raise NoSuchVolume(f"get {name}: no such volume", hint="'pod volume ls' lists them")


def _checked(record: dict[str, Any], folder: str) -> dict[str, Any]:
    for member in ("Labels", "Options"):
        found = record.get(member) or {}
        if not isinstance(found, dict) or not all(isinstance(value, str) for value in found.values()):
            raise StoreCorrupt(f"read record: {folder}/volume.json: {member} is broken", hint="remove the file")
    return record


def list_all(engine: Engine) -> list[Volume]:
    """Every volume by name; one that vanishes meanwhile is passed over, one whose record is broken warned of."""
    found = []
    for name in sorted(storedir.names(engine.paths.volumes)):
        if name[:1] == ".":
            continue
        try:
            found.append(find(engine, name))
        except NoSuchVolume:
            continue
        except StoreCorrupt as error:
            engine.progress("warning", {"text": error.message})
    return found


def create(
    engine: Engine, name: str = "", *, options: dict[str, str] | None = None, labels: dict[str, str] | None = None
) -> Volume:
    """The volume ``name``, made where there is none ("": an anonymous one).

    Conflict where there is one with other options.
    """
    options, labels = options or {}, labels or {}
    driver_options.check(options)
    if not name:
        return _make(engine, os.urandom(32).hex(), options, {ANONYMOUS: "", **labels})
    check_name(name)
    try:
        volume = find(engine, name)
    except NoSuchVolume:
        volume = _make(engine, name, options, labels)
    if volume.options != options:
        raise Conflict(
            f"create {name}: volume name must be unique: a volume named {name} has other options",
            hint=f"'pod volume inspect {name}' shows them; take another name, or remove it first",
        )
    return volume


def _take_back(temporary: str) -> None:
    for remove, path in ((os.unlink, "/volume.json"), (os.rmdir, "/_data"), (os.rmdir, "")):
        try:
            remove(temporary + path)
        except OSError:
            continue


def half_made(engine: Engine) -> str:
    """A hidden path for a volume on its way in or out, which says who is at work (rundir.is_litter)."""
    return f"{engine.paths.volumes}/.{engine.host.mark}.{os.getpid()}.{os.urandom(8).hex()}"


def _make(engine: Engine, name: str, options: dict[str, str], labels: dict[str, str]) -> Volume:
    """A new volume, published by rename: of two makers one wins, and the other finds it."""
    record = {
        "version": 1,
        "Name": name,
        "Driver": "local",
        "CreatedAt": statefile.timestamp(),
        "Labels": labels,
        "Options": options,
    }
    folder = engine.paths.volume(name)
    temporary = half_made(engine)
    try:
        os.mkdir(temporary, 0o700)
    except FileNotFoundError:
        storedir.prepare(engine.paths)
        os.mkdir(temporary, 0o700)
    try:
        os.chmod(temporary, 0o700)
        os.mkdir(temporary + "/_data", 0o755)
        os.chmod(temporary + "/_data", 0o755)
        statefile.write(temporary + "/volume.json", record)
        os.rename(temporary, folder)
    except BaseException as error:
        _take_back(temporary)
        if not isinstance(error, OSError) or not os.path.isdir(folder):
            raise
        return find(engine, name)
    events.emit(engine, "volume", "create", name, {"driver": "local"})
    return Volume(name, folder, record)
