"""The tracer (faulter.c): which system calls a command makes, and the command with one of them disturbed."""

from __future__ import annotations

import os
import signal
import subprocess
from collections import Counter
from pathlib import Path
from typing import NamedTuple

from tests.support import compilers, places
from tests.support.podcli import Pod

ARM = "/pod-faulter-counts-from-here"
"""What a script looks for where counting is to begin."""
TIMEOUT = 150.0  # s: traced, on a busy machine


class Call(NamedTuple):
    """One system call of a command; ``number`` counts those of the same process, name and object from 1."""

    process: str
    name: str
    changes: bool
    target: str
    role: str
    number: int


class Outcome(NamedTuple):
    """What a command did: ``code`` is negative where a signal ended it; ``hit``: the fault came to pass."""

    hit: bool
    code: int
    out: str
    err: str


class Faulter:
    """The tracer, built once, with a folder for what it writes."""

    def __init__(self, folder: Path) -> None:
        self._out = folder / "out"
        source = places.REPOSITORY / "tests/support"
        self._program = compilers.build(
            compilers.host(), source / "faulter.c", folder / "faulter", str(source / "faulter_look.c"), f"-I{source}"
        )

    def calls(self, pod: Pod, argv: list[str], env: dict[str, str] | None = None) -> tuple[list[Call], Outcome]:
        """All of them, undisturbed."""
        outcome = self._run(pod, ["list"], argv, env)
        counts: Counter[tuple[str, str, str]] = Counter()
        found = []
        for line in self._out.read_text(errors="replace").splitlines():
            parts = line.split("\t")
            if len(parts) == 5:
                process, name, changes, target, role = parts
                counts[process, name, target] += 1
                found.append(Call(process, name, changes == "1", target, role, counts[process, name, target]))
        return found, outcome

    def disturbed(
        self, pod: Pod, argv: list[str], call: Call, fault: int, env: dict[str, str] | None = None
    ) -> Outcome:
        """The command with that call gone wrong: FAULT 0 is a SIGKILL right before it, else the errno that it gives."""
        words = ["hit", call.process, call.name, call.target, str(call.number), str(fault)]
        return self._run(pod, words, argv, env)

    def _run(self, pod: Pod, words: list[str], argv: list[str], env: dict[str, str] | None) -> Outcome:
        names = f"{pod.root}=store:{pod.home}=home:{places.REPOSITORY}=tree"
        command = [str(self._program), str(self._out), *words, names, ARM if ARM in " ".join(argv) else "", *argv]
        process = subprocess.Popen(
            command, env=pod.environ(env), cwd=pod.home, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, text=True, errors="backslashreplace", start_new_session=True,
        )  # fmt: skip
        try:
            out, err = process.communicate(timeout=TIMEOUT)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            raise AssertionError("it hangs") from None
        assert process.returncode == 0, f"the tracer failed: {process.returncode} {err}"
        _, hit, status = self._out.read_text(errors="replace").splitlines()[-1].split()
        return Outcome(hit == "1", os.waitstatus_to_exitcode(int(status)), out, err)
