"""Which blocks of sub-ids the containers made with --userns auto have."""

from __future__ import annotations

from pod.core.container import model

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine


def taken_blocks(engine: Engine) -> set[int]:
    """First intermediate ids (1 = the first sub-id) of the blocks in use."""
    taken = set()
    base = engine.idmap.uids
    for container in model.list_all(engine):
        if container.config["HostConfig"]["UsernsMode"].partition(":")[0] != "auto":
            continue
        first = int(container.config["Pod"]["IdMap"]["Uids"][0][1])
        for inside, outside, count in base:
            if outside <= first < outside + count:
                taken.add(inside + first - outside)
    return taken
