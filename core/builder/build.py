"""``build``: a context and a Dockerfile to an image.

    context → Dockerfile → plan of stages → stages, in parallel where they can be (graph) → image, name

Events, as ``engine.progress("build", …)``: {"state": "plan", "steps": how many} first; then of a step {"state":
"start", "step": number from 1, "stage", "name": "[builder 2/5] RUN make"}, {"state": "output", "stream": 1 or 2,
"text"}, {"state": "cached" | "done" | "failed", "seconds", "text"}; {"state": "warning", "text"} at any time.
"""

from __future__ import annotations

from pod.core.builder import check, dockerfile, export, graph, scopes, stage_run, stages
from pod.core.builder import context as contexts
from pod.core.builder.known import Outcome
from pod.core.errors import PodError
from pod.core.image import built_layers, layout, trash
from pod.core.oci import platform as platforms

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.builder.context import Context
    from pod.core.builder.dockerfile import Dockerfile
    from pod.core.builder.known import Question
    from pod.core.builder.known_keep import Watch
    from pod.core.builder.state import State
    from pod.core.builder.wishes import Wishes
    from pod.core.engine import Engine
    from pod.core.image.store import Image


class Built(Outcome):
    """What came of it; ``state`` is what exports take.

    ``steps``: of each step that was shown its name, seconds, and whether it came from the cache.
    """

    __slots__ = ("state", "steps")

    def __init__(self, state: State) -> None:
        super().__init__()
        self.state = state
        self.steps: list[dict[str, Any]] = []


def build(engine: Engine, wishes: Wishes, question: Question | None = None) -> Built:
    """Builds it. BuildFailed names the line; whatever fails, what was done before is in the cache. ``question``: what
    the answer may be kept for (known).
    """
    from pod.core import host

    host.require_userns(engine)
    _refuse(wishes)
    layout.prepare(engine)
    if built_layers.are_left(engine):
        from pod.core.container import build_leftovers

        build_leftovers.collect(engine)
    watch = None
    if question is not None:
        from pod.core.builder import known_keep

        watch = known_keep.Watch(engine, question)
    events = Events(engine, watch)
    try:
        with contexts.open_context(engine, wishes.context, stdin_fd=wishes.stdin_fd, file=wishes.file) as context:
            file = dockerfile.parse(context.dockerfile, context.dockerfile_name)
            plan = stages.plan(
                file,
                target=wishes.target,
                build_args=wishes.build_args,
                platform=platforms.parse(wishes.platform) if wishes.platform else None,
                contexts=wishes.build_contexts,
            )
            total = sum(stage_run.count(plan, index) for index in plan.needed)
            engine.progress("build", {"state": "plan", "steps": total})
            _check(file, wishes, context, events)
            unused = scopes.unused(plan, wishes.build_args)
            if unused:
                events.warn(f"one or more build-args {unused} were not consumed".replace("'", ""))
            elsewhere = None
            if wishes.cache_from:
                from pod.core.builder import cache_elsewhere

                elsewhere = cache_elsewhere.open_caches(engine, wishes, events.warn)
            found = graph.Graph(engine, wishes, plan, context, events.tell, elsewhere).run()
            if watch is not None:
                watch.look(context)
        built = Built(_finished(found, wishes))
        if wishes.cache_to:
            from pod.core.builder import cache_elsewhere

            cache_elsewhere.write(engine, wishes, events.keys, built.state, events.warn)
        built.steps, built.warnings = events.steps, events.warnings
        if wishes.makes_image:
            built.image = _publish(engine, built.state, wishes)
        product = export.Product(found.layers, found.document(), found.size, lambda work: _viewed(engine, found, work))
        done = export.export(engine, wishes, product, built.image, len(events.steps) + 1)
        built.config_digest, built.manifest_digest = done
        if watch is not None:
            watch.keep(built)
        return built
    finally:
        built_layers.let_all_go(engine)
        trash.empty_later(engine)


def _refuse(wishes: Wishes) -> None:
    """What is asked for and cannot be had yet."""
    if wishes.squash:
        raise PodError(
            "--squash: layers are kept apart", hint="a last stage with FROM scratch and COPY --from=… / / has one layer"
        )


def _check(file: Dockerfile, wishes: Wishes, context: Context, events: Events) -> None:
    """What is probably not meant becomes warnings; BuildFailed where the file says that these are errors."""
    setting = wishes.build_args.get("BUILDKIT_DOCKERFILE_CHECK") or ""
    findings, _ = check.check(
        file,
        setting=setting,
        excluded=context.ignore.excluded if context.ignore is not None else None,
        target=wishes.target,
        build_args=wishes.build_args,
        platform=platforms.parse(wishes.platform) if wishes.platform else None,
        contexts=wishes.build_contexts,
    )
    for line, text in file.warnings:
        if line not in file.empty:
            events.warn(f"{text} (line {line})")
    for finding in findings:
        events.warn(finding.short)
    if findings and check.options(setting or file.check).error:
        raise check.failed(findings)


def _finished(state: State, wishes: Wishes) -> State:
    if wishes.labels:
        state.config["Labels"] = {**(state.config.get("Labels") or {}), **wishes.labels}
    return state


def _viewed(engine: Engine, found: State, work: Callable[[int], Any]) -> Any:
    from pod.core.builder import working

    with working.Working(engine, found) as place:
        return place.plan(work)


def _publish(engine: Engine, state: State, wishes: Wishes) -> Image:
    from pod.core import events
    from pod.core.image import store

    image = state.publish(engine, wishes.tags[0] if wishes.tags else None, wishes.annotations)
    for reference in wishes.tags[1:]:
        store.give_name(engine, image.id, reference)
    for reference in wishes.tags:
        events.emit(engine, "image", "tag", image.id, {"name": reference.familiar()})
    return image


class Events:
    """Numbers the steps of all stages as they begin, passes their events on, and keeps what a summary needs."""

    def __init__(self, engine: Engine, watch: Watch | None = None) -> None:
        self._engine = engine
        self._watch = watch
        self._numbers: dict[tuple[int, int], int] = {}
        self.steps: list[dict[str, Any]] = []
        self.warnings: list[str] = []
        self.keys: list[str] = []
        """Of the steps that are in the cache."""

    def tell(self, event: dict[str, Any]) -> None:
        """One event of a stage."""
        if event["state"] == "warning":
            self.warn(event["text"])
            return
        if event["state"] == "used":
            if event["what"] == "step":
                self.keys.append(event["key"])
            if self._watch is not None:
                self._watch.used(event)
            return
        key = (event.pop("index"), event.pop("local"))
        number = self._numbers.setdefault(key, len(self._numbers) + 1)
        if event["state"] == "start":
            self.steps.append({"name": event["name"], "seconds": 0.0, "cached": False})
        step = self.steps[number - 1]
        if event["state"] in ("cached", "done", "failed"):
            step.update(seconds=event["seconds"], cached=event["state"] == "cached")
        self._engine.progress("build", {**event, "step": number, "name": step["name"]})

    def warn(self, text: str) -> None:
        """A warning of the build as a whole."""
        self.warnings.append(text)
        self._engine.progress("build", {"state": "warning", "text": text})
