"""Pausing: the supervisor is asked, over its control socket, and answers when it is done (ext/src/helper/pause.h)."""

from __future__ import annotations

import os

from pod.core.container import attach, happened, model
from pod.core.errors import Conflict, HostUnsupported, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container
    from pod.core.engine import Engine

_PAUSE = ord("P")
_SECONDS = 30
"""What an answer may take; the supervisor itself gives up earlier."""


def pause(engine: Engine, container: Container) -> None:
    """Stops every process of the container until :func:`unpause`. Conflict where it does not run, or is paused."""
    model.check_here(container)
    if not container.is_running:
        raise Conflict(f"container {container.id} is not running", hint=f"start it first: pod start {container.name}")
    if container.state.get("restarting"):
        raise Conflict(f"Container {container.id} is restarting, wait until the container is running")
    if container.state.get("paused"):
        raise Conflict(f"container {container.id} is already paused", hint=f"pod unpause {container.name}")
    _ask(engine, container, paused=True)


def unpause(engine: Engine, container: Container) -> None:
    """Lets it go on. Conflict where it is not paused."""
    model.check_here(container)
    if not container.is_running or not container.state.get("paused"):
        raise Conflict(f"Container {container.id} is not paused", hint="'pod ps -a' tells what it is")
    _ask(engine, container, paused=False)


def let_go_on(engine: Engine, container: Container) -> None:
    """For who has sent a paused container a signal that it is to get now (Docker's stop and kill). Never fails: it may
    have ended of the signal already, or somebody else was quicker.
    """
    try:
        _ask(engine, container, paused=False)
    except PodError:
        return


def _ask(engine: Engine, container: Container, *, paused: bool) -> None:
    message = bytes((_PAUSE, 0, 0, 0)) + int(paused).to_bytes(4, "little")
    try:
        answer = attach.exchange(engine, container, message, _SECONDS)
    except TimeoutError:
        raise _failed(container, paused, "its supervisor does not answer") from None
    except OSError:
        raise _failed(container, paused, "it has just ended, or its supervisor cannot do it") from None
    _judge(container, int.from_bytes(answer[4:8], "little"), paused=paused)
    happened.tell(engine, container, "pause" if paused else "unpause")


def _judge(container: Container, number: int, *, paused: bool) -> None:
    import errno

    if number == errno.EALREADY:
        word = "already paused" if paused else "not paused"
        raise Conflict(f"Container {container.id} is {word}", hint="'pod ps' tells what it is")
    if number == errno.EOPNOTSUPP:
        raise HostUnsupported(
            f"Cannot pause container {container.id}: it has no processes of its own to tell from others (--pid), and no"
            " cgroup to freeze",
            hint="with a cgroup of version 2 that is yours (systemd-run --user -p Delegate=yes …) it can be",
        )
    if number:
        raise _failed(container, paused, os.strerror(number).lower())


def _failed(container: Container, paused: bool, why: str) -> PodError:
    verb = "pause" if paused else "unpause"
    return PodError(f"Cannot {verb} container {container.id}: {why}", hint="'pod ps' tells its state")
