"""Which execs of a container run just now (``inspect``, ExecIDs). Nothing is recorded of an exec but its events, and
its id tells the process that looks after it: 40 random digits, its pid (8), the ms since boot at which it was made (16)
(ext/src/helper/event.c).
"""

from __future__ import annotations

import os

from pod.core import events, rundir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container
    from pod.core.engine import Engine

_MARK = b'"execID":"'


def running(engine: Engine, container: Container) -> list[str]:
    """The ids of the execs that run, the oldest first; those older than what is kept of events are not found."""
    if not container.is_running:
        return []
    found: dict[str, None] = {}
    reader = events.Reader(engine, whole=True)
    try:
        for line in reader.lines():
            at = line.find(_MARK)
            if at >= 0 and container.id.encode() in line:
                text = line[at + len(_MARK) : at + len(_MARK) + 64].decode("ascii", "replace")
                if text not in found and _lives(text):
                    found[text] = None
    except OSError:
        pass  # a store that cannot be read: what was found until then
    finally:
        reader.close()
    return list(found)


def _lives(exec_id: str) -> bool:
    """Whether its process is there: one that got the same pid later began after the id was made."""
    try:
        pid, made = int(exec_id[40:48], 16), int(exec_id[48:64], 16)
    except ValueError:
        return False
    started = rundir.process_start(pid)
    return 0 < started <= made * os.sysconf("SC_CLK_TCK") // 1000 + 1
