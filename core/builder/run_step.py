"""RUN: a command in a container of its own on the state so far; what it changed is a layer.

Its output goes to the events line by line. The command has no terminal, an empty standard input, the image's
environment and the ARGs that are declared; it ends with the build.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import select
import time

from pod.core.builder import metadata
from pod.core.errors import PodError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from pod.core.builder import working
    from pod.core.builder.dockerfile import Instruction
    from pod.core.builder.operations import Run
    from pod.core.builder.stage_run import StageRun

_MOST_LINE = 1 << 16
"""Characters of output that are held back for the end of their line."""
_TAIL = 50
"""Lines of output that the error of a failed command tells."""


def run(stage_run: StageRun, operation: Run, instruction: Instruction) -> None:
    """BuildFailed where the command ends with another code than 0."""
    from pod.core.builder.stage_run import Shown

    if operation.security == "insecure":
        raise PodError(
            "security.insecure is not allowed", hint="pod runs without root: there is no such power to give"
        )
    argv = _argv(stage_run, operation)
    args = stage_run.scope.visible_args()
    created_by = metadata.run_words(argv, args)
    with Shown(stage_run, f"RUN {_shown(operation)}") as shown, contextlib.ExitStack() as stack:
        seen = _surroundings(stage_run, operation)
        mounts = None
        if operation.mounts:
            from pod.core.builder import run_mounting

            mounts = run_mounting.Mounts(stage_run, operation, stack)
        heredoc = operation.program
        parts = [
            "run", argv, _environment(stage_run, args), *seen, mounts.key if mounts is not None else [],
            str(stage_run.platform), heredoc.text if heredoc is not None else "",
        ]  # fmt: skip
        key, step = stage_run.lookup(parts)
        if step is None:
            from pod.core.builder import run_mounting, working

            process = _process(stage_run, argv, args, seen)
            mounts = mounts or run_mounting.Mounts(stage_run, operation, stack)
            with working.Working(stage_run.engine, stage_run.state, process) as place:
                mounts.prepare(place)
                _execute(stage_run, place, instruction, argv)
                with working.new_layer(stage_run.engine) as layer:
                    place.layer(layer)
                    step = stage_run.keep(key, layer, created_by)
        else:
            shown.cached = True
        stage_run.add(step, created_by + " # buildkit")


def _shown(operation: Run) -> str:
    if not operation.shell:
        return " ".join(operation.argv)
    if operation.heredocs:
        return f"<<{operation.heredocs[0].name} ({operation.script[:60]}…)"
    return operation.script


def _argv(stage_run: StageRun, operation: Run) -> list[str]:
    if operation.program is not None:
        return [f"/dev/pipes/{operation.program.name}"]
    if not operation.shell:
        return list(operation.argv)
    return [*(stage_run.state.config.get("Shell") or metadata.DEFAULT_SHELL), operation.script]


def _environment(stage_run: StageRun, args: dict[str, str]) -> list[str]:
    return metadata.with_env(list(stage_run.state.config.get("Env") or []), list(args.items()))


def _surroundings(stage_run: StageRun, operation: Run) -> list[Any]:
    """What a cache key has of a process besides its program: user, directory, network, hosts, /dev/shm, limits."""
    config, wishes = stage_run.state.config, stage_run.wishes
    network = operation.network if operation.network != "default" else wishes.network
    return [
        str(config.get("User") or ""), str(config.get("WorkingDir") or "/"),
        "bridge" if network == "default" else network, list(wishes.add_hosts), wishes.shm_size, list(wishes.ulimits),
    ]  # fmt: skip


def _process(stage_run: StageRun, argv: list[str], args: dict[str, str], seen: list[Any]) -> working.Process:
    from pod.core.builder import working

    process = working.Process(argv, _environment(stage_run, args), seen[0], seen[1])
    process.env += [f"{name}={value}" for name, value in stage_run.scope.proxies().items()]
    process.network, process.add_hosts, process.shm_size, process.ulimits = seen[2:]
    process.limits = stage_run.wishes.limits
    return process


def _execute(
    stage_run: StageRun, place: working.Working, instruction: Instruction, argv: list[str]
) -> None:
    output = Output(lambda stream, text: stage_run.tell("output", stream=stream, text=text))
    code = place.run(output.ends[0], output.ends[1], output.wait)
    if code:
        error = instruction.failed(
            f'process "{" ".join(argv)}" did not complete successfully: exit code: {code}', prefix=False
        )
        error.exit_code = code if code < 256 else 1
        error.output = output.tail
        raise error


class Output:
    """Both streams of a command, told by whole lines. ``ends``: the descriptors that the command gets."""

    def __init__(self, tell: Callable[[int, str], None]) -> None:
        self._tell = tell
        self._readers = {}
        self.tail: list[str] = []
        ends = []
        for stream in (1, 2):
            reader, writer = os.pipe()
            os.set_blocking(reader, False)
            self._readers[reader] = stream
            ends.append(writer)
        self.ends: tuple[int, int] = (ends[0], ends[1])
        self._decoders = {stream: codecs.getincrementaldecoder("utf-8")("replace") for stream in (1, 2)}
        self._held = {1: "", 2: ""}

    def wait(self, client: int) -> int:
        """Reads until both streams have ended and the client, too; its exit code."""
        for end in self.ends:
            os.close(end)
        poll = select.poll()
        for reader in self._readers:
            poll.register(reader, select.POLLIN)
        status: int | None = None
        deadline = 0.0
        try:
            while self._readers:
                ready = poll.poll(20 if status is not None else 200)
                for reader, _ in ready:
                    if not self._read(reader):
                        poll.unregister(reader)
                if status is None:
                    pid, found = os.waitpid(client, os.WNOHANG)
                    status = found if pid else None
                    deadline = time.monotonic() + 1.0
                elif not ready or time.monotonic() > deadline:
                    break  # somebody else holds the pipes: the client has passed all of it on
            if status is None:
                status = os.waitpid(client, 0)[1]
        finally:
            for reader, stream in list(self._readers.items()):
                self._end(reader, stream)
        return os.waitstatus_to_exitcode(status) if os.WIFEXITED(status) else 128 + os.WTERMSIG(status)

    def _read(self, reader: int) -> bool:
        stream = self._readers[reader]
        try:
            data = os.read(reader, 1 << 16)
        except BlockingIOError:
            return True
        if not data:
            self._end(reader, stream)
            return False
        text = self._held[stream] + self._decoders[stream].decode(data)
        whole, newline, rest = text.rpartition("\n")
        if len(rest) > _MOST_LINE:
            whole, newline, rest = text, "", ""
        self._held[stream] = rest
        if whole or newline:
            self._say(stream, whole + newline)
        return True

    def _end(self, reader: int, stream: int) -> None:
        os.close(reader)
        del self._readers[reader]
        text = self._held[stream] + self._decoders[stream].decode(b"", True)
        self._held[stream] = ""
        if text:
            self._say(stream, text)

    def _say(self, stream: int, text: str) -> None:
        self.tail = [*self.tail, *text.splitlines()][-_TAIL:]
        self._tell(stream, text)
