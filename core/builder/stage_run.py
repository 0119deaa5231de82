"""One stage carried out: its base, then instruction after instruction, each from the cache where that has it.

Runs in a process of its own with one thread where there are several stages (graph.py); all that it knows of others are
their states. ``tell`` gets the events; see build.py.
"""

from __future__ import annotations

import time

from pod.core.builder import cache, metadata, origins, run_step, state
from pod.core.builder.operations import Add, Copy, Operation, Run, Workdir
from pod.core.builder.scopes import Scope
from pod.core.builder.wishes import LAYOUT
from pod.core.errors import BuildFailed, NoSuchImage, PodError
from pod.core.image import built_layers, store
from pod.core.oci import image_spec, platform
from pod.core.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.builder.cache import Step
    from pod.core.builder.cache_elsewhere import Elsewhere
    from pod.core.builder.context import Context
    from pod.core.builder.dockerfile import Instruction
    from pod.core.builder.stages import Plan, Stage
    from pod.core.builder.state import State
    from pod.core.builder.wishes import Wishes
    from pod.core.engine import Engine
    from pod.core.image.commit import Layer
    from pod.core.image.store import Image

    Tell = Callable[[dict[str, Any]], None]

LAYERED = (Run, Copy, Workdir)
"""What makes layers, and is counted and shown."""


class Finished:
    """What a stage came to: its state, and its variables for stages that stand on it."""

    __slots__ = ("args", "state")

    def __init__(self, found: State, args: dict[str, str | None]) -> None:
        self.state = found
        self.args = args


