"""``pod start``."""

from __future__ import annotations

import os

from pod.cli.options import Command
from pod.core.errors import PodError, StillRunning

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import NoReturn

    from pod.cli.options import Options
    from pod.core.container.model import Container
    from pod.core.container.planning import Attachment
    from pod.core.engine import Engine

COMMAND = Command(
    "start",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    (
        ("attach", "a", "bool", "Attach STDOUT/STDERR and forward signals"),
        ("detach-keys", "", "string", "Override the key sequence for detaching a container"),
        ("interactive", "i", "bool", "Attach container's STDIN"),
    ),
    min_args=1,
    aliases=("pod container start", "pod start"),
)


def main(engine: Engine, options: Options) -> int:
    from pod.cli import detach_keys, each, run
    from pod.core.container import lifecycle, planning, store

    if options["attach"] or options["interactive"]:
        if len(options.args) > 1:
            raise PodError("you cannot start and attach multiple containers at once")
        container = lifecycle.settle(engine, store.find(engine, options.args[0]))
        attachment = planning.Attachment()
        attachment.stdin = options["interactive"] and container.config["Config"]["OpenStdin"]
        attachment.winsize = run.window_size()
        attachment.detach_keys = detach_keys.choose(engine, options)
        if container.is_running:  # Docker: attaches, for there is nothing to start
            from pod.core.container import attach

            attach.attach(engine, container, attachment)
        lifecycle.start(engine, container, attachment)

    def act(name: str) -> str:
        container = lifecycle.settle(engine, store.find(engine, name))
        if not container.is_running:
            start_one(engine, container)
        return name

    return each.each(options.args, act)


def start_one(engine: Engine, container: Container) -> None:
    """Starts it detached. :class:`~pod.cli.each.Said` where that failed."""
    from pod.core.container import lifecycle

    def begin(attachment: Attachment) -> NoReturn:
        try:
            lifecycle.start(engine, container, attachment)
        except StillRunning:  # another start was quicker: as well as if it had run before
            os._exit(0)

    in_child(f"start container: {container.name}", begin)


def in_child(what: str, act: Callable[[Attachment], NoReturn]) -> None:
    """Forks: the child becomes a client that leaves once the container runs, or says why not: then
    :class:`~pod.cli.each.Said`.
    """
    from pod.cli import each, output
    from pod.core.container import planning

    attachment = planning.Attachment()
    attachment.detach = True
    child = os.fork()
    if child == 0:
        try:
            act(attachment)
        except PodError as error:
            output.error(error)
        except OSError as error:
            output.error(PodError(f"{what}: {error}"))
        finally:
            os._exit(1)
    status = os.waitpid(child, 0)[1]
    if os.WIFSIGNALED(status):  # it could say nothing itself
        raise PodError(f"{what}: ended by signal {os.WTERMSIG(status)}", hint="'pod ps -a' tells its state")
    if status:
        raise each.Said
