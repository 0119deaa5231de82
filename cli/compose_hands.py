"""What the command line lends to the engine of Compose (core/compose/work.Hands): flags, images, hooks, progress."""

from __future__ import annotations

import os
import sys

from pod.cli import output
from pod.core.compose.plan import WORDS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from pod.cli.compose_project import ProjectLock
    from pod.cli.options import Options
    from pod.core.compose.plan import Action, Plan
    from pod.core.compose.project import Project
    from pod.core.compose.work import Doing
    from pod.core.container.model import Container
    from pod.core.container.spec import Request
    from pod.core.engine import Engine
    from pod.core.errors import PodError

_DRY = "DRY-RUN MODE - "
_CONDITIONS = {"service_completed_successfully": "Exited", "service_started": "Started", "updated": ""}
"""What is said when a wait is over; a wait that ends without a word begins without one."""


class Hands:
    """``how``: plain, json or quiet."""

    def __init__(
        self, project: Project | None, how: str = "plain", *, dry: bool = False, quiet_images: bool = False
    ) -> None:
        self.project = project
        self.how = how
        self.dry = dry
        self.quiet_images = quiet_images
        self.no_cache = False
        self.lock: ProjectLock | None = None

    # ---- flags

    def ready(self) -> None:
        from importlib import import_module

        for name in ("create", "run_flags", "run_request", "run_values"):
            import_module("pod.cli." + name)

    def request(self, engine: Engine, words: list[str], image: str) -> Request:
        from pod.cli import create, run_request
        from pod.cli.options import parse
        from pod.core.errors import UsageError

        try:
            return run_request.make_request(engine, parse(create.COMMAND, [*words, image], path="pod compose"))
        except UsageError as error:
            if error.hint and error.hint.startswith("See "):
                error.hint = "the key of the service with that name has a value that 'pod run' would refuse"
            raise

    # ---- images

    def make(self, engine: Engine, action: Action) -> None:
        from pod.cli import compose_images_make

        compose_images_make.make(engine, self.project, action, quiet=self.quiet_images or self.how == "quiet")

    # ---- hooks

    def hook(self, engine: Engine, container: Container, hook: Mapping[str, Any]) -> int:
        from pod.cli import exec as executing
        from pod.cli.options import parse

        words = ["--user=" + str(hook["user"])] if hook.get("user") else []
        words += ["--workdir=" + str(hook["working_dir"])] if hook.get("working_dir") else []
        words += ["--privileged"] if hook.get("privileged") else []
        environment = hook.get("environment") or {}
        if isinstance(environment, dict):
            words += [f"--env={name}={value}" for name, value in environment.items() if value is not None]
        else:
            words += [f"--env={text}" for text in environment]
        command = hook.get("command") or []
        command = command if isinstance(command, list) else command.split()
        options = parse(executing.COMMAND, [*words, container.id, *command])
        return run_child(lambda: executing.main(engine, options))

    # ---- progress

    def say(self, action: Action, word: str) -> None:
        if self.how == "quiet":
            return
        begin, done = WORDS.get(action.kind, ("", ""))
        if action.kind == "wait":
            done = _CONDITIONS.get(action.data.get("condition", ""), done)
            begin = begin if done else ""
        text = {"begin": begin, "done": done, "error": "Error"}.get(word, word)
        if not text:
            return
        if self.how == "json":
            from pod.core import statefile

            document = {"id": action.subject, "status": text, **({"dry-run": True} if self.dry else {})}
            output.line(statefile.dumps(document), sys.stderr)
            return
        output.line(f" {_DRY if self.dry else ''}{action.subject}  {text}", sys.stderr)

    def failed(self, action: Action, error: PodError) -> None:
        output.error(error)


def run_child(work: Any) -> int:
    """``work`` in a process of its own, which may become another program; its exit code."""
    from pod.core.errors import PodError

    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            stream.flush()
    child = os.fork()
    if not child:
        status = 1
        try:
            status = int(work() or 0)
        except PodError as error:
            output.error(error)
        finally:
            os._exit(status)
    status = os.waitpid(child, 0)[1]
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def hands(engine: Engine, options: Options, project: Project | None) -> Hands:
    """By --progress and its variable, and --dry-run."""
    from pod.cli import compose_project

    group = compose_project.flags(options)
    how = group["progress"] or engine.environ.get("COMPOSE_PROGRESS") or "auto"
    kind = how if how in ("json", "quiet") else "plain"
    return Hands(project, kind, dry=compose_project.dry_run(options))


def parallel(engine: Engine, options: Options) -> int:
    """--parallel, else COMPOSE_PARALLEL_LIMIT; -1: as many as there are."""
    from pod.cli import compose_project
    from pod.core.errors import UsageError

    group = compose_project.flags(options)
    if "parallel" in group.given:
        return int(group["parallel"])
    text = engine.environ.get("COMPOSE_PARALLEL_LIMIT") or "-1"
    try:
        return int(text)
    except ValueError:
        raise UsageError(f"COMPOSE_PARALLEL_LIMIT must be an integer (found: {text!r})") from None


def carry_out(
    engine: Engine, options: Options, plan: Plan, doing: Doing, voice: Hands, deadline: float | None = None
) -> int:
    """Does the plan, or shows it with --dry-run; the exit status."""
    from pod.core.compose import execute

    for text in plan.warnings:
        output.warning(text)
    if voice.dry:
        execute.rehearse(plan, voice.say)
        return 0
    if not plan.actions:
        return 0
    doing.expect(plan)
    try:
        run = execute.Execution(plan, doing, parallel=parallel(engine, options), deadline=deadline, lock=voice.lock)
        run.run()
    except execute.Failed:
        return 1
    return 0
