"""The file of a prepared start: from what prepared.Recorder saw to a plan with templates and inputs.

Formats: ext/src/helper/prepared.h. Everything that may differ from start to start is found here and cut out: id, name,
time, process, the words after IMAGE.
"""

from __future__ import annotations

import os

from pod.core import rundir, statefile
from pod.core.container import names
from pod.core.container.prepared import ENV, IDS, LISTING, PROCESSORS, Unprepared
from pod.core.runtime import launch, limits, plan

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from pod.core.container.prepared import Recorder

# enum pod_prepared_flags
_ARGS, _SYNC, _EXEC = 1, 2, 4
_TURN = 32
# enum pod_patch_kind
_ID, _NAME = 1, 2

_MOST = 256
"""Files of the folder; beyond that the older half goes."""

_FILES = ["config.json", "hostname", "hosts", "resolv.conf"]
_FOLDERS = ["merged", "upper", "work"]
_NAMES = 64
_LOG_TEXTS = ("LOG_ATTRS", "LOG_TEXTS")
_GROUPS_FACTOR = 0x100000001B3


def compose(recorder: Recorder, plan_fd: int) -> bytes:
    """The file, with its check. Unprepared where the start had something that the helper would not do again."""
    values = plan.parse(os.pread(plan_fd, os.fstat(plan_fd).st_size, 0))
    if recorder.words[0] == "exec":
        return plan.with_check(_compose_exec(recorder, values))
    directory = values["DIR"][:-1].decode("utf-8", "surrogateescape")
    record = statefile.read(directory + "/config.json")
    own = _own_places(recorder, directory, record)
    _check_changes(recorder, directory, own)
    if not recorder.named and any(record["Name"][1:].encode() in values.get(key, b"") for key in _LOG_TEXTS):
        raise Unprepared("its log has its name")
    turn = _turn(recorder, values, record["HostConfig"])
    writer = plan.PlanWriter()
    writer.take(values)
    sync = 0 if record["HostConfig"]["AutoRemove"] else _SYNC
    engine = recorder.engine
    here = [engine.paths.containers, engine.paths.names, engine.paths.image(record["Image"])]
    launcher = launch.own_command()
    writer.texts("P_PREFIX", [launcher[0], launcher[-1], *recorder.words])
    writer.number("P_FLAGS", (_ARGS if recorder.args else 0) | sync | turn << _TURN)
    writer.texts("P_PLACES", [*here, engine.run_dir + "/c", engine.host.mark])
    writer.texts("P_NAMES", _candidates(recorder, record["Name"][1:]))
    _add_inputs(writer, recorder, own)
    _add_templates(writer, recorder, directory, record)
    return plan.with_check(_with_patches(writer, values, record))


def _turn(recorder: Recorder, values: dict[str, bytes], host: dict[str, Any]) -> int:
    """How many processors each start takes by turns, where affinity holds --cpus; 0: all of them, or no limit."""
    import json

    by = json.loads(values["LIMITS"][:-1])["by"] if "LIMITS" in values else {}
    if "affinity" not in (by.get("NanoCpus"), by.get("CpuQuota")):
        return 0
    ours = len(os.sched_getaffinity(0))
    recorder.inputs[(PROCESSORS, "")] = ((ours,), "")
    whole = limits.whole_processors(host)
    if whole >= ours:
        return 0
    if by.get("CpusetCpus") != "affinity":
        return whole
    if len(limits.parse_set(host["CpusetCpus"])) > 1:
        raise Unprepared("each start gets some of those that it names")
    return 0


def _compose_exec(recorder: Recorder, values: dict[str, bytes]) -> bytes:
    """One more process changes nothing on disk: only its argv differs from time to time."""
    if recorder.written:
        raise Unprepared(f"{recorder.written[0][0]} {recorder.written[0][1]}", for_good=False)
    argv = [word.encode("utf-8", "surrogateescape") + b"\0" for word in recorder.args]
    if values["ARGV"] != b"".join(argv) or not values["EXPLAIN"].endswith(b"\0" + argv[0]):
        raise Unprepared("its command is not the words")
    writer = plan.PlanWriter()
    writer.take(values)
    launcher = launch.own_command()
    writer.texts("P_PREFIX", [launcher[0], launcher[-1], *recorder.words])
    writer.number("P_FLAGS", _ARGS | _EXEC)
    writer.texts("P_ENTRY", [])
    _add_inputs(writer, recorder, ())
    return writer.finish(launch.build_id())


