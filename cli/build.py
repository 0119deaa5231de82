"""``pod build``: docker/buildx: build."""

from __future__ import annotations

import os
import sys

from pod.cli import build_flags
from pod.cli.options import Command
from pod.core.errors import BuildFailed, PodError, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.cli.build_progress import View
    from pod.cli.options import Options
    from pod.core.builder.build import Built
    from pod.core.builder.wishes import Wishes
    from pod.core.engine import Engine

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


def main(engine: Engine, options: Options) -> int:
    from pod.cli import build_outputs, build_progress, build_wishes

    how = _progress(engine, options)
    wishes = build_wishes.wishes(engine, options)
    for flag in ("iidfile", "metadata-file"):
        build_outputs.check_writable(flag, options[flag])
    if _wants_check(options):
        from pod.cli import build_check

        return build_check.check(engine, wishes)
    wishes.quiet = how == "quiet"
    with _Ending(), build_progress.View(how, sys.stderr, engine.progress) as view:
        engine.progress = view
        built = _build(engine, wishes, view)
        view.end(built.warnings)
    _write_results(options, wishes, built)
    if how == "quiet":
        from pod.cli import output

        output.line(_id(built))
    return 0


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


def _build(engine: Engine, wishes: Wishes, view: View) -> Built:
    """The engine's work; of a failure its step and the lines around it are shown before the error itself."""
    from pod.core.builder import build

    try:
        return build.build(engine, wishes)
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


def _id(built: Built) -> str:
    """What -q prints: of an image its id, else the digest of the configuration that was exported, if any."""
    return built.image.id if built.image is not None else built.config_digest


def _write_results(options: Options, wishes: Wishes, built: Built) -> None:
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
    if wishes.tags:
        found["image.name"] = ",".join(name.canonical() for name in wishes.tags)
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
