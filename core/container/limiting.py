"""Resource limits of a container: into the plan of a start, of an exec, and of a running one when they are changed.

state.json says of a running container what enforces each (docs/state.md): "limits": {"by": HostConfig's member to
words, "places": controller to [kind, folder], "groups": the folders that have a group of the container's, "nproc",
"affinity", "score"}.
"""

from __future__ import annotations

import contextlib
import os
import time

from pod.core import cgroups
from pod.core.errors import Conflict, HostUnsupported, PodError
from pod.core.runtime import limits
from pod.core.statefile import dumps

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.container.model import Container
    from pod.core.engine import Engine
    from pod.core.runtime.plan import PlanWriter

GROUPS_RECORD = "groups"
"""A file in the container's folder: paths of the control groups that its supervisor made (ext/src/helper/groups.h)."""
_WATCHED = "memory"
"""Another: what update made of a limit that is watched (ext/src/helper/watch.h)."""


def write_start(engine: Engine, writer: PlanWriter, config: dict[str, Any]) -> dict[str, Any]:
    """The keys of a start; the record with the limits on processes that take the place of control groups.

    HostUnsupported with --strict-limits, where not all can be enforced as asked.
    """
    decision = limits.decide(config["HostConfig"], config["Id"], engine.facts.kernel)
    if decision.lacking and config["Pod"].get("StrictLimits"):
        raise HostUnsupported(
            f"--strict-limits: {decision.lacking[0]}",
            hint="'pod doctor' says what gives control groups; without --strict-limits it starts all the same",
        )
    if decision.folders:
        writer.texts("GROUPS_IN", decision.folders)
        writer.texts("GROUP_FILES", [word for row in decision.files for word in (str(row[0]), row[1], row[2])])
    if decision.memory:
        writer.number("MEMORY", decision.memory)
    said: dict[str, Any] = {"by": decision.by, "groups": decision.folders, "places": decision.places}
    if decision.nproc:
        said["nproc"] = decision.nproc
    if decision.affinity is not None:
        said["affinity"] = sorted(decision.affinity)
    if decision.score:
        said["score"] = decision.score
    writer.text("LIMITS", dumps(said))
    if decision.lacking and not config["Pod"].get("Build"):
        writer.text("WARNING", "".join(f"WARNING: {sentence}\n" for sentence in decision.lacking))
    return _of_process(writer, config, said)


def write_join(writer: PlanWriter, config: dict[str, Any], state: dict[str, Any]) -> dict[str, Any]:
    """The keys of an exec: it is held by what holds the container."""
    said = state.get("limits")
    if not isinstance(said, dict):
        return config
    if said.get("groups"):
        if ".scope" in said["groups"][0]:
            cgroups.join_scope(said["groups"][0])
        writer.texts("GROUPS_IN", said["groups"])
    return _of_process(writer, config, said)


def _of_process(writer: PlanWriter, config: dict[str, Any], said: dict[str, Any]) -> dict[str, Any]:
    if said.get("affinity"):
        writer.blob("AFFINITY", _mask(said["affinity"]))
    if said.get("score"):
        writer.text("OOM_SCORE", said["score"])
    if not said.get("nproc"):
        return config
    host = config["HostConfig"]
    ulimits = [limit for limit in host["Ulimits"] if limit["Name"] != "nproc"]
    most = int(said["nproc"])
    for limit in host["Ulimits"]:
        if limit["Name"] == "nproc" and 0 <= limit["Soft"] < most:
            most = limit["Soft"]
    ulimits.append({"Name": "nproc", "Soft": most, "Hard": most})
    return {**config, "HostConfig": {**host, "Ulimits": ulimits}}


