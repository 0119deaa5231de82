"""Becoming a further client of a running container's supervisor, through its control socket."""

from __future__ import annotations

import os

from pod.core import rundir
from pod.core.container import model, planning
from pod.core.errors import Conflict, PodError
from pod.core.runtime import launch, plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

    from pod.core.container.model import Container
    from pod.core.container.planning import Attachment
    from pod.core.engine import Engine


def connect(engine: Engine, container: Container) -> int:
    """A descriptor of a connection to the supervisor. PodError where it does not answer."""
    import socket

    folder = os.open(rundir.container_dir(engine, container.id), os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
            # By the folder's descriptor: sun_path has 108 bytes, run directories may be longer.
            connection.connect(f"/proc/self/fd/{folder}/ctl")
            return os.dup(connection.fileno())
    except OSError as error:
        raise PodError(
            f"attach: {container.name}: its supervisor does not answer: {(error.strerror or 'failed').lower()}",
            hint="'pod ps -a' tells what became of the container",
        ) from None
    finally:
        os.close(folder)


def exchange(engine: Engine, container: Container, message: bytes, seconds: float) -> bytes:
    """The supervisor's answer to a frame that is answered by one of its kind (ext/src/helper/frame.h). TimeoutError;
    OSError where it has just ended. PodError as of :func:`connect`.
    """
    import socket

    with socket.socket(fileno=connect(engine, container)) as connection:
        connection.settimeout(seconds)
        connection.send(message)
        answer = connection.recv(65536)
        while answer and answer[:1] != message[:1]:
            answer = connection.recv(65536)
    if not answer:
        raise ConnectionResetError
    return answer


def obstacle(container: Container) -> str:
    """Why nothing can be done inside: "restarting", "paused", "stopped", or "" where it can."""
    for word in ("restarting", "paused"):
        if container.status == word or (container.is_running and container.state.get(word)):
            return word
    return "" if container.is_running else "stopped"


_HINTS = {"restarting": "'pod ps' tells when it is", "paused": "pod unpause {}", "stopped": "pod start -a {}"}


def check(container: Container) -> None:
    """Conflict, in Docker's words, where nobody can attach to the container."""
    model.check_here(container)
    found = obstacle(container)
    if found:
        then = {"restarting": "wait until it is running", "paused": "unpause it first", "stopped": "start it first"}
        hint = _HINTS[found].format(container.name)
        raise Conflict(f"You cannot attach to a {found} container, {then[found]}", hint=hint)


def check_exec(container: Container) -> None:
    """Conflict, in Docker's words, where no process can be added to the container."""
    model.check_here(container)
    found = obstacle(container)
    if found == "stopped":
        raise Conflict(f"container {container.id} is not running", hint=f"start it first: pod start {container.name}")
    if found:
        then = {"restarting": "wait until the container is running", "paused": "unpause the container before exec"}
        hint = _HINTS[found].format(container.name)
        shown = container.name if found == "paused" else container.id
        raise Conflict(f"Container {shown} is {found}, {then[found]}", hint=hint)


def attach(engine: Engine, container: Container, attachment: Attachment) -> NoReturn:
    """Becomes a client of the running container. Conflict where it does not run."""
    check(container)
    control = connect(engine, container)
    spec = container.config["Config"]
    attachment.stdin = attachment.stdin and spec["OpenStdin"]
    writer = plan.PlanWriter()
    terminal = planning.write_terminal(writer, attachment) if spec["Tty"] else 0
    writer.number("FLAGS", attachment.flags() | terminal)
    writer.text("ID", container.id)
    planning.write_events(engine, writer, container.config)
    writer.texts("EXPLAIN", planning.explain_command(container.config, "attach"))
    launch.become_client(engine, writer.finish(launch.build_id()), control=control)
