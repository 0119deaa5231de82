"""Images of services on their way: pulled, built and pushed as ``pull``, ``build`` and ``push`` do."""

from __future__ import annotations

import os

from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from pod.core.compose.plan import Action
    from pod.core.compose.project import Project
    from pod.core.engine import Engine


def make(engine: Engine, project: Project | None, action: Action, *, quiet: bool) -> None:
    """One action of kind pull, load, build or push, in a process of its own. PodError names the service."""
    from pod.core import engine as carrier

    try:
        if action.kind == "build":
            assert project is not None
            build(engine, project, action, quiet=quiet)
            return
        engine.progress = carrier.ignore_progress
        if action.kind == "pull":
            from pod.core.image import pull

            pull.pull(engine, action.name, platform=action.data.get("platform") or None, policy="always")
        elif action.kind == "load":
            from pod.core.compose import bundle

            bundle.load(engine, action.data["bundle"], action.name)
        else:
            from pod.core.image import push

            push.push(engine, action.name)
    except PodError as error:
        raise type(error)(f"{action.service}: {error.message}", hint=error.hint) from None


def build(engine: Engine, project: Project, action: Action, *, quiet: bool) -> None:
    from pod.cli import build as building
    from pod.cli.options import parse
    from pod.core.compose import images

    words, context, inline = images.build_words(project, action.service)
    given: Sequence[str] = action.data.get("words") or ()
    words += given
    words += ["--pull"] if action.data.get("pull") else []
    if inline:
        descriptor = os.memfd_create("dockerfile")
        os.write(descriptor, inline.encode("utf-8", "surrogateescape"))
        os.lseek(descriptor, 0, os.SEEK_SET)
        os.dup2(descriptor, 0)
    environ = {**engine.environ, **project.environment}
    engine.environ = environ
    how = "quiet" if quiet else "plain"
    options = parse(building.COMMAND, [*words, f"--progress={how}", context], path="pod compose build")
    if quiet:
        null = os.open("/dev/null", os.O_WRONLY)
        os.dup2(null, 1)  # -q prints an id
    if building.main(engine, options):
        raise PodError("build failed")
