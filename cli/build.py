"""``pod build``: docker/buildx: build."""

from __future__ import annotations

import os
import sys

from pod.cli import build_flags, build_progress
from pod.cli.options import Command
from pod.core.builder import known
from pod.core.builder.wishes import PREDEFINED
from pod.core.errors import BuildFailed, PodError, UsageError
from pod.core.oci import reference as references

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from pod.cli.build_progress import View
    from pod.cli.options import Options
    from pod.core.builder.build import Built
    from pod.core.builder.known import Outcome, Question
    from pod.core.builder.wishes import Wishes
    from pod.core.engine import Engine
    from pod.core.oci.reference import Reference

COMMAND = Command(
    "build",
    "[OPTIONS] PATH | URL | -",
    "Build an image from a Dockerfile",
    build_flags.FLAGS,
    min_args=1,
    max_args=1,
    aliases=("pod build", "pod builder build", "pod buildx build", "pod image build"),
)
_SHOWN = ("auto", "none", "plain", "quiet", "rawjson", "tty")
_ASKED = (
    "add-host", "annotation", "build-arg", "label", "load", "network", "platform", "shm-size", "target", "ulimit",
)  # fmt: skip
"""Flags that are part of the question that a build known before answers, by their words."""
_BESIDE = {"compress", "debug", "file", "force-rm", "iidfile", "metadata-file", "progress", "quiet", "tag"}
"""Flags that do not change what it comes to, or are part of it by other ways; with any further one it is done anew."""


def main(engine: Engine, options: Options) -> int:
    how = _progress(engine, options)
    question = _question(engine, options)
    if question is not None:
        _check_results(options)
        outcome = known.find(engine, question)
        if outcome is not None:
            return _tell(engine, options, question.tags, outcome, how)
    from pod.cli import build_wishes

    wishes = build_wishes.wishes(engine, options)
    _check_results(options)
    if _wants_check(options):
        from pod.cli import build_check

        return build_check.check(engine, wishes)
    wishes.quiet = how == "quiet"
    with _Ending(), build_progress.View(how, sys.stderr, engine.progress) as view:
        engine.progress = view
        built = _build(engine, wishes, view, question)
        view.end(built.warnings)
    _finish(options, wishes.tags, built, how)
    return 0


def _question(engine: Engine, options: Options) -> Question | None:
    """The build, if it may be one that is known: of a folder here, with nothing that has to be looked at each time."""
    word, file = options.args[0], options["file"]
    if not options.given <= _BESIDE.union(_ASKED) or "://" in word or "-" in (word, file) or not os.path.isdir(word):
        return None
    try:
        tags = [references.parse(text).with_default_tag() for text in options["tag"]]
        if any(one.digest for one in tags):
            return None
        environ = engine.environ
        named = [environ.get(text) for text in options["build-arg"] if "=" not in text]
        parts: list[Any] = [[options[name] for name in _ASKED], named, [environ.get(name) for name in PREDEFINED]]
        return known.Question(word, file, tags, [*parts, environ.get("SOURCE_DATE_EPOCH")])
    except (PodError, OSError, TypeError):
        return None  # what is wrong is said by who checks each flag


def _tell(engine: Engine, options: Options, tags: Sequence[Reference], outcome: Outcome, how: str) -> int:
    """What the build told when it was done, once more."""
    with build_progress.View(how, sys.stderr, engine.progress) as view:
        for event in outcome.events:
            view("build", event)
        view.end(outcome.warnings)
    _finish(options, tags, outcome, how)
    return 0


def _finish(options: Options, tags: Sequence[Reference], built: Outcome, how: str) -> None:
    _write_results(options, tags, built)
    if how == "quiet":
        from pod.cli import output

        output.line(_id(built))


def _check_results(options: Options) -> None:
    for flag in ("iidfile", "metadata-file"):
        if options[flag]:
            from pod.cli import build_outputs

            build_outputs.check_writable(flag, options[flag])


