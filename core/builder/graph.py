"""Stages carried out: those that need nothing of each other at the same time, each in a process of its own.

A process of a stage is forked when the states that it needs are there; it has one thread, tells its events as lines of
JSON, and last its state or what went wrong. It ends when its parent does.
"""

from __future__ import annotations

import os
import signal

from pod.core import statefile
from pod.core.builder.stage_run import Finished, StageRun
from pod.core.builder.state import State
from pod.core.errors import BuildFailed, PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any, NoReturn

    from pod.core.builder.cache_elsewhere import Elsewhere
    from pod.core.builder.context import Context
    from pod.core.builder.stages import Plan
    from pod.core.builder.wishes import Wishes
    from pod.core.engine import Engine

    Tell = Callable[[dict[str, Any]], None]

_MOST_LINE = 64 << 20
_AT_ONCE = max(4, os.cpu_count() or 1)


class Graph:
    """All needed stages of a plan."""

    def __init__(
        self, engine: Engine, wishes: Wishes, plan: Plan, context: Context, tell: Tell, elsewhere: Elsewhere | None
    ) -> None:  # fmt: skip
        self._engine = engine
        self._wishes = wishes
        self._plan = plan
        self._context = context
        self._tell = tell
        self._elsewhere = elsewhere
        self._builder = os.getpid()
        self._done: dict[int, Finished] = {}
        self._children: dict[int, _Child] = {}

    def run(self) -> State:
        """The state of the target. The first failure ends all stages."""
        needed = self._plan.needed
        if self._is_chain():
            for index in needed:
                self._done[index] = self._stage(index, self._tell).run()
            return self._done[self._plan.target].state
        import selectors

        selector = selectors.DefaultSelector()
        try:
            waiting = list(needed)
            while len(self._done) < len(needed):
                for index in [one for one in waiting if self._is_ready(one)][: _AT_ONCE - len(self._children)]:
                    waiting.remove(index)
                    child = self._children[index] = _Child(self, index)
                    selector.register(child.reader, selectors.EVENT_READ, child)
                for key, _ in selector.select():
                    child = key.data
                    if not child.read(self._tell):
                        selector.unregister(child.reader)
                        del self._children[child.index]
                        self._done[child.index] = child.result()
        finally:
            selector.close()
            for child in self._children.values():
                child.end()
        return self._done[self._plan.target].state

    def _is_chain(self) -> bool:
        """Whether each stage needs the one before: then there is nothing to do at the same time."""
        needed = self._plan.needed
        return all(before in self._needs(index) for before, index in zip(needed, needed[1:]))

    def _needs(self, index: int) -> set[int]:
        stage = self._plan.stages[index]
        return {*stage.needs, *([stage.base_stage] if stage.base_stage is not None else [])}

    def _is_ready(self, index: int) -> bool:
        return self._needs(index) <= set(self._done)

    def _stage(self, index: int, tell: Tell) -> StageRun:
        return StageRun(
            self._engine, self._wishes, self._plan, index, self._context, self._done, tell, self._builder,
            self._elsewhere,
        )  # fmt: skip

    def carry_out(self, index: int, writer: int) -> NoReturn:
        """In the child."""
        def tell(event: dict[str, Any]) -> None:
            _write(writer, {"event": event})

        def progress(kind: str, event: Mapping[str, Any]) -> None:
            if kind == "warning":
                tell({"state": "warning", "text": event["text"]})

        self._engine.progress = progress
        try:
            signal.signal(signal.SIGTERM, _interrupt)
            for number in (signal.SIGINT, signal.SIGHUP):
                signal.signal(number, signal.SIG_IGN)  # the parent says when it is over
            from pod.core.runtime import userns

            userns.end_with_parent(self._builder, signal.SIGTERM)
            found = self._stage(index, tell).run()
            _write(writer, {"state": found.state.to_dict(), "args": found.args})
        except PodError as error:
            _write(writer, {"error": _told(error)})
        except (KeyboardInterrupt, BrokenPipeError):
            pass  # nobody waits for it any more
        except BaseException as error:  # noqa: BLE001 - a fork must not run the parent's handlers
            _write(writer, {"error": {"message": f"build: {error!r}", "hint": None, "code": 1}})
        finally:
            os._exit(0)


class _Child:
    """The process of one stage."""

    def __init__(self, graph: Graph, index: int) -> None:
        self.index = index
        self._pending = b""
        self._found: dict[str, Any] | None = None
        self.reader, writer = os.pipe()
        self._pid = os.fork()
        if self._pid == 0:
            statefile.close_unwritten(self.reader)
            graph.carry_out(index, writer)
        statefile.close_unwritten(writer)

    def read(self, tell: Tell) -> bool:
        """Passes on what it tells; False at its end."""
        data = os.read(self.reader, 1 << 16)
        self._pending += data
        *lines, self._pending = self._pending.split(b"\n")
        for line in lines:
            found = statefile.loads(line)
            if "event" in found:
                tell(found["event"])
            else:
                self._found = found
        return bool(data) and len(self._pending) < _MOST_LINE

    def result(self) -> Finished:
        """At its end; what went wrong in it is raised here."""
        self._gone()
        if self._found is None:
            raise PodError("build: a stage's process was ended", hint="was it killed (out of memory)? build again")
        if "error" in self._found:
            raise _error(self._found["error"])
        return Finished(State.from_dict(self._found["state"]), self._found["args"])

    def end(self) -> None:
        """It ends what it runs, and then itself."""
        os.kill(self._pid, signal.SIGTERM)
        while os.read(self.reader, 1 << 16):
            pass
        self._gone()

    def _gone(self) -> None:
        os.close(self.reader)
        os.waitpid(self._pid, 0)


def _interrupt(*_: object) -> None:
    raise KeyboardInterrupt


def _write(writer: int, document: dict[str, Any]) -> None:
    statefile.put(writer, statefile.dumps(document).encode("utf-8", "surrogateescape") + b"\n")


def _told(error: PodError) -> dict[str, Any]:
    found: dict[str, Any] = {"message": error.message, "hint": error.hint, "code": error.exit_code}
    if isinstance(error, BuildFailed):
        found.update(
            shown=error.shown, line=error.line, last=error.last, excerpt=error.excerpt, output=error.output
        )
    return found


def _error(found: dict[str, Any]) -> PodError:
    if "shown" not in found:
        error = PodError(found["message"], hint=found["hint"])
    else:
        error = BuildFailed(
            found["message"], shown=found["shown"], line=found["line"], last=found["last"], excerpt=found["excerpt"],
            hint=found["hint"],
        )  # fmt: skip
        error.output = list(found["output"])
    error.exit_code = int(found["code"])
    return error
