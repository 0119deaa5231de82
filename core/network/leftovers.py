"""What killed makers and removers of networks left: records without a name, names without a record, half-written files.
Looked for by ``ps``, which on its warm path imports this and nothing else for it.
"""

from __future__ import annotations

import os
import time

from pod.core import storedir

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

_FRESH = 5.0
"""Seconds in which it may be somebody's who is at work, where locks are refused."""


def collect(engine: Engine) -> None:
    """Takes it away. Two listings where all is well: every network has one record and one name, but for the two that
    are always named.
    """
    networks, names = engine.paths.networks, storedir.names(engine.paths.network_names)
    files = storedir.names(networks)
    records = [name for name in files if name.endswith(".json") and name[:1] != "."]
    litter = [f"{networks}/{name}" for name in files if name[:1] == "." and name != ".lock"]
    litter += [f"{engine.paths.network_names}/{name}" for name in names if name[:1] == "."]
    if not litter and len(records) == len(names) + _nameless(records):
        return
    from pod.core.network import store

    with store.lock(engine):
        for path in litter + _unnamed(engine, records) + _lost(engine, names):
            if _age(path) > _FRESH:
                store.unlink(path)


def _nameless(records: list[str]) -> int:
    from pod.core.network.wire import PREDEFINED_IDS

    return sum(f"{network_id}.json" in records for network_id in PREDEFINED_IDS.values())


def _unnamed(engine: Engine, records: list[str]) -> list[str]:
    from pod.core.errors import StoreCorrupt
    from pod.core.network import store
    from pod.core.network.wire import PREDEFINED_IDS

    found = []
    for network_id in (name[:-5] for name in records):
        try:
            record = store.read(engine, network_id)
        except (FileNotFoundError, StoreCorrupt):
            continue
        if network_id not in PREDEFINED_IDS.values() and store.named(engine, record["Name"]) != network_id:
            found.append(f"{engine.paths.networks}/{network_id}.json")
    return found


def _lost(engine: Engine, names: list[str]) -> list[str]:
    from pod.core import paths
    from pod.core.network import store

    found = []
    for name in names:
        if name[:1] != "." and not os.path.exists(
            f"{engine.paths.networks}/{store.named(engine, paths.unescape(name))}.json"
        ):
            found.append(f"{engine.paths.network_names}/{name}")
    return found


def _age(path: str) -> float:
    try:
        return time.time() - os.lstat(path).st_mtime
    except FileNotFoundError:
        return 0.0
