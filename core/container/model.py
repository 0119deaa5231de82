"""A container as its records tell it: config.json (as created) and state.json (what is true now).

Status is derived, never stored where it can be: state.json says "running" with a pid and its start time; whether that
process is there is looked up each time. docs/state.md describes both files.
"""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import Conflict, StoreCorrupt
from pod.core.rundir import process_start as process_start

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.engine import Engine
    from pod.core.image.store import Image

UNKNOWN_EXIT = 255
"""Exit code of a container whose supervisor was killed before it could learn the real one (containerd's number)."""

LIVE = ("running", "paused", "restarting")
"""Statuses of containers that have a supervisor."""

STOPPED = "stopped"
"""A file in a container's folder: the user ended it. Made before the signal, removed by start; the supervisor looks at
it before it starts the process again.
"""

KEEP = "keep"
"""A file in a container's folder, while ``restart`` is at work: its end is no reason for --rm."""

ZERO_TIME = "0001-01-01T00:00:00Z"


def process_lives(pid: int, start: int) -> bool:
    """Whether ``pid`` is still the process that started then."""
    return pid > 0 and start > 0 and process_start(pid) == start


class Container:
    """One container's records. ``status`` is one of created, running, paused, restarting, exited, orphaned, elsewhere.

    restarting: its supervisor waits to start it again. orphaned: the container's process lives, its supervisor does
    not. elsewhere: the records were written on another
    machine, or where this process cannot see the pids: shown so, never cleaned.
    """

    __slots__ = ("config", "directory", "id", "image", "state", "status")

    def __init__(self, engine: Engine, directory: str, config: dict[str, Any], state: dict[str, Any]) -> None:
        self.directory = directory
        self.image: Image | None = None  # of a container that was just created: need not be read again
        self.config = config
        self.id: str = config["Id"]
        self.state = state
        self.status = derive_status(engine, state)

    @property
    def name(self) -> str:
        """Without Docker's leading slash."""
        name: str = self.config["Name"]
        return name[1:]

    @property
    def is_running(self) -> bool:
        """Whether it has a live supervisor: also while it is paused, or restarting and without a process (Docker's
        State.Running).
        """
        return self.status in LIVE

    @property
    def stopped_by_user(self) -> bool:
        """Whether ``stop`` or ``kill`` ended it, or is about to: no policy starts it again."""
        return os.path.exists(self.directory + "/" + STOPPED)

    @property
    def pid(self) -> int:
        """The first process as the host sees it, 0 where there is none."""
        return int(self.state.get("pid", 0)) if self.status in ("running", "paused", "orphaned") else 0

    @property
    def exit_code(self) -> int:
        if self.status in ("running", "paused", "orphaned", "elsewhere") or not self.state:
            return 0
        if self.state["status"] == "running" and not self.state.get("restarting"):
            return UNKNOWN_EXIT
        return int(self.state.get("exitCode", 0))


def this_process(engine: Engine) -> dict[str, Any]:
    """The calling process, so that others can tell later whether it lives."""
    return {**engine.host.as_dict(), "pid": os.getpid(), "pidStart": process_start(os.getpid())}


def maker_died(engine: Engine, container: Container) -> bool:
    """Whether a container that was never started was made by a run that is gone; False where that cannot be known."""
    maker = container.config["Pod"].get("Maker")
    if container.status != "created" or not isinstance(maker, dict):
        return False
    here = engine.host
    if (maker.get("machine"), maker.get("hostname")) != (here.machine, here.hostname):
        return False
    if maker.get("boot") != here.boot:
        return True
    return maker.get("pidns") == here.pidns and not process_lives(int(maker["pid"]), int(maker["pidStart"]))


def is_kept_elsewhere(engine: Engine, container: Container) -> bool:
    """Whether another node has ended it and is about to start it again (``restart`` of a --rm container)."""
    wrote = (container.state.get("machine"), container.state.get("hostname"))
    return wrote != (engine.host.machine, engine.host.hostname) and os.path.exists(container.directory + "/" + KEEP)


