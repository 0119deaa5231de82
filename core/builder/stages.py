"""Stages of a Dockerfile: which there are, what each stands on, which of them the target needs. Pure.

    plan          a Dockerfile to its stages, global ARGs replaced in FROM; BuildFailed names the line
    origin        the stage that such a name means      needed   the stages that one takes, itself at the end
    origins       the names of stages, images and contexts that an operation takes files from
    inherited     what ONBUILD of another stage makes of a stage

A stage is found by its name without regard to case; --from also by its number. FROM means a stage that stands before;
--from any stage, as in BuildKit: what leads round in a circle is refused.

Source: Docker's Dockerfile reference; buildkit dockerfile2llb (behaviour).
"""

from __future__ import annotations

from pod.core.builder import instructions, words
from pod.core.builder.dockerfile import fitting
from pod.core.builder.operations import Arg, Copy, From, Onbuild, Operation, Run
from pod.core.errors import BuildFailed, InvalidReference, UsageError
from pod.core.oci import platform as platforms
from pod.core.oci import reference

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

    from pod.core.builder.dockerfile import Dockerfile, Instruction
    from pod.core.oci.platform import Platform

SCRATCH = "scratch"


class Stage:
    """One FROM with what follows. ``base`` is a name after expansion, ``base_stage`` the stage it means, or None.

    ``platform`` is "" where FROM tells none; ``operations`` are (operation, instruction) without FROM; ``needs`` the
    stages it takes something from; ``stages`` what its --from names mean where they mean a stage.
    """

    __slots__ = ("base", "base_stage", "index", "instruction", "name", "needs", "operations", "platform", "stages")

    def __init__(self, index: int, name: str, instruction: Instruction) -> None:
        self.index = index
        self.name = name
        self.instruction = instruction
        self.base = self.platform = ""
        self.base_stage: int | None = None
        self.operations: list[tuple[Operation, Instruction]] = []
        self.needs: list[int] = []
        self.stages: dict[str, int] = {}

    @property
    def shown(self) -> str:
        """Its name for people: BuildKit's."""
        return self.name or f"stage-{self.index}"


class Plan:
    """``needed`` are the stages that ``target`` takes, those before that others stand on, and ``target`` at the end.

    ``meta_args`` are the ARGs before the first FROM and those of platforms, None for one without a value; ``names``
    the last stage of each name.
    """

    __slots__ = ("file", "meta_args", "names", "needed", "stages", "target")

    def __init__(self, file: Dockerfile) -> None:
        self.file = file
        self.stages: list[Stage] = []
        self.names: dict[str, int] = {}
        self.meta_args: dict[str, str | None] = {}
        self.target = -1
        self.needed: list[int] = []


def plan(
    dockerfile: Dockerfile,
    *,
    target: str = "",
    build_args: Mapping[str, str | None] | None = None,
    platform: Platform | None = None,
    build_platform: Platform | None = None,
    contexts: Collection[str] = (),
) -> Plan:
    """The stages of ``dockerfile``. BuildFailed.

    ``build_args`` whose value is None are not given; ``platform`` is that of the result and ``build_platform`` the
    host's, both this machine's unless told; ``contexts`` are names of --build-context, which go before stages.
    """
    made = Plan(dockerfile)
    given = {name: value for name, value in (build_args or {}).items() if value is not None}
    host = build_platform or platforms.host()
    made.meta_args.update(platform_args("BUILD", host))
    made.meta_args.update(platform_args("TARGET", platform or host))
    made.meta_args["TARGETSTAGE"] = target or "default"
    for instruction in dockerfile.instructions:
        operation = instructions.of(instruction)
        if isinstance(operation, From):
            _add_stage(made, operation, instruction, contexts)
        elif made.stages:
            made.stages[-1].operations.append((operation, instruction))
        elif isinstance(operation, Arg):
            _add_meta(made, operation, instruction, given)
        else:
            raise instruction.failed(
                "no build stage in current context", prefix=False, hint="an image begins with FROM"
            )
    if not made.stages:
        raise dockerfile.failed("dockerfile contains no stages to build", 0)
    made.target = _find_target(made, target)
    for stage in made.stages:
        _link(made, stage, contexts)
    made.needed = needed(made, made.target)
    for index in made.needed:
        _check_base(made, made.stages[index], contexts)
    return made


def platform_args(prefix: str, platform: Platform) -> dict[str, str | None]:
    """BUILDPLATFORM, BUILDOS … or TARGETPLATFORM, TARGETOS …"""
    values = {"PLATFORM": str(platform), "OS": platform.os, "ARCH": platform.architecture, "VARIANT": platform.variant}
    return {prefix + name: value for name, value in values.items()}


def platform_names() -> set[str]:
    """Global ARGs that need no declaration before FROM."""
    parts = ("PLATFORM", "OS", "ARCH", "VARIANT")
    return {prefix + part for prefix in ("BUILD", "TARGET") for part in parts} | {"TARGETSTAGE"}


def origins(operation: Operation) -> list[str]:
    """Names of --from of COPY, of --mount of RUN, and of such ONBUILD triggers."""
    if isinstance(operation, Copy):
        return [operation.from_] if operation.from_ else []
    if isinstance(operation, Run):
        return [mount.origin for mount in operation.mounts if mount.origin]
    return []