def prune(folder: str) -> None:
    """Keeps the number of files bounded: words that never come again leave a mark each."""
    import contextlib

    with contextlib.suppress(OSError):
        with os.scandir(folder) as entries:
            found = sorted((entry.stat(follow_symlinks=False).st_mtime, entry.path) for entry in entries)
        for _, path in found[: len(found) // 2] if len(found) > _MOST else []:
            os.unlink(path)


def _own_places(recorder: Recorder, directory: str, record: dict[str, Any]) -> tuple[str, ...]:
    """What paths of this very container begin with."""
    engine, container_id = recorder.engine, record["Id"]
    name = engine.paths.name(record["Name"][1:])
    return (directory, f"{engine.paths.containers}/.{container_id}.", rundir.container_dir(engine, container_id), name)


def _check_changes(recorder: Recorder, directory: str, own: tuple[str, ...]) -> None:
    for function, path in recorder.written:
        if not path.startswith(own):
            raise Unprepared(f"{function} {path}", for_good=False)
    if sorted(os.listdir(directory)) != sorted(_FILES + _FOLDERS):
        raise Unprepared("further files of its own")
    if any(os.listdir(f"{directory}/{name}") for name in _FOLDERS):
        raise Unprepared("a root that is not empty")


def _candidates(recorder: Recorder, name: str) -> list[str]:
    """Names of the same length, so that no offset moves; the one that --name gave stands alone."""
    if recorder.named:
        return [name]
    found = names.of_length(len(name), _NAMES)
    if not found:
        raise Unprepared("a name of an odd length", for_good=False)
    return found


def _add_inputs(writer: plan.PlanWriter, recorder: Recorder, own: tuple[str, ...]) -> None:
    if "" in recorder.asked:
        raise Unprepared("it reads the whole environment")
    inputs = {key: value for key, value in recorder.inputs.items() if not key[1].startswith(own)}
    busy = {path.rpartition("/")[0] for path in own}
    for kind, path in inputs:
        if kind == LISTING and path in busy:
            raise Unprepared("it looks at what every start changes")
        if path in recorder.unstable:
            raise Unprepared(f"{path}: changed a moment ago", for_good=False)
    for name in sorted(recorder.asked):
        value = recorder.environ.get(name)
        inputs[(ENV, name)] = ((int(value is not None),), value or "")
    groups = os.getgroups()
    digest = 0
    for group in groups:
        digest = (digest * _GROUPS_FACTOR + group) & 0xFFFFFFFFFFFFFFFF
    inputs[(IDS, "")] = ((os.geteuid(), os.getegid(), len(groups), digest), "")
    text = bytearray()
    table = []
    for (kind, first), (numbers, second) in inputs.items():
        table.append(plan.u32(kind, len(text)))
        table += [plan.u64(number) for number in (*numbers, 0, 0, 0, 0, 0)[:5]]
        for part in (first, second):
            data = part.encode("utf-8", "surrogateescape")
            if b"\0" in data:
                raise Unprepared("a zero byte in what it reads")
            text += data + b"\0"
    writer.blob("P_INPUTS", b"".join(table))
    writer.blob("P_TEXT", bytes(text) + b"\0\0")


def _add_templates(writer: plan.PlanWriter, recorder: Recorder, directory: str, record: dict[str, Any]) -> None:
    container_id = record["Id"].encode()
    for key, name in zip(("P_HOSTNAME", "P_HOSTS", "P_RESOLV"), _FILES[1:]):
        data = statefile.read_bytes(f"{directory}/{name}")
        if b"\1" in data:
            raise Unprepared(f"{name}: unusual bytes")
        writer.blob(key, data.replace(container_id[:12], b"\1i"))
    entry = list(record["Config"]["Entrypoint"] or [])
    token = os.urandom(12).hex()
    record["Name"], record["Created"] = f"/{token}N", token + "T"
    if recorder.args:
        if [record["Path"], *record["Args"]] != entry + recorder.args or record["Config"]["Cmd"] != recorder.args:
            raise Unprepared("its command is not the words")
        record["Path"], record["Args"], record["Config"]["Cmd"] = token + '"A', token + '"R', token + '"C'
        writer.texts("P_ENTRY", entry)
    if "Maker" in record["Pod"]:
        record["Pod"]["Maker"].update(pid=token + '"P', pidStart=token + '"S')
    text = statefile.dumps(record).encode() + b"\n"
    for mark in "ARCPS":  # whole values, so their quotes go too
        text = text.replace(f'"{token}\\"{mark}"'.encode(), b"\1" + mark.encode())
    for mark in "NT":
        text = text.replace(f"{token}{mark}".encode(), b"\1" + mark.encode())
    writer.blob("P_CONFIG", text.replace(container_id, b"\1I").replace(container_id[:12], b"\1i"))


def _with_patches(writer: plan.PlanWriter, values: dict[str, bytes], record: dict[str, Any]) -> bytes:
    """The finished file; its P_PATCHES are offsets into itself, so it is laid out twice."""
    found = _patches(values, record)
    writer.blob("P_PATCHES", bytes(12 * len(found)))
    places = plan.offsets(writer.finish(launch.build_id()))
    table = [plan.u32(places[key] + offset, kind, length) for key, offset, kind, length in found]
    writer.blob("P_PATCHES", b"".join(table))
    return writer.finish(launch.build_id())


def _patches(values: dict[str, bytes], record: dict[str, Any]) -> list[tuple[str, int, int, int]]:
    """(key, offset in its value, kind, length) of the recorded id and name in the plan's ``values``."""
    container_id = record["Id"].encode()
    found: list[tuple[str, int, int, int]] = []
    for key, value in values.items():
        at = value.find(container_id[:12])
        while at >= 0:
            length = next(size for size in (64, 32, 12) if value.startswith(container_id[:size], at))
            found.append((key, at, _ID, length))
            at = value.find(container_id[:12], at + length)
    *_, path = values.get("REMOVE", b"").split(b"\0")[:2]
    words = values["EXPLAIN"].split(b"\0")
    name = words[-3]  # …, name, program, and nothing after the last NUL
    found.append(("EXPLAIN", len(b"\0".join(words[:-3])) + 1, _NAME, len(name)))
    parts = values["EVENTS"].split(b"\0")
    found.append(("EVENTS", len(parts[0]) + 1, _NAME, len(name)))
    if "NET" in values:
        from pod.core.network import wire

        found.append(("NET", wire.place_of(values["NET"], "NAME"), _NAME, len(name)))
    if path:
        found.append(("REMOVE", len(b"\0".join(values["REMOVE"].split(b"\0")[:2])) - len(name), _NAME, len(name)))
    return found
