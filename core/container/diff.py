"""``diff``: what a container changed in its root file system (ext/src/files/diff.c has the rules)."""

from __future__ import annotations

import os

from pod.core.container import view
from pod.core.errors import Conflict
from pod.core.runtime import launch
from pod.ext.errors import StepError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from pod.core.container.model import Container
    from pod.core.engine import Engine

_LONGEST = 1 << 22


def changes(engine: Engine, container: Container, emit: Callable[[str, str], None]) -> None:
    """``emit(kind, path)`` of each change, "A", "C" or "D", while they are found."""
    if container.status == "elsewhere":
        raise Conflict(f"container {container.name} is elsewhere: it runs on {container.state.get('hostname')}")
    descriptor = launch.memory_file("pod-plan", view.diff_plan(engine, container))
    reader, writer = os.pipe()
    try:
        job = view.Job("diff", descriptor, container.directory + "/merged", stream=writer)
    except BaseException:
        os.close(reader)
        raise
    finally:
        os.close(descriptor)
        os.close(writer)
    try:
        _read(reader, emit)
    except BaseException:
        job.end()
        raise
    finally:
        os.close(reader)
        try:
            job.result()
        except StepError as error:
            if error.errno != 32:
                raise view.words(error, "diff") from None


def _read(reader: int, emit: Callable[[str, str], None]) -> None:
    rest = b""
    while part := os.read(reader, 65536):
        *records, rest = (rest + part).split(b"\0")
        for record in records:
            emit(chr(record[0]), os.fsdecode(record[1:]))
        if len(rest) > _LONGEST:
            return