class StageRun:
    """``done``: the states of the stages that this one needs, by index. ``builder``: the pid of the whole build."""

    def __init__(
        self, engine: Engine, wishes: Wishes, plan: Plan, index: int, context: Context, done: dict[int, Finished],
        tell: Tell, builder: int, elsewhere: Elsewhere | None,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.wishes = wishes
        self.plan = plan
        self.stage: Stage = plan.stages[index]
        self.context = context
        self.done = done
        self.state = state.State()
        self.scope = Scope(plan.meta_args, wishes.build_args, {}, plan.file.escape)
        self._tell = tell
        self._builder = builder
        self._elsewhere = elsewhere
        self._progress = metadata.Progress()
        self._number = 0
        self._total = count(plan, index)
        self._uncached = wishes.no_cache or self.stage.name in wishes.no_cache_filter
        asked = self.stage.platform or wishes.platform
        self.platform = platform.parse(asked) if asked else platform.host()

    # ---- the whole

    def run(self) -> Finished:
        """BuildFailed names the line of what went wrong."""
        self._begin()
        todo = [(one, instruction) for one, instruction in self._triggers() + self.stage.operations]
        for operation, instruction in todo:
            try:
                self._step(operation, instruction)
            except BuildFailed:
                raise
            except ValueError as error:
                raise instruction.failed(str(error), prefix=False) from None
            except PodError as error:
                raise _located(instruction, error) from error
        return Finished(self.state, self.scope.args)

    def _begin(self) -> None:
        stage = self.stage
        if stage.base_stage is not None:
            before = self.done[stage.base_stage]
            self.state = before.state.copy()
            self.scope.args = dict(before.args)
        elif stage.base == "scratch":
            self.state = state.scratch(self.platform, cache.now(self.engine))
        else:
            with Shown(self, f"FROM {stage.base}"):
                self.state = origins.state_of(self, stage.base).copy()
        self.scope.env = dict(entry.partition("=")[::2] for entry in self.state.config.get("Env") or [])

    def _triggers(self) -> list[tuple[Operation, Instruction]]:
        """ONBUILD of the base, be it an image or a stage, which goes no further."""
        from pod.core.builder import instructions, stages

        texts = self.state.config.pop("OnBuild", None) or []
        found = instructions.triggers(texts)
        self._total += sum(isinstance(one, LAYERED) for one, _ in found)
        for operation, instruction in found:
            for name in stages.origins(operation):
                if name not in self.wishes.build_contexts and name not in self.stage.stages:
                    self._take(name, instruction)
        return found

    def _take(self, name: str, instruction: Instruction) -> None:
        """The stage of this file that a trigger of an image takes files from, which no plan knew of: built now."""
        from pod.core.builder import stages

        found = stages.origin(self.plan, name, instruction)
        if found is None:
            return
        self.stage.stages[name] = found
        self.stage.needs.append(found)
        for index in stages.needed(self.plan, found):
            if index not in self.done:
                made = StageRun(
                    self.engine, self.wishes, self.plan, index, self.context, self.done, self._tell, self._builder,
                    self._elsewhere,
                )  # fmt: skip
                self.done[index] = made.run()

    def image(self, name: str) -> Image:
        """An image that the file names: of the store, or pulled. It is kept while this process lives."""
        found: Image | None = None
        wanted = str(self.platform)
        if name.startswith(LAYOUT):
            from pod.core.builder import layouts

            found = layouts.image(self.engine, name, self.platform)
        elif not self.wishes.pull:
            try:
                found = store.resolve(self.engine, name)
                theirs = platform.parse("/".join(filter(None, (found.record.get("os"), found.record["architecture"]))))
                if self.platform.rank(theirs) is None:
                    found = None
            except NoSuchImage:
                pass
        if found is None:
            from pod.core.image import pull

            references.parse(name)
            found = pull.pull(self.engine, name, platform=wanted)
            self.used("new")
        built_layers.hold(self.engine, found.id, self._builder)
        self.used("image", name=name, id=found.id)
        return found

    # ---- one instruction

    def _step(self, operation: Operation, instruction: Instruction) -> None:
        operation = self.scope.step(operation)
        if isinstance(operation, Run):
            run_step.run(self, operation, instruction)
        elif isinstance(operation, (Add, Copy, Workdir)):
            from pod.core.builder import copy_step

            if isinstance(operation, Workdir):
                copy_step.workdir(self, operation)
            else:
                copy_step.copy(self, operation)
        else:
            metadata.apply(self.state, operation, self._progress, self.scope.args)

    # ---- for the handlers

    def lookup(self, parts: list[Any]) -> tuple[str, Step | None]:
        """The key of a step on this state, and what the cache has of it."""
        key = cache.key_of(self.engine, [self.state.chain, *parts])
        if self._uncached:
            return key, None
        found = cache.find(self.engine, key)
        if found is None and self._elsewhere is not None:
            found = self._elsewhere.bring(
                self.engine, key, self._chain_with, lambda text: self.tell("warning", text=text)
            )
        return key, found

    def _chain_with(self, diff_id: str) -> str:
        return image_spec.chain_ids([*(one["diffID"] for one in self.state.layers), diff_id])[-1]

    def keep(self, key: str, layer: Layer, shown: str) -> Step:
        """Publishes the layer of a step that was just done."""
        self.used("new")
        return cache.keep(self.engine, key, layer, self._chain_with, shown)

    def add(self, step: Step, created_by: str) -> None:
        """The step's layer and line of history."""
        assert step.layer is not None
        self.state.add_layer(step.layer, step.created)
        self.state.note(created_by, empty=False, author=self._progress.author)
        self.used("step", key=step.key, layer=step.layer["digest"], created=step.created)

    def used(self, what: str, **more: Any) -> None:
        """Something that the build rests on (known_keep.Watch.used)."""
        self.tell("used", what=what, **more)

    def tell(self, event: str, **more: Any) -> None:
        """An event of the step that is shown at the moment."""
        place = {"stage": self.stage.shown, "index": self.stage.index, "local": self._number}
        self._tell({"state": event, **place, **more})

    def begin_shown(self, text: str) -> None:
        self._number += 1
        several = len(self.plan.needed) > 1 or self.stage.name
        name = f"{self.stage.shown} " if several else ""
        line = " ".join(text.split())
        self.tell("start", name=f"[{name}{self._number}/{self._total}] {line}")


class Shown:
    """The context of a step that people see: told when it starts, and what came of it."""

    __slots__ = ("_begun", "_run", "cached")

    def __init__(self, stage_run: StageRun, text: str) -> None:
        self._run = stage_run
        self.cached = False
        self._begun = time.monotonic()
        stage_run.begin_shown(text)

    def __enter__(self) -> Shown:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, _: object) -> None:
        seconds = time.monotonic() - self._begun
        if kind is None:
            self._run.tell("cached" if self.cached else "done", seconds=seconds)
        else:
            text = error.message if isinstance(error, PodError) else "canceled"
            self._run.tell("failed", seconds=seconds, text=text)


def count(plan: Plan, index: int) -> int:
    """Steps of a stage that people see, without those of triggers."""
    stage = plan.stages[index]
    based = stage.base_stage is None and stage.base != "scratch"
    return int(based) + sum(isinstance(operation, LAYERED) for operation, _ in stage.operations)


def _located(instruction: Instruction, error: PodError) -> BuildFailed:
    found = instruction.failed(error.message, prefix=False, hint=error.hint)
    found.exit_code = error.exit_code
    return found
