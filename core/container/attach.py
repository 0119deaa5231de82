"""Becoming a further client of a running container's supervisor, through its control socket."""

from __future__ import annotations

import os

from pod.core import rundir
from pod.core.container import planning
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


def attach(engine: Engine, container: Container, attachment: Attachment) -> NoReturn:
    """Becomes a client of the running container. Conflict where it does not run."""
    if not container.is_running:
        raise Conflict(
            "You cannot attach to a stopped container, start it first", hint=f"pod start -a {container.name}"
        )
    control = connect(engine, container)
    spec = container.config["Config"]
    attachment.stdin = attachment.stdin and spec["OpenStdin"]
    writer = plan.PlanWriter()
    terminal = planning.write_terminal(writer, attachment) if spec["Tty"] else 0
    writer.number("FLAGS", attachment.flags() | terminal)
    writer.texts("EXPLAIN", planning.explain_command(container.config, "attach"))
    launch.become_client(engine, writer.finish(launch.build_id()), control=control)
