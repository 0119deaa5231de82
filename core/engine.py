"""The carrier: paths, environment, configuration, host facts and the id map. No behaviour of its own.

Passed as the first argument wherever one of them is needed; there is no module state anywhere else.
"""

from __future__ import annotations

import os

from pod.core import paths

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, MutableMapping
    from typing import Any

    from pod.core.config import Config
    from pod.core.host import Facts
    from pod.core.rundir import HostIdentity
    from pod.core.runtime.userns import IdMap


def ignore_progress(event: str, fields: Mapping[str, Any]) -> None:
    """The progress callback of a caller that does not care."""


class Engine:
    """What every verb needs. ``environ`` is read here, in paths and in config, and nowhere else below cli.

    ``progress(event, fields)`` is told of long work (events are listed in cli/progress.py); it must not raise.
    """

    __slots__ = ("environ", "progress", "_config", "_facts", "_host", "_idmap", "_paths", "_placed", "_run_dir")

    def __init__(
        self,
        environ: MutableMapping[str, str],
        *,
        root: str | None = None,
        progress: Callable[[str, Mapping[str, Any]], None] = ignore_progress,
    ) -> None:
        self.environ = environ
        self._paths = paths.Paths(os.path.abspath(root) if root else paths.data_root(environ))
        self.progress = progress
        self._config: Config | None = None
        self._facts: Facts | None = None
        self._host: HostIdentity | None = None
        self._idmap: IdMap | None = None
        self._run_dir: str | None = None
        self._placed = False

    @property
    def paths(self) -> paths.Paths:
        """Names in the store; at first use its place is checked, for it may lie where others write."""
        if not self._placed:
            paths.check_place(self._paths.root)
            self._placed = True
        return self._paths

    @property
    def config(self) -> Config:
        """Merged configuration files, read at first use."""
        if self._config is None:
            from pod.core import config

            self._config = config.load(self.environ)
        return self._config

    @property
    def facts(self) -> Facts:
        """What this host can do, from this boot's cache or by trying."""
        if self._facts is None:
            from pod.core import host

            self._facts = host.load(self)
        return self._facts

    @property
    def host(self) -> HostIdentity:
        """Which machine, boot and pid namespace this process lives in."""
        if self._host is None:
            from pod.core import rundir

            self._host = rundir.host_identity()
        return self._host

    @property
    def idmap(self) -> IdMap:
        """The id map of containers that ask for nothing special."""
        if self._idmap is None:
            from pod.core.runtime import userns

            self._idmap = userns.default_map(self)
        return self._idmap

    @property
    def run_dir(self) -> str:
        """This boot's run directory (sockets, locks, pins); made at first use, owner checked."""
        if self._run_dir is None:
            from pod.core import rundir

            self._run_dir = rundir.open_run_dir(self)
        return self._run_dir
