"""What a name after FROM or --from means: a stage, an image, a named context."""

from __future__ import annotations

from pod.core.builder import state
from pod.core.builder.wishes import LAYOUT
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.builder.stage_run import StageRun
    from pod.core.builder.state import State


def state_of(run: StageRun, name: str) -> State:
    """The state of a stage or an image that the file names."""
    if name in run.stage.stages:
        return run.done[run.stage.stages[name]].state
    told = run.wishes.build_contexts.get(name, name)
    if told.startswith("target:"):
        index = run.plan.names.get(told[7:].lower())
        if index is None or index not in run.done:
            raise PodError(f"build context {name}: no stage {told[7:]!r} was built before it is needed")
        return run.done[index].state
    if is_folder(run, name):
        hint = "what stands for an image is docker-image://… or oci-layout://…"
        raise PodError(f"build context {name}: files, and no image: {told}", hint=hint)
    return state.of_image(run.engine, run.image(told.removeprefix("docker-image://")))


def is_folder(run: StageRun, name: str) -> bool:
    """Whether it is a --build-context of files: neither an image nor a stage."""
    told = run.wishes.build_contexts.get(name)
    return told is not None and not told.startswith(("docker-image://", "target:", LAYOUT))
