"""Which node of a shared home may start or remove a container that does not run: a file in its folder.

The container's lock lies in the run directory of one host and says nothing to others. So who starts it makes, under
that lock, the link ``starting`` with his host's name for a target: symlink(2) makes it or fails, whole, on network file
systems too. Only then the state is read, which the new entry brings up to date on a node that remembers folders. The
supervisor removes it with the first record; with ``rm`` it goes with the folder.

    target      HOSTNAME MACHINE BOOT PIDNS TIME    (statefile.timestamp)
"""

from __future__ import annotations

import os
import time

from pod.core import statefile
from pod.core.container import model
from pod.core.errors import Busy, NoSuchContainer

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container
    from pod.core.engine import Engine

NAME = "starting"

PATIENCE = 60.0
"""Seconds that a start or removal on another node is waited for, as long as for the lock."""


def take(engine: Engine, container: Container, patience: float = PATIENCE) -> Container:
    """Claims the container, for who holds its lock; returns it as it is then. :func:`drop` gives it back.

    Conflict where it runs elsewhere; Busy where another node has it for longer than ``patience`` seconds.
    """
    path = f"{container.directory}/{NAME}"
    ours = " ".join([*_identity(engine), statefile.timestamp()])
    deadline = time.monotonic() + patience
    while True:
        try:
            os.symlink(ours, path)
        except FileNotFoundError:
            raise _gone(container) from None
        except FileExistsError:
            _wait(engine, container, path, deadline)
            continue
        except OSError as error:
            error.filename, error.filename2 = path, None  # symlink(2) would name the target first
            raise
        try:
            found = _read(engine, container)
            model.check_here(found)
            return found
        except BaseException:
            drop(container)
            raise


def drop(container: Container) -> None:
    """Gives back what :func:`take` took."""
    try:
        os.unlink(f"{container.directory}/{NAME}")
    except FileNotFoundError:
        pass


def _wait(engine: Engine, container: Container, path: str, deadline: float) -> None:
    """One look at a claim that is there: it goes where it is stale, else a moment passes."""
    try:
        held = os.readlink(path)
    except FileNotFoundError:
        return
    current = _read(engine, container)
    model.check_here(current)
    if _is_stale(engine, current, held.split(" ")):
        _break(path, held)
    elif time.monotonic() < deadline:
        time.sleep(0.05)
    else:
        raise Busy(
            f"{container.name}: it is being started or removed on {held.split(' ')[0]}",
            hint=f"if that host is gone for good: rm {path}",
        )


def _is_stale(engine: Engine, container: Container, held: list[str]) -> bool:
    """Whether who made the claim is gone, or done: it, or its supervisor, was killed.

    One of this host is: its maker would have the lock, which is ours. Of another host's nothing is known but what it
    recorded since.
    """
    ours = _identity(engine)
    if len(held) != 5:
        return True  # not one of ours at all
    if held[:2] == ours[:2] and (held[2] != ours[2] or held[3] == ours[3]):
        return True
    state = container.state
    recorded = max(str(state.get("startedAt", "")), str(state.get("finishedAt", "")))
    return [state.get("hostname"), state.get("machine")] == held[:2] and recorded > held[4]


def _identity(engine: Engine) -> list[str]:
    here = engine.host
    return [here.hostname, here.machine, here.boot, str(here.pidns)]


def _break(path: str, held: str) -> None:
    """Takes away the stale claim ``held``; of two that try one does, and neither a new one that came in between."""
    aside = f"{path[: -len(NAME)]}.{NAME}.{os.urandom(4).hex()}"
    try:
        os.rename(path, aside)
        if os.readlink(aside) != held:
            os.rename(aside, path)
            return
        os.unlink(aside)
    except FileNotFoundError:
        return


def _read(engine: Engine, container: Container) -> Container:
    try:
        return model.read(engine, container.id)
    except FileNotFoundError:
        raise _gone(container) from None


def _gone(container: Container) -> NoSuchContainer:
    return NoSuchContainer(f"No such container: {container.name}", hint="it was removed a moment ago")