def _mask(processors: list[int]) -> bytes:
    bits = sum(1 << number for number in processors)
    return bits.to_bytes((max(processors) // 64 + 1) * 8, "little")


# ---- update


def apply(engine: Engine, container: Container, before: dict[str, Any], changed: dict[str, Any]) -> None:
    """Makes ``changed`` members of HostConfig true of a running container. Conflict where that takes a new start."""
    said = container.state.get("limits")
    if not isinstance(said, dict):
        said = {"by": {}, "groups": [], "places": {}}
    host = {**before, **changed}
    work: list[tuple[str, str, str]] = []
    watched = processors = False
    for controller, members in _CONTROLLERS.items():
        mine = [name for name in members if name in changed]
        if not mine:
            continue
        place = said["places"].get(controller)
        if place:
            work += _files(controller, place, container, host, changed)
        elif "Memory" in mine and said["by"].get("Memory") == "supervisor":
            watched = True
        elif _BY_AFFINITY.issuperset(mine):
            processors = True
        else:
            flags = ", ".join(limits.FLAGS[name] for name in mine)
            raise Conflict(
                f"Cannot update container {container.id}: {flags}: it was started without what could enforce that",
                hint=f"stop it, update it, start it: pod stop {container.name}",
            )
    if watched:
        _warn(engine, container, limits.not_enforced({**changed, "Memory": 0}, _CONTROLLERS["memory"]))
        _watch(container, changed)
    if processors:
        _move(engine, container, said, host)
    _write_files(container, work)


def _write_files(container: Container, work: list[tuple[str, str, str]]) -> None:
    for folder, file, value in work:
        try:
            cgroups.put(folder, file.lstrip("-"), value)
        except OSError as error:
            if file[0] == "-":
                continue
            raise PodError(
                f"Cannot update container {container.id}: {file}: {error.strerror}",
                hint="is it below what the container uses now?" if error.errno == 16 else None,
            ) from error


def _warn(engine: Engine, container: Container, sentences: list[str]) -> None:
    """As a start does. HostUnsupported with --strict-limits."""
    if sentences and container.config["Pod"].get("StrictLimits"):
        raise HostUnsupported(f"--strict-limits: {sentences[0]}", hint="'pod doctor' says what gives control groups")
    for sentence in sentences:
        engine.progress("warning", {"text": sentence})


_BY_AFFINITY = frozenset(("NanoCpus", "CpuQuota", "CpuPeriod", "CpusetCpus"))
_LIMITS = ord("L")
_SECONDS = 30
"""What an answer may take."""
_CONTROLLERS = {
    "memory": ("Memory", "MemorySwap", "MemoryReservation"),
    "cpu": ("NanoCpus", "CpuQuota", "CpuPeriod", "CpuShares"),
    "cpuset": ("CpusetCpus", "CpusetMems"),
    "pids": ("PidsLimit",),
    "io": ("BlkioWeight",),
}


def group_name(container_id: str) -> str:
    """The name of the container's group in each of its folders."""
    return f"pod-{container_id[:24]}"


def _files(
    controller: str, place: list[str], container: Container, host: dict[str, Any], changed: dict[str, Any]
) -> list[tuple[str, str, str]]:
    kind, above = place
    folder = f"{above}/{group_name(container.id)}"
    rows: list[tuple[str, str]] = []
    if controller == "memory":
        rows = limits.memory_files(kind, host)
        if kind == cgroups.V1 and host.get("Memory") and _is_growing(folder, host):
            rows.sort(key=lambda row: "memsw" not in row[0])  # the sum is never to be below the part
    elif controller == "cpu":
        rows = limits.processor_files(kind, host)
    elif controller == "cpuset":
        rows = [
            (f"cpuset.{name[6:].lower()}", changed[name]) for name in ("CpusetCpus", "CpusetMems") if name in changed
        ]
    elif controller == "pids":
        rows = [("pids.max", str(host["PidsLimit"]) if host["PidsLimit"] > 0 else "max")]
    elif os.path.exists(f"{folder}/io.weight"):
        rows = [("io.weight", str(1 + (host["BlkioWeight"] - 10) * 9999 // 990))]
    else:
        rows = [("blkio.bfq.weight", str(host["BlkioWeight"]))]
    return [(folder, file, value) for file, value in rows]


def _is_growing(folder: str, host: dict[str, Any]) -> bool:
    try:
        with open(f"{folder}/memory.limit_in_bytes", "rb") as file:
            return int(file.read(32)) < int(host["Memory"])
    except (OSError, ValueError):
        return False


def _watch(container: Container, changed: dict[str, Any]) -> None:
    path = f"{container.directory}/{_WATCHED}"
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(str(changed["Memory"]))
    os.replace(path + ".new", path)


def _move(engine: Engine, container: Container, said: dict[str, Any], host: dict[str, Any]) -> None:
    """Other processors: the supervisor does it, which has the right to, and knows who is in the container."""
    from pod.core.container import attach

    free = os.sched_getaffinity(int(container.state["supervisor"]))
    decision = limits.by_affinity(host, container.id, said["places"], free)
    _warn(engine, container, decision.lacking)
    processors = sorted(decision.affinity or free)
    by = {name: how for name, how in said["by"].items() if how != "affinity"}
    mask = _mask(processors)
    words = dumps({**said, "by": {**by, **decision.by}, "affinity": processors})
    try:
        message = bytes((_LIMITS, 0, 0, 0)) + len(mask).to_bytes(4, "little") + mask + words.encode()
        answer = attach.exchange(engine, container, message, _SECONDS)
    except TimeoutError:
        raise PodError(f"Cannot update container {container.id}: its supervisor does not answer") from None
    except OSError:
        raise PodError(
            f"Cannot update container {container.id}: it has just ended, or its supervisor cannot do it",
            hint=f"stop it, update it, start it: pod stop {container.name}",
        ) from None
    number = int.from_bytes(answer[4:8], "little")
    if number:
        raise PodError(f"Cannot update container {container.id}: processors: {os.strerror(number)}")


# ---- what is left of a killed supervisor


def collect(container_directory: str, patience: float = 1.0) -> bool:
    """Removes the control groups that a supervisor made and could not remove, of a container that has ended: what is
    still in there is killed. False where some stay after ``patience`` seconds, for later.
    """
    path = f"{container_directory}/{GROUPS_RECORD}"
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = file.read(1 << 16).splitlines()
    except OSError:
        return True
    deadline = time.monotonic() + patience
    left = False
    for line in lines:
        if line.startswith("/sys/fs/cgroup/") and line.rpartition("/")[2].startswith("pod-") and "/../" not in line:
            left |= not _end_group(line, deadline)
    if not left:
        try:
            os.unlink(path)
        except OSError:
            return True
    return not left


def _end_group(folder: str, deadline: float) -> bool:
    while True:
        try:
            os.rmdir(folder)
            return True
        except FileNotFoundError:
            return True
        except OSError:
            if time.monotonic() > deadline:
                return False
        try:
            with open(folder + "/cgroup.procs", "rb") as file:
                members = [int(word) for word in file.read(1 << 16).split()]
        except OSError:
            members = []
        for pid in members:
            if pid > 0:  # 0: of a pid namespace that is not ours
                with contextlib.suppress(OSError):
                    os.kill(pid, 9)
        time.sleep(0.005)