def _expand(made: Plan, text: str, instruction: Instruction) -> str:
    try:
        return words.expand(text, made.meta_args.get, made.file.escape)
    except words.BadWord as error:
        raise instruction.failed(str(error), prefix=False) from None


def _add_meta(made: Plan, operation: Arg, instruction: Instruction, given: dict[str, str]) -> None:
    for name, default in operation.pairs:
        if name in given:
            made.meta_args[name] = given[name]
        elif default is not None:
            made.meta_args[name] = _expand(made, default, instruction)
        else:
            made.meta_args.setdefault(name, None)


def _add_stage(made: Plan, operation: From, instruction: Instruction, contexts: Collection[str]) -> None:
    stage = Stage(len(made.stages), operation.name, instruction)
    stage.base = _expand(made, operation.image, instruction)
    if not stage.base:
        raise instruction.failed(f"base name ({operation.image[:200]}) should not be blank", prefix=False)
    if stage.base not in contexts:
        stage.base_stage = made.names.get(stage.base.lower())
    if operation.platform:
        stage.platform = _expand(made, operation.platform, instruction)
        if not stage.platform:
            raise instruction.failed(f"empty platform value from expression {operation.platform[:200]}", prefix=False)
        try:
            platforms.parse(stage.platform)
        except UsageError as error:
            reason = f"failed to parse platform {stage.platform[:200]}: {error.message}"
            raise instruction.failed(reason, prefix=False) from None
    made.stages.append(stage)
    if stage.name:
        made.names[stage.name] = stage.index


def _find_target(made: Plan, target: str) -> int:
    if not target:
        return len(made.stages) - 1
    found = made.names.get(target.lower())
    if found is None and target.isascii() and target.isdigit() and int(target[:9]) < len(made.stages):
        found = int(target[:9])
    if found is None:
        names = [stage.name for stage in made.stages if stage.name]
        guess = fitting(target.lower(), names)
        hint = (
            f"stages with a name are: {', '.join(names)}"[:500] if names else "no stage has a name: FROM image AS name"
        )
        raise made.file.failed(f'target stage "{target[:200]}" could not be found{guess}', 0, hint=hint)
    return found


def _link(made: Plan, stage: Stage, contexts: Collection[str]) -> None:
    """Which stages ``stage`` takes something from."""
    if stage.base_stage is not None:
        stage.needs.append(stage.base_stage)
    for operation, instruction in [*inherited(made, stage), *stage.operations]:
        for name in origins(operation):
            found = None if name in contexts else origin(made, name, instruction)
            if found is None:
                continue
            stage.stages[name] = found
            if found not in stage.needs:
                stage.needs.append(found)


def inherited(made: Plan, stage: Stage) -> list[tuple[Operation, Instruction]]:
    """What ONBUILD of the stage that this one stands on makes it do first."""
    if stage.base_stage is None:
        return []
    base = made.stages[stage.base_stage]
    return [(one.inner, instruction) for one, instruction in base.operations if isinstance(one, Onbuild)]


def origin(made: Plan, name: str, instruction: Instruction) -> int | None:
    """The stage that a --from means; None for an image."""
    if name.isascii() and name.isdigit():
        if len(name) > 9 or int(name) >= len(made.stages):
            raise instruction.failed(f"invalid stage index {name[:20]}")
        return int(name)
    return made.names.get(name.lower())


def needed(made: Plan, target: int) -> list[int]:
    """The stages that ``target`` needs, each after those that it needs itself. No recursion: files are strangers'."""
    done: list[int] = []
    state = dict.fromkeys(range(len(made.stages)), 0)
    todo = [target]
    while todo:
        index = todo[-1]
        if state[index] == 2:
            todo.pop()
            continue
        state[index] = 1
        waiting = [one for one in made.stages[index].needs if state[one] != 2]
        for one in waiting:
            if state[one] == 1:
                raise _circle(made, one)
        if waiting:
            todo.append(waiting[0])
            continue
        state[index] = 2
        done.append(index)
        todo.pop()
    return done


def _circle(made: Plan, index: int) -> BuildFailed:
    stage = made.stages[index]
    return stage.instruction.failed(
        f"circular dependency detected on stage: {stage.name or stage.index}",
        prefix=False,
        hint="a stage cannot take files from itself, nor from one that needs it",
    )


def _check_base(made: Plan, stage: Stage, contexts: Collection[str]) -> None:
    """Names of images in stages that are built, which otherwise fail only when they are looked for."""
    if stage.base_stage is None and stage.base != SCRATCH and stage.base not in contexts:
        _check_reference(stage.base, stage.instruction)
    for operation, instruction in stage.operations:
        for name in origins(operation):
            if name not in stage.stages and name not in contexts and name != SCRATCH:
                _check_reference(name, instruction)
        if isinstance(operation, Run) and operation.security == "insecure":
            raise instruction.failed(
                "RUN --security=insecure: a build without root has no more rights to give",
                prefix=False,
                hint="leave the flag out; what needs more than a container has cannot be built without root",
            )


def _check_reference(name: str, instruction: Instruction) -> None:
    try:
        reference.parse(name)
    except InvalidReference as error:
        reason = f'failed to parse stage name "{name[:200]}": {error.message}'
        raise instruction.failed(reason, prefix=False, hint=error.hint) from None