def check_here(container: Container) -> None:
    """Conflict where it runs on another node, or where this process cannot see it."""
    if container.status == "elsewhere":
        raise Conflict(
            f"container {container.name} runs elsewhere, on {container.state.get('hostname')}",
            hint="run the command there",
        )


def derive_status(engine: Engine, state: dict[str, Any]) -> str:
    """What state.json means now; see :class:`Container`. StoreCorrupt where it cannot be said."""
    if not state:
        return "created"
    said = state.get("status")
    if not isinstance(said, str) or not isinstance(state.get("exitCode", 0), int):
        raise StoreCorrupt("read record: state.json: not what pod writes there", hint="remove the file")
    if said != "running":
        return said
    here = engine.host
    same_machine = state.get("machine") == here.machine and state.get("hostname") == here.hostname
    if not same_machine:
        return "elsewhere"
    if state.get("boot") != here.boot:
        return "exited"
    if state.get("pidns") != here.pidns:
        return "elsewhere"
    try:
        pids = [int(state[name]) for name in ("supervisor", "supervisorStart", "pid", "pidStart")]
    except (KeyError, TypeError, ValueError) as error:
        raise StoreCorrupt(f"read record: state.json: {error!r}", hint="remove the file") from None
    if process_lives(pids[0], pids[1]):
        return "paused" if state.get("paused") else "restarting" if state.get("restarting") else "running"
    return "orphaned" if process_lives(pids[2], pids[3]) else "exited"


def read(engine: Engine, container_id: str) -> Container:
    """The container of that full id. FileNotFoundError where there is none, StoreCorrupt where it cannot be read."""
    directory = engine.paths.container(container_id)
    config = statefile.read(directory + "/config.json")
    if config.get("Id") != container_id or not isinstance(config.get("Name"), str):
        raise StoreCorrupt(f"read container: {container_id}: its record is of another one")
    _apply_changes(directory, config)
    try:
        state = statefile.read(directory + "/state.json")
    except FileNotFoundError:
        state = {}
    return Container(engine, directory, config, state)


def _apply_changes(directory: str, config: dict[str, Any]) -> None:
    """Puts what ``rename``, ``update``, ``network connect`` and ``disconnect`` said into the record (changes.py)."""
    path = directory + "/changes.json"
    if not os.access(path, os.F_OK):  # of most: an exception costs more than the look
        return
    try:
        changes = statefile.read(path)
    except FileNotFoundError:
        return
    name, policy = changes.get("Name", config["Name"]), changes.get("RestartPolicy", "")
    networks = changes.get("Networks")
    odd = networks is not None and not isinstance(networks, dict)
    if not isinstance(name, str) or not isinstance(policy, str) or name[:1] != "/" or odd:
        raise StoreCorrupt(f"read record: {path}: not what pod writes there", hint="remove the file")
    config["Name"] = name
    if networks is not None:
        config["Networks"] = networks
    if isinstance(changes.get("Limits"), dict):
        config["HostConfig"].update(changes["Limits"])
    if policy:
        word, _, most = policy.partition(":")
        config["HostConfig"]["RestartPolicy"] = {
            "Name": word,
            "MaximumRetryCount": int(most) if most.isdigit() else 0,
        }


def list_ids(engine: Engine) -> list[str]:
    """Full ids of all containers, in no order."""
    try:
        return [name for name in os.listdir(engine.paths.containers) if len(name) == 64]
    except FileNotFoundError:
        return []


def list_all(engine: Engine) -> list[Container]:
    """Every readable container, the newest first; one that vanishes meanwhile or was half made is passed over.

    A broken record (a machine that crashed before it reached the disk) is warned of, and hides no other container.
    """
    found = []
    for container_id in list_ids(engine):
        try:
            found.append(read(engine, container_id))
        except FileNotFoundError:
            continue
        except StoreCorrupt as error:
            engine.progress("warning", {"text": error.message})
    found.sort(key=lambda container: str(container.config["Created"]), reverse=True)
    return found
