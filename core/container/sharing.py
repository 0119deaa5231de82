"""--pid, --ipc and --network container:X: what a start takes over from another container that runs.

X's namespaces belong to X's user namespace, so who joins them shares that too (ext/src/helper/share.h): both containers
need the same id map, and one container cannot join two others. A mode names X by its whole id.
"""

from __future__ import annotations

import os

from pod.core.container import model
from pod.core.errors import Conflict, NoSuchContainer
from pod.core.runtime import plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine

PREFIX = "container:"

_KINDS = (
    ("PidMode", "PID", plan.CLONE_NEWPID, "pid"),
    ("IpcMode", "IPC", plan.CLONE_NEWIPC, "ipc"),
    ("NetworkMode", "network", plan.CLONE_NEWNET, "net"),
)
"""(member of HostConfig, Docker's word, flag, name below /proc/PID/ns)."""


def joins(host: dict[str, Any]) -> bool:
    """Whether a container with that HostConfig joins another."""
    return any(host[kind[0]].startswith(PREFIX) for kind in _KINDS)


class Joined:
    """What a start joins: CLONE_NEW* ``bits``, X's first process ``pid`` and its ``start`` time, whether X's /dev/shm
    is taken (``shm``). ``host`` is the HostConfig with the modes that X turned out to have ("host"), ``network`` the
    container whose network it is: its names and its /etc/hosts come along.
    """

    __slots__ = ("bits", "host", "network", "pid", "shm", "start")

    def __init__(self, host: dict[str, Any]) -> None:
        self.host = dict(host)
        self.bits = 0
        self.pid = 0
        self.start = 0
        self.shm = False
        self.network: Container | None = None


def resolve(engine: Engine, config: dict[str, Any]) -> Joined:
    """Looks at the containers that are joined. Conflict in Docker's words where that cannot be; NoSuchContainer."""
    joined = Joined(config["HostConfig"])
    used: set[str] = set()
    for member, word, bit, _ in _KINDS:
        mode = joined.host[member]
        if not mode.startswith(PREFIX):
            continue
        other = _running(engine, mode[len(PREFIX) :], word)
        shown = other.config["HostConfig"][member]
        if member == "NetworkMode":
            joined.network = _at_the_end(engine, other)
        if shown == "host":
            joined.host[member] = "host"
            continue
        if member == "IpcMode":
            if shown != "shareable" and not shown.startswith(PREFIX):
                raise Conflict(
                    f"can't join IPC of container {other.id}: non-shareable IPC",
                    hint=f"start {other.name} with --ipc shareable",
                )
            joined.shm = _takes_shm(config)
        _check_map(config, other)
        used.add(other.id)
        joined.bits |= bit
        joined.pid, joined.start = other.pid, int(other.state["pidStart"])
    if len(used) > 1:
        raise Conflict(
            "conflicting options: --pid, --ipc and --network of two containers, whose user namespaces differ",
            hint="name one container for all",
        )
    return joined


def _running(engine: Engine, container_id: str, word: str) -> Container:
    try:
        other = model.read(engine, container_id)
    except FileNotFoundError:
        raise NoSuchContainer(f"No such container: {container_id}", hint="its namespace was to be joined") from None
    if not other.is_running:
        raise Conflict(
            f"cannot join {word} of a non running container: {other.name}",
            hint=f"start it first: pod start {other.name}",
        )
    return other


def _at_the_end(engine: Engine, other: Container) -> Container:
    """Who the network really is of, where ``other`` has joined one, too; as far as there are records of it."""
    for _ in range(16):
        mode = other.config["HostConfig"]["NetworkMode"]
        try:
            other = model.read(engine, mode[len(PREFIX) :]) if mode.startswith(PREFIX) else other
        except FileNotFoundError:
            break
    return other


def _check_map(config: dict[str, Any], other: Container) -> None:
    ours, theirs = (one["Pod"]["IdMap"] for one in (config, other.config))
    if (ours["Kind"], ours["Uids"], ours["Gids"]) != (theirs["Kind"], theirs["Uids"], theirs["Gids"]):
        raise Conflict(
            f"cannot join namespaces of container {other.name}: its ids are mapped otherwise",
            hint="give both containers the same --userns, --uidmap and --gidmap",
        )


def _takes_shm(config: dict[str, Any]) -> bool:
    """Whether X's /dev/shm comes in; a mount of the user's on it wins, one below it would be hidden."""
    targets = [mount["Destination"] for mount in config["Mounts"]] + list(config["HostConfig"]["Tmpfs"])
    if any(target.startswith("/dev/shm/") for target in targets):
        raise Conflict(
            "conflicting options: a mount below /dev/shm and --ipc container", hint="mount it in the other container"
        )
    return "/dev/shm" not in targets


def write(writer: plan.PlanWriter, joined: Joined) -> None:
    """The keys of a plan."""
    if joined.bits:
        writer.number("SHARE", joined.bits)
        writer.number("SHARE_PID", joined.pid)
        writer.number("SHARE_START", joined.start)
        if joined.shm:
            writer.text("SHARE_SHM", "/dev/shm")


def not_the_hosts(host: dict[str, Any], bits: int, pid: int) -> int:
    """``bits`` for an exec into process ``pid``, without those where the container that was joined has the host's."""
    for member, _, bit, name in _KINDS:
        if host[member].startswith(PREFIX) and _same(pid, name):
            bits &= ~bit
    return bits


def _same(pid: int, name: str) -> bool:
    try:
        return os.stat(f"/proc/{pid}/ns/{name}").st_ino == os.stat(f"/proc/self/ns/{name}").st_ino
    except OSError:
        return False  # it has ended, or cannot be looked at: the helper says so
