"""What ``ps`` looks at of every container: whether a crash left something of it to be settled (lifecycle does that);
and litter of commands that were killed.

On the warm path: a list of containers that are all well imports nothing of what starts or removes one.
"""

from __future__ import annotations

import os

from pod.core import rundir, storedir
from pod.core.container import model, store
from pod.core.errors import Busy
from pod.core.runtime import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container
    from pod.core.engine import Engine

_PATIENCE = 1.0
"""Seconds that listing waits for the lock of a container that is to be settled."""


def is_due(engine: Engine, container: Container) -> bool:
    """Whether ``lifecycle.settle`` has something to do: its supervisor was killed, or --rm was not carried out."""
    if container.status == "orphaned":
        return True
    if container.status == "exited" and container.state.get("status") == "running":
        return True
    if container.status in ("created", "exited") and has_groups(container):
        return True
    if not container.config["HostConfig"]["AutoRemove"]:
        return False
    if container.status == "exited":
        return not model.is_kept_elsewhere(engine, container)
    return model.maker_died(engine, container)


def has_groups(container: Container) -> bool:
    """Whether control groups of a supervisor that was killed may be left (limiting.collect)."""
    limited = not defaults.LIMIT_KEYS.isdisjoint(container.config["HostConfig"])
    return limited and os.path.exists(container.directory + "/groups")


def settle_all(engine: Engine, *, trash: bool = True) -> list[Container]:
    """Every container, settled; those that --rm took away now are left out.

    ``trash``: what lies there is removed, in the background.
    """
    settled = []
    patience = _PATIENCE
    for container in model.list_all(engine):
        if is_due(engine, container):
            from pod.core.container import lifecycle

            try:
                container = lifecycle.settle(engine, container, patience)
            except Busy:  # somebody is at work on it, or was stopped in the middle of that: listing waits for nobody
                patience = 0.0
            if not os.path.isdir(container.directory):
                continue
        settled.append(container)
    _collect_litter(engine)
    if trash and storedir.own_names(engine.paths.trash):
        from pod.core.image import trash as image_trash

        image_trash.empty_later(engine)
    return settled


def _collect_litter(engine: Engine) -> None:
    """Folders and names that a killed create left: into the trash."""
    try:
        entries = [name for name in os.listdir(engine.paths.containers) if name[:1] == "."]
    except FileNotFoundError:
        return
    store.release_stale_names(engine)
    volumes = os.listdir(engine.paths.volumes) if os.path.isdir(engine.paths.volumes) else []
    if volumes:
        from pod.core.volume import leftovers

        leftovers.collect(engine, volumes)
    if os.path.isdir(engine.paths.network_names):
        from pod.core.network import leftovers as network_leftovers

        network_leftovers.collect(engine)
    if storedir.names(engine.paths.build_work):
        from pod.core.image import built_layers

        if built_layers.are_left(engine):
            from pod.core.container import build_leftovers

            build_leftovers.collect(engine)
    folders = [(f"{engine.paths.containers}/{name}", name[66:]) for name in entries]
    stale = [path for path, maker in folders if rundir.is_litter(engine, path, maker)]
    for path in stale:
        storedir.into_trash(engine.paths, path)
