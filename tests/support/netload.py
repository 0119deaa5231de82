"""netload.c: built, started on the host or in a container, asked by lines."""

from __future__ import annotations

import contextlib
import os
import select
import shutil
import signal
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path

SOURCE = Path(__file__).with_name("netload.c")
INSIDE = "/netload"
"""Where containers have it."""
PORT = 4777
"""Where it serves, TCP and UDP."""


class Broken(Exception):
    """An agent that ended, or did not answer in time."""


def build(folder: Path) -> Path:
    """The static program in FOLDER, readable for all. Broken without a compiler."""
    compiler = shutil.which("cc")
    if compiler is None:
        raise Broken("cc: not installed")
    program = folder / "netload"
    flags = ["-static", "-O2", "-Wall", "-Wextra", "-Werror", "-Wno-error=unused-result"]
    subprocess.run([compiler, *flags, "-o", str(program), str(SOURCE)], check=True, timeout=120)
    program.chmod(0o755)
    return program


class Agent:
    """A running ``netload agent``: ``agent.ask("rtt", address, port, 100)`` gives the words of its answer."""

    def __init__(self, argv: list[str], environ: Mapping[str, str] | None = None, *, seconds: float = 30) -> None:
        self._log = os.memfd_create("netload")
        self.process = subprocess.Popen(
            argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, env=environ, bufsize=0,
            start_new_session=True,
        )  # fmt: skip
        try:
            self.expect("ready", seconds)
        except Broken:
            self.close()
            raise

    def expect(self, word: str, seconds: float) -> None:
        found = self._line(seconds)
        if found != word:
            raise Broken(f"{found!r} in place of {word!r}: {self.words()}")

    def words(self) -> str:
        """What was said to standard error."""
        return os.pread(self._log, 4000, 0).decode(errors="replace").strip()[-500:]

    def _line(self, seconds: float) -> str:
        assert self.process.stdout is not None
        line, deadline = b"", time.monotonic() + seconds
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self.process.stdout], [], [], max(0, deadline - time.monotonic()))
            piece = os.read(self.process.stdout.fileno(), 1) if ready else b""
            if not piece:
                raise Broken(f"{'ended' if ready else 'no answer'} after {line!r}: {self.words()}")
            line += piece
        return line.decode().strip()

    def ask(self, *words: str | int, seconds: float = 120) -> list[str]:
        """The words of the answer; Broken where it tells of an error."""
        answer = self.tries(*words, seconds=seconds)
        if answer.startswith("error"):
            raise Broken(f"{words}: {answer}")
        return answer.split()

    def tries(self, *words: str | int, seconds: float = 120) -> str:
        """The answer as it is, errors too ("error connect: Connection refused")."""
        assert self.process.stdin is not None
        self.process.stdin.write((" ".join(map(str, words)) + "\n").encode())
        return self._line(seconds)

    def close(self) -> None:
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait(10)
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)  # who of its server's processes still has a connection
        self.process.stdout.close()
        os.close(self._log)
