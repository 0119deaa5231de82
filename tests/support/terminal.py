"""A program on a pseudo terminal, driven with bounded waits."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping
from pathlib import Path

WAIT = 20.0


class Terminal:
    """A child that has a new terminal as its controlling one. ``seen`` is all that it has shown so far."""

    def __init__(
        self, argv: list[str], environ: Mapping[str, str], *, rows: int, columns: int, cwd: Path | None = None
    ) -> None:
        self.seen = b""
        self._mark = 0
        self._status: int | None = None
        self.pid, self._master = pty.fork()
        if self.pid == 0:
            try:
                _set_size(0, rows, columns)
                if cwd is not None:
                    os.chdir(cwd)
                os.execve(argv[0], argv, dict(environ))
            finally:
                os._exit(127)
        os.set_inheritable(self._master, False)

    def send(self, data: bytes) -> None:
        """Types."""
        while data:
            data = data[os.write(self._master, data) :]

    def resize(self, rows: int, columns: int) -> None:
        """The window changes its size; the kernel sends SIGWINCH to the foreground group."""
        _set_size(self._master, rows, columns)

    def attributes(self) -> list[object]:
        """The line discipline as termios.tcgetattr gives it (both sides share it)."""
        return list(termios.tcgetattr(self._master))

    def raw(self) -> bool:
        """Whether neither echo nor line editing is on."""
        local = termios.tcgetattr(self._master)[3]
        return not local & (termios.ECHO | termios.ICANON)

    def expect(self, pattern: bytes, timeout: float = WAIT) -> re.Match[bytes]:
        """Reads until what was not yet matched has ``pattern``; AssertionError with what was seen instead."""
        deadline = time.monotonic() + timeout
        while True:
            found = re.compile(pattern, re.DOTALL).search(self.seen, self._mark)
            if found:
                self._mark = found.end()
                return found
            remaining = deadline - time.monotonic()
            if remaining <= 0 or not self._read(remaining):
                raise AssertionError(f"{pattern!r} did not appear; seen: {self.seen[self._mark :]!r}")

    def _read(self, timeout: float) -> bool:
        """One read; False at the end of the terminal."""
        if not select.select([self._master], [], [], timeout)[0]:
            return True
        try:
            piece = os.read(self._master, 65536)
        except OSError:
            return False
        self.seen += piece
        return bool(piece)

    def wait(self, timeout: float = WAIT) -> int:
        """The exit status of the program (128+N for a signal), reading what it still says."""
        deadline = time.monotonic() + timeout
        while self._status is None:
            assert time.monotonic() < deadline, f"did not end in {timeout} s; seen: {self.seen[-400:]!r}"
            if select.select([self._master], [], [], 0.02)[0] and not self._read(0):
                time.sleep(0.01)
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if pid:
                self._status = status
        while select.select([self._master], [], [], 0)[0] and self._read(0):
            pass
        code = os.waitstatus_to_exitcode(self._status)
        return code if code >= 0 else 128 - code

    def hang_up(self) -> None:
        """The window is closed: the session gets SIGHUP."""
        if self._master >= 0:
            os.close(self._master)
            self._master = -1

    def close(self) -> None:
        """Ends the program if it still runs."""
        self.hang_up()
        if self._status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG)
            if not pid:
                os.kill(self.pid, signal.SIGKILL)
                _, status = os.waitpid(self.pid, 0)
            self._status = status


def _set_size(descriptor: int, rows: int, columns: int) -> None:
    fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
