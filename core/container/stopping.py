"""stop, kill, restart: ending a container's process, in the face of a supervisor that may start it anew."""

from __future__ import annotations

import os
import time

from pod.core import rundir
from pod.core.container import happened, lifecycle, model
from pod.core.errors import Busy, Conflict, NoSuchContainer, PodError
from pod.core.runtime import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from pod.core.container.model import Container
    from pod.core.container.planning import Attachment
    from pod.core.engine import Engine

QUIT = b"Q" + bytes(7)
"""A frame of ext/src/helper/frame.h: the supervisor does not wait any longer to start the process again."""

_ENDING = ("KILL", "TERM", "INT", "QUIT", "ABRT")
"""Signals by which somebody means the end, besides the container's stop signal: no policy starts it again then."""

_WAKE = 0.05
"""Seconds between two looks, from which on it is looked whether the supervisor is stopped."""

_DEAF = 30.0
"""Seconds that the kernel may take to end a process after SIGKILL before we say so."""


def signal(engine: Engine, container: Container, number: int) -> None:
    """Sends a signal to the container's first process; one that has none just now (restarting) is passed over."""
    if container.pid:
        happened.tell(engine, container, "kill", signal=str(number))
        lifecycle.send(container.pid, int(container.state["pidStart"]), number)
        if container.status == "paused":  # as Docker: it is to get it now
            from pod.core.container import pause

            pause.let_go_on(engine, container)


def stop_signal(container: Container) -> int:
    """The image's or the flag's; SIGTERM where neither says one, or the image says nonsense (as Docker)."""
    try:
        return defaults.parse_signal(container.config["Config"].get("StopSignal") or defaults.STOP_SIGNAL)
    except PodError:
        return defaults.parse_signal(defaults.STOP_SIGNAL)


def mark(container: Container) -> None:
    """Notes that the user ends it (model.STOPPED). NoSuchContainer where it was removed meanwhile."""
    try:
        path = f"{container.directory}/{model.STOPPED}"
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
    except FileNotFoundError:
        raise NoSuchContainer(f"No such container: {container.name}", hint="it was removed a moment ago") from None


def _refuse_elsewhere(container: Container, what: str) -> None:
    if container.status == "elsewhere":
        raise Conflict(
            f"cannot {what} container: {container.name}: it runs elsewhere, on {container.state.get('hostname')}",
            hint="run the command there",
        )


def stop(engine: Engine, container: Container, timeout: int | None, number: int | None = None) -> None:
    """The stop signal, then after ``timeout`` seconds SIGKILL; returns when the container is down. A stopped one is
    fine; one that was to be started again is not.

    ``timeout`` None is the container's own, else 10; negative waits for ever.
    """
    container = lifecycle.settle(engine, container)
    _refuse_elsewhere(container, "stop")
    if container.is_running:
        mark(container)
        _end(engine, container, timeout, number, lifecycle.settle)
        happened.tell(engine, container, "stop")


def _end(
    engine: Engine,
    container: Container,
    timeout: int | None,
    number: int | None,
    settle: Callable[[Engine, Container], Container],
) -> None:
    if timeout is None:
        timeout = int(container.config["Config"].get("StopTimeout", 10))
    first = number or stop_signal(container)
    if await_end(engine, container, None if timeout < 0 else float(timeout), first, settle):
        return
    if not await_end(engine, container, _DEAF, 9, settle):
        raise Busy(
            f"cannot stop container: {container.name}: it did not end within {_DEAF:g} s of SIGKILL",
            hint="a process of it hangs in the kernel (a dead network file system?); try again later",
        )


def end(engine: Engine, container: Container, seconds: float) -> bool:
    """SIGKILL, and no start after it. False where it was not down in time."""
    try:
        mark(container)
    except NoSuchContainer:
        return True
    return await_end(engine, container, seconds, 9)


def kill(engine: Engine, container: Container, number: int) -> None:
    """Sends a signal; after SIGKILL returns when the container is down. Conflict where it does not run."""
    container = lifecycle.settle(engine, container)
    _refuse_elsewhere(container, "kill")
    if not container.is_running:
        raise Conflict(
            f"cannot kill container: {container.name}: container {container.id} is not running",
            hint="'pod ps -a' shows its state",
        )
    ends = number == stop_signal(container) or number in [defaults.SIGNALS[name] for name in _ENDING]
    if ends:
        mark(container)
    if number == 9 or (ends and container.status == "restarting"):
        await_end(engine, container, 10.0, number)
    else:
        signal(engine, container, number)


def await_end(
    engine: Engine,
    container: Container,
    timeout: float | None,
    number: int = 0,
    settle: Callable[[Engine, Container], Container] = lifecycle.settle,
) -> bool:
    """Waits until the exit is recorded (or the --rm container gone). False when the time was up.

    ``number`` is sent to each process that the container has meanwhile: one may be started in the moment in which it is
    marked as stopped. A supervisor that is about to start one is told not to.
    """
    deadline = None if timeout is None else time.monotonic() + timeout
    pause, control, told = 0.001, -1, (0, 0)
    try:
        while True:
            try:
                current = model.read(engine, container.id)
            except FileNotFoundError:
                return True
            if current.status == "orphaned":
                current = settle(engine, current)
            if not current.is_running:
                return True
            process = (current.pid, int(current.state["pidStart"]))
            if number and current.status == "restarting":
                control = _tell_to_quit(engine, current, control)
            elif number and process != told:
                signal(engine, current, number)
                told = process
            if number and pause >= _WAKE:
                wake(current)
            if deadline is not None and time.monotonic() >= deadline:
                return False
            time.sleep(pause)
            pause = min(pause * 1.5, 0.05)
    finally:
        if control >= 0:
            os.close(control)


def wake(container: Container) -> None:
    """A supervisor that was stopped (SIGSTOP) goes on: it alone reaps and records."""
    from pod.core import holders

    pid, start_time = int(container.state["supervisor"]), int(container.state["supervisorStart"])
    if holders.is_stopped(pid):
        lifecycle.send(pid, start_time, 18)


def _tell_to_quit(engine: Engine, container: Container, control: int) -> int:
    """QUIT over ``control``, a connection to the supervisor, or a new one; -1 where it does not answer."""
    from pod.core.container import attach

    try:
        if control < 0:
            control = attach.connect(engine, container)
        os.write(control, QUIT)
    except (PodError, OSError):
        if control >= 0:
            os.close(control)
        return -1
    return control


def restart(
    engine: Engine, container: Container, timeout: int | None, number: int | None, attachment: Attachment
) -> NoReturn:
    """Stops the container if it runs, starts it, and becomes the client of that. The lock is held all the while, so
    that nobody else starts or removes it in between; a --rm container outlives this end.
    """
    container = lifecycle.settle(engine, container)
    with rundir.container_lock(engine, container.id) as lock:
        container = lifecycle.read_again(engine, container)
        _refuse_elsewhere(container, "restart")
        if container.is_running:
            if container.config["HostConfig"]["AutoRemove"]:
                keep = f"{container.directory}/{model.KEEP}"
                os.close(os.open(keep, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))
            mark(container)
            _end(engine, container, timeout, number, lifecycle.settle_held)
            container = lifecycle.read_again(engine, container)
        lifecycle.start_held(engine, container, attachment, lock)
