"""wait: until a container's process ends."""

from __future__ import annotations

import os
import time

from pod.core.container import attach, lifecycle, model
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.container.model import Container
    from pod.core.engine import Engine

_EXIT, _AGAIN = ord("X"), ord("G")
_PACKET = 8 + 32768
"""Frames of ext/src/helper/frame.h: header and most payload."""


class Watch:
    """The next end of a container's process, from now on: what Docker's ``wait`` waits for. Also one after which it is
    started again counts.

    Its supervisor is asked at once, so that a --rm container may be gone before :meth:`code` is called.
    """

    __slots__ = ("_container", "_control", "_engine")

    def __init__(self, engine: Engine, container: Container) -> None:
        self._engine = engine
        self._container = lifecycle.settle(engine, container)
        self._control = -1
        if self._container.is_running:
            try:
                self._control = attach.connect(engine, self._container)
            except PodError:
                pass  # it ends at this moment: the record tells

    def code(self) -> int:
        """The exit code, when there is one; of a container that was never started 0."""
        while self._control >= 0:
            try:
                frame = os.read(self._control, _PACKET)
            except OSError:
                frame = b""
            if len(frame) >= 8 and frame[0] in (_EXIT, _AGAIN):
                self._close()
                return int.from_bytes(frame[4:8], "little")
            if not frame:
                self._close()
        return self._recorded()

    def _close(self) -> None:
        os.close(self._control)
        self._control = -1

    def _recorded(self) -> int:
        """Without a supervisor that answers (too many clients, or it is gone): by the record alone."""
        before = self._container
        if not before.is_running and before.status != "elsewhere":
            return before.exit_code
        while True:
            try:
                now = lifecycle.settle(self._engine, model.read(self._engine, before.id))
            except FileNotFoundError:
                return model.UNKNOWN_EXIT
            over = not now.is_running and now.status != "elsewhere"  # else its node records the end
            if over or now.state.get("restartCount") != before.state.get("restartCount"):
                return int(now.state.get("exitCode", 0))
            time.sleep(0.1)
