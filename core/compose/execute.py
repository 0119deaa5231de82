"""Carries out a plan: what is quick in this process, the rest in a process each, as soon as what it needs is done.

No threads: a start ends in an exec (core/runtime/launch.py), so it has a process anyway, and of many processes the
kernel makes the best.
"""

from __future__ import annotations

import os
import time

from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from pod.core.compose.plan import Action, Plan

    class Worker(Protocol):
        """Who knows what each kind of action means."""

        def do(self, action: Action) -> None:
            """All of it. PodError."""

        def look(self, action: Action) -> bool:
            """Whether what a ``wait`` waits for is so; PodError where it will not be."""

        def say(self, action: Action, word: str) -> None:
            """Progress."""

        def failed(self, action: Action, error: PodError) -> None:
            """Tells of a failure, in the process in which it happened."""

    class Yields(Protocol):
        """What is held while something is done."""

        def take(self) -> None:
            """Where it was let go."""

        def let_go(self) -> None:
            """While there is nothing to do but to wait."""


INLINE = frozenset(("network", "volume", "external", "keep", "rename"))
"""Done in this process: they take no longer than a fork."""
_LOOK = 0.03
"""Seconds between two looks at what is waited for."""


class Failed(PodError):
    """An action failed; who did it has told why."""


class Execution:
    """One plan on its way. ``parallel`` bounds the processes at work; ``deadline`` (monotonic) what is waited for."""

    def __init__(
        self,
        plan: Plan,
        worker: Worker,
        *,
        parallel: int = -1,
        deadline: float | None = None,
        lock: Yields | None = None,
    ) -> None:
        self._plan = plan
        self._worker = worker
        self._parallel = parallel if parallel > 0 else 1 << 30
        self._deadline = deadline
        self._lock = lock
        self._left = [set(action.needs) for action in plan.actions]
        self._after: list[list[int]] = [[] for _ in plan.actions]
        for position, action in enumerate(plan.actions):
            for need in action.needs:
                self._after[need].append(position)
        self._ready = [position for position, left in enumerate(self._left) if not left]
        self._children: dict[int, int] = {}
        self._waits: list[int] = []
        self.failures = 0

    def run(self) -> None:
        """Until all is done. Failed at the end where something was not; what runs then is finished first."""
        try:
            while self._ready or self._children or self._waits:
                self._begin_ready()
                self._look()
                self._reap()
        except BaseException:
            self._abandon()
            raise
        if self.failures:
            raise Failed("not all of it was done")

    # ---- beginning

    def _begin_ready(self) -> None:
        later = []
        if self._ready and self._lock is not None:
            self._lock.take()
        while self._ready and not self.failures:
            position = self._ready.pop(0)
            action = self._plan.actions[position]
            if action.kind == "wait":
                self._worker.say(action, "begin")
                self._waits.append(position)
            elif action.kind in INLINE:
                self._inline(position, action)
            elif len(self._children) >= self._parallel:
                later.append(position)
                break
            else:
                self._fork(position, action)
        self._ready = later + self._ready if not self.failures else []

    def _inline(self, position: int, action: Action) -> None:
        self._worker.say(action, "begin")
        try:
            self._worker.do(action)
        except PodError as error:
            self._fail(action, error)
            return
        self._done(position)

    def _fork(self, position: int, action: Action) -> None:
        self._worker.say(action, "begin")
        child = os.fork()
        if child:
            self._children[child] = position
            return
        status = 1
        try:
            self._worker.do(action)
            status = 0
        except PodError as error:
            self._worker.failed(action, error)
        except KeyboardInterrupt:
            status = 130
        except OSError as error:
            self._worker.failed(action, PodError(f"{action.subject.lower()}: {error}"))
        finally:
            os._exit(status)

    # ---- ending

    def _look(self) -> None:
        for position in list(self._waits):
            action = self._plan.actions[position]
            late = self._deadline is not None and time.monotonic() > self._deadline
            try:
                if late:
                    raise PodError(f"{action.name}: application not healthy in time", hint="--wait-timeout was reached")
                there = bool(self.failures) or self._worker.look(action)
            except PodError as error:
                self._waits.remove(position)
                if action.data.get("required", True):
                    self._fail(action, error)
                else:
                    self._worker.say(action, "warning: optional dependency " + error.message)
                    self._done(position, said=True)
                continue
            if there:
                self._waits.remove(position)
                if not self.failures:
                    self._done(position)

    def _reap(self) -> None:
        if not self._children:
            if self._waits and not self._ready:
                if self._lock is not None:
                    self._lock.let_go()
                time.sleep(_LOOK)
            return
        if self._ready and len(self._children) < self._parallel and not self.failures:
            return
        child, status = os.waitpid(-1, os.WNOHANG if self._waits else 0)
        if not child:
            time.sleep(_LOOK)
            return
        position = self._children.pop(child, None)
        if position is None:
            return
        action = self._plan.actions[position]
        if status:
            self.failures += 1
            if os.WIFSIGNALED(status):
                words = f"{action.subject.lower()}: ended by signal {os.WTERMSIG(status)}"
                self._worker.failed(action, PodError(words, hint="run the command again"))
            self._worker.say(action, "error")
        else:
            self._done(position)

    def _done(self, position: int, *, said: bool = False) -> None:
        if not said:
            self._worker.say(self._plan.actions[position], "done")
        for later in self._after[position]:
            self._left[later].discard(position)
            if not self._left[later]:
                self._ready.append(later)

    def _fail(self, action: Action, error: PodError) -> None:
        self.failures += 1
        self._worker.say(action, "error")
        self._worker.failed(action, error)

    def _abandon(self) -> None:
        """Interrupted: what is at work ends, too."""
        for child in self._children:
            try:
                os.kill(child, 15)
            except OSError:
                continue
        for child in list(self._children):
            try:
                os.waitpid(child, 0)
            except OSError:
                continue


def rehearse(plan: Plan, show: Callable[[Action, str], None]) -> None:
    """``--dry-run``: every action as if it were done, in an order in which it could be."""
    left = [set(action.needs) for action in plan.actions]
    todo = list(range(len(plan.actions)))
    while todo:
        for position in todo:
            if not left[position]:
                break
        else:
            raise PodError("the plan has a cycle: this is a bug in pod")
        todo.remove(position)
        for one in left:
            one.discard(position)
        show(plan.actions[position], "begin")
        show(plan.actions[position], "done")
