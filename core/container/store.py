"""Finding containers by name and id, reserving names, making and removing their folders."""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.container import model
from pod.core.errors import NameInUse, NoSuchContainer, PodError, StoreCorrupt, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container
    from pod.core.engine import Engine

_NAME_CHARACTERS = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-")
_HEX = frozenset("0123456789abcdef")


def check_name(name: str) -> None:
    """UsageError with Docker's words for a name it does not allow."""
    if len(name) < 2 or len(name) > 200 or name[0] in "_.-" or not _NAME_CHARACTERS.issuperset(name):
        raise UsageError(
            f"Invalid container name ({name}), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed",
            hint="two characters or more, the first a letter or digit",
        )


def find(engine: Engine, text: str) -> Container:
    """By full id, name or unambiguous id prefix, in Docker's order. NoSuchContainer else."""
    container_id = find_id(engine, text)
    try:
        return model.read(engine, container_id)
    except FileNotFoundError:
        raise NoSuchContainer(f"No such container: {text}", hint="'pod ps -a' lists them") from None


def find_id(engine: Engine, text: str) -> str:
    """The full id that ``text`` means, whether or not its records can be read. NoSuchContainer else."""
    if not text:
        raise NoSuchContainer("invalid container name or ID: value is empty")
    hexadecimal = _HEX.issuperset(text)
    if len(text) == 64 and hexadecimal:
        return text
    name = text[1:] if text.startswith("/") else text
    if name and "/" not in name and not name.startswith("."):
        try:
            return statefile.read_bytes(engine.paths.name(name), 200).decode("ascii", "replace").strip()
        except OSError:
            pass
    matches = [found for found in model.list_ids(engine) if hexadecimal and found.startswith(text)]
    if len(matches) > 1:
        raise PodError(f"multiple IDs found with provided prefix: {text}", hint="give more digits")
    if not matches:
        raise NoSuchContainer(f"No such container: {text}", hint="'pod ps -a' lists them")
    return matches[0]


def reserve_name(engine: Engine, name: str, container_id: str) -> None:
    """Makes ``name`` mean ``container_id``.

    NameInUse where a container has it; a name without its container is taken over.
    """
    path = engine.paths.name(name)
    for _ in range(3):
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        except FileExistsError:
            if not _release_stale(engine, name):
                raise _taken(name, _owner(path)) from None
            continue
        except FileNotFoundError:
            os.makedirs(engine.paths.names, 0o700, exist_ok=True)
            continue
        try:
            os.write(fd, container_id.encode() + b"\n")
        except BaseException as error:
            os.unlink(path)
            if isinstance(error, OSError):
                error.filename = path  # write(2) knows none
            raise
        finally:
            os.close(fd)
        return
    raise NameInUse(f'Conflict. The container name "/{name}" is being taken by another process')


def _owner(path: str) -> str:
    try:
        return statefile.read_bytes(path, 200).decode("ascii", "replace").strip()
    except OSError:
        return "?"


def _release_stale(engine: Engine, name: str) -> bool:
    """Removes a name whose container is gone (killed between two steps of create or rm), unless it is seconds old.

    Under a lock: of two that find it stale, the second must not remove the name that the first has made since.
    """
    try:
        if _in_use(engine, name):
            return False
        with statefile.Lock(engine.run_dir + "/locks/names", timeout=10.0, optional=True):
            if _in_use(engine, name):
                return False
            os.unlink(engine.paths.name(name))
    except FileNotFoundError:
        pass  # released meanwhile: not ours to remove, for its next maker may be there already
    return True


def release_stale_names(engine: Engine) -> None:
    """Removes the names whose container is gone; looks closer only where there are more names than containers."""
    try:
        names = os.listdir(engine.paths.names)
    except FileNotFoundError:  # a reset was killed at its end
        return
    known = model.list_ids(engine)
    for name in names if len(names) > len(known) else ():
        owner = _owner(engine.paths.name(name))
        if owner not in known or not _has_name(engine, owner, name):
            _release_stale(engine, name)


def _has_name(engine: Engine, container_id: str, name: str) -> bool:
    """Whether the container's record says that name: after a rename that was killed another leads to it, too."""
    try:
        return model.read(engine, container_id).name == name
    except (FileNotFoundError, StoreCorrupt):
        return os.path.isdir(engine.paths.container(container_id))


def _in_use(engine: Engine, name: str) -> bool:
    """Whether a container has the name, or its maker may still be at work. FileNotFoundError where nobody has."""
    path = engine.paths.name(name)
    owner = _owner(path)
    if len(owner) == 64 and _has_name(engine, owner, name):
        return True
    # Five seconds between open and write, two between name and folder.
    return _age(path) < (2 if len(owner) == 64 else 5)


def confirm_name(engine: Engine, name: str, container_id: str) -> None:
    """NameInUse where the name was taken over meanwhile: its maker had been stopped for seconds."""
    owner = _owner(engine.paths.name(name))
    if owner != container_id:
        raise _taken(name, owner)


def _taken(name: str, owner: str) -> NameInUse:
    """Docker's words."""
    return NameInUse(
        f'Conflict. The container name "/{name}" is already in use by container "{owner}". You have to remove'
        " (or rename) that container to be able to reuse that name.",
        hint=f"pod rm {name}; or: pod rename {name} ANOTHER",
    )


def _age(path: str) -> float:
    import time

    return time.time() - os.lstat(path).st_mtime


def release_name(engine: Engine, name: str, container_id: str) -> None:
    """Removes the name if it still means that container."""
    path = engine.paths.name(name)
    if _owner(path) == container_id:
        try:
            os.unlink(path)
        except FileNotFoundError:
            pass