class _Ending:
    """SIGTERM, and SIGHUP of a closed terminal, end a build as SIGINT does: what runs is ended and tidied up. Then the
    process ends by that signal. Who ignores one (nohup) keeps it so.
    """

    def __init__(self) -> None:
        self._taken = 0
        self._before: list[int] = []

    def __enter__(self) -> _Ending:
        import signal

        for number in (signal.SIGTERM, signal.SIGHUP):
            if signal.getsignal(number) == signal.SIG_DFL:
                self._before.append(number)
                signal.signal(number, self._take)
        return self

    def _take(self, number: int, _: object) -> None:
        import signal

        self._taken = number
        for one in self._before:
            signal.signal(one, signal.SIG_IGN)
        raise KeyboardInterrupt

    def __exit__(self, *_: object) -> None:
        import signal

        for number in self._before:
            signal.signal(number, signal.SIG_DFL)
        if self._taken:
            os.kill(os.getpid(), self._taken)


def _wants_check(options: Options) -> bool:
    """--check or --call=check; other methods of BuildKit's are refused."""
    call = options["call"]
    if call not in ("build", "check", "lint"):
        raise UsageError(f"--call {call}: pod has no such method", hint="there are build and check")
    return bool(options["check"]) or call != "build"


def _progress(engine: Engine, options: Options) -> str:
    """How it is shown: --progress, else BUILDKIT_PROGRESS; -q goes with neither."""
    how = options["progress"]
    if "progress" not in options.given:
        how = engine.environ.get("BUILDKIT_PROGRESS") or how
    if how not in _SHOWN:
        raise UsageError(f"invalid progress mode {how}", hint=f"there are {', '.join(_SHOWN)}")
    if options["quiet"]:
        if "progress" in options.given and how not in ("auto", "quiet", "none"):
            raise UsageError(f"progress={how} and quiet cannot be used together")
        return "quiet"
    return str(how)


def _build(engine: Engine, wishes: Wishes, view: View, question: Question | None) -> Built:
    """The engine's work; of a failure its step and the lines around it are shown before the error itself."""
    from pod.core.builder import build

    try:
        return build.build(engine, wishes, question)
    except BuildFailed as error:
        error.exit_code = 1  # as buildx, whatever the step's own code was
        view.failed(error)
        raise
    except PodError as error:
        view.failed(error)
        raise
    except BaseException:
        view.stop()
        raise


def _id(built: Outcome) -> str:
    """What -q prints: of an image its id, else the digest of the configuration that was exported, if any."""
    return built.image.id if built.image is not None else built.config_digest


def _write_results(options: Options, tags: Sequence[Reference], built: Outcome) -> None:
    """--iidfile and --metadata-file, each whole or not at all."""
    if options["iidfile"]:
        _write("iidfile", options["iidfile"], _id(built))
    if not options["metadata-file"]:
        return
    import json

    found: dict[str, object] = {"buildx.build.ref": f"default/default/{_id(built)[7:32]}"}
    if built.config_digest:
        found["containerimage.config.digest"] = built.config_digest
    if built.manifest_digest:
        media_type = "application/vnd.oci.image.manifest.v1+json"
        found["containerimage.descriptor"] = {"mediaType": media_type, "digest": built.manifest_digest}
        found["containerimage.digest"] = built.manifest_digest
    if tags:
        found["image.name"] = ",".join(name.canonical() for name in tags)
    _write("metadata-file", options["metadata-file"], json.dumps(found, indent=2))


def _write(flag: str, path: str, text: str) -> None:
    temporary = f"{path}.{os.getpid()}.part"
    try:
        with open(temporary, "x", encoding="utf-8") as file:
            file.write(text)
        os.rename(temporary, path)
    except OSError as error:
        if os.path.lexists(temporary):
            os.unlink(temporary)
        raise PodError(f"--{flag}: {path}: {(error.strerror or 'failed').lower()}") from None
