"""COPY, ADD and WORKDIR: what changes files without running anything."""

from __future__ import annotations

import contextlib
import os
import posixpath

from pod.core.builder import accounts, copying, metadata, origins, remote, working
from pod.core.builder import context as contexts
from pod.core.builder.copying import CopyWishes, Host, Inside
from pod.core.builder.operations import Add, Copy

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from pod.core.builder.copying import Origin
    from pod.core.builder.dockerfile import Heredoc
    from pod.core.builder.operations import Workdir
    from pod.core.builder.stage_run import StageRun
    from pod.core.builder.working import Working


def copy(run: StageRun, operation: Copy) -> None:
    """One COPY or ADD: a layer of its own, or the cache's."""
    from pod.core.builder.stage_run import Shown

    created_by = metadata.copy_words(operation)
    with Shown(run, created_by) as shown, contextlib.ExitStack() as stack:
        target = _target(run, operation.target)
        owner = _owner(run, operation.chown)
        picked = list(_all(run, operation, owner, stack))
        parts: list[Any] = [
            "copy", operation.keyword, target, operation.target.endswith("/"), list(owner or ()), operation.parents,
            *(one.digest for one in picked),
        ]  # fmt: skip
        if operation.parents or len(picked) > 1:
            parts.append(list(operation.sources))
        key, step = run.lookup(parts)
        if step is None:
            with working.Working(run.engine, run.state) as place, working.new_layer(run.engine) as layer:
                _carry_out(place, picked, target, operation)
                place.layer(layer)
                step = run.keep(key, layer, created_by)
        else:
            shown.cached = True
        run.add(step, created_by + " # buildkit")


def _owner(run: StageRun, chown: str) -> tuple[int, int] | None:
    """What --chown means in the tree so far; None for none."""
    if not chown:
        return None
    with working.Working(run.engine, run.state) as place:
        return accounts.ids(place, chown)


def _carry_out(place: Working, picked: Sequence[Any], target: str, operation: Copy) -> None:
    is_folder = operation.target.endswith(("/", "/.")) or operation.target in (".", "..")

    def work(plan_fd: int) -> None:
        for one in picked:
            one.into(plan_fd, target, is_folder=is_folder or len(picked) > 1)

    place.plan(work)


def _target(run: StageRun, text: str) -> str:
    """Absolute; a slash at the end is kept by ``is_folder``."""
    return posixpath.normpath(posixpath.join("/", run.state.config.get("WorkingDir") or "/", text))


def _all(
    run: StageRun, operation: Copy, owner: tuple[int, int] | None, stack: contextlib.ExitStack
) -> Iterator[copying.Picked | remote.Added]:
    sources = list(operation.sources)
    if sources:
        origin = _origin(run, operation, stack)
        wishes = CopyWishes(
            sources, owner=owner, chmod=operation.chmod, exclude=operation.exclude, parents=operation.parents,
            command=operation.keyword,
        )  # fmt: skip
        if isinstance(operation, Add) and isinstance(origin, Host):
            if remote.is_any(sources):
                run.used("new")  # their servers are asked each time
            added = remote.add(
                run.engine, origin, wishes, checksum=operation.checksum, keep_git_dir=operation.keep_git_dir,
                unpack=operation.unpack,
            )  # fmt: skip
            yield stack.enter_context(added)
        else:
            yield copying.pick(run.engine, origin, wishes)
    if operation.inline:
        yield inline(run, operation.inline, owner, operation.chmod, operation.keyword, stack)


def _origin(run: StageRun, operation: Copy, stack: contextlib.ExitStack) -> Origin:
    return origin_of(run, operation.from_, stack) if operation.from_ else context_of(run)


def context_of(run: StageRun) -> Host:
    """The build's own context."""
    run.used("context")
    return Host(run.context.fd, run.context.ignore)


def origin_of(run: StageRun, name: str, stack: contextlib.ExitStack) -> Origin:
    """What --from means: a named context, a stage, an image."""
    if origins.is_folder(run, name):
        return _named(run, run.wishes.build_contexts[name], stack)
    place = working.Working(run.engine, origins.state_of(run, name))
    stack.enter_context(place)
    return Inside(stack.enter_context(place.planned()))


def _named(run: StageRun, told: str, stack: contextlib.ExitStack) -> Host:
    context = stack.enter_context(contexts.open_named(run.engine, told))
    return Host(context.fd, context.ignore)


def inline(
    run: StageRun, heredocs: Sequence[Heredoc], owner: tuple[int, int] | None, chmod: str, command: str,
    stack: contextlib.ExitStack,
) -> copying.Picked:  # fmt: skip
    """Files of the names that heredocs have, 0644 unless told."""
    import tempfile

    folder = stack.enter_context(tempfile.TemporaryDirectory(prefix="heredocs-", dir=run.engine.run_dir))
    for heredoc in heredocs:
        fd = os.open(f"{folder}/{heredoc.name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o644)
        with open(fd, "w", encoding="utf-8", errors="surrogateescape", newline="") as file:
            file.write(heredoc.text)
            os.fchmod(fd, 0o644)
    held = copying.open_folder(folder)
    stack.callback(os.close, held)
    names = [heredoc.name for heredoc in heredocs]
    wishes = CopyWishes(names, owner=owner, chmod=chmod, literal=True, command=command)
    return copying.pick(run.engine, Host(held), wishes)


# ---- WORKDIR


def workdir(run: StageRun, operation: Workdir) -> None:
    """The directory is made, and its parents, by whoever USER says; Docker's has a layer for it in any case."""
    from pod.core.builder.stage_run import Shown

    path = metadata.workdir(run.state, operation.text)
    created_by = f"WORKDIR {path}"
    user = str(run.state.config.get("User") or "")
    with Shown(run, created_by) as shown:
        key, step = run.lookup(["workdir", path, user])
        if step is None:
            with working.Working(run.engine, run.state) as place, working.new_layer(run.engine) as layer:
                owner = accounts.ids(place, user) if user else (0, 0)
                place.plan(lambda plan_fd: _make(plan_fd, path, owner))
                place.layer(layer)
                step = run.keep(key, layer, created_by)
        else:
            shown.cached = True
        run.add(step, created_by)


def _make(plan_fd: int, path: str, owner: tuple[int, int]) -> None:
    from pod.core.container import view
    from pod.ext.errors import StepError

    try:
        view.Job("look", plan_fd, path.rstrip("/") + "/", flags=view.FOLLOW | view.MAKE, owner=owner).result()
    except StepError as error:
        raise view.words(error, f"WORKDIR {path}") from None
