"""Many commands at once, from a session that has a keyring of its own. Run as a program by :func:`run`.

    crowd.py PARALLEL USED_UP    stdin: JSON [[argv, environment], …];
    stdout: JSON [[status, out, err, seconds, kB], …]
    crowd.py hold                stdout: "held"; until the end of stdin

``kB`` is the largest resident size of that command's own process, before it was waited for.
"""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tests.support.podcli import Pod

KEYCTL = {"x86_64": 250, "aarch64": 219}
ADD_KEY = {"x86_64": 248, "aarch64": 217}
JOIN_SESSION_KEYRING = 1
SETPERM = 5
SESSION_KEYRING = -3
SHARED = "pod-containers"
"""The keyring that is the session's of all supervisors of a user (ext/src/core/confine.c)."""
_SHARED_PERMISSIONS = 0x3F1B0000


class Done(NamedTuple):
    """What one command of the crowd did."""

    code: int
    out: str
    err: str
    seconds: float
    kilobytes: int


def own_keyring() -> None:
    """A session keyring of this process's own (keyctl(2)), as pam_keyinit makes one at login."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(KEYCTL[os.uname().machine], JOIN_SESSION_KEYRING, None) < 0:
        raise OSError(ctypes.get_errno(), "make a session keyring")


def use_up_keys() -> None:
    """Adds keys to the session keyring until the user may have no more."""
    libc = ctypes.CDLL(None, use_errno=True)
    for _ in range(100000):
        name = f"pod-test-{os.urandom(8).hex()}".encode()
        if libc.syscall(ADD_KEY[os.uname().machine], b"user", name, b"x", 1, SESSION_KEYRING) < 0:
            return
    raise AssertionError("there is no quota of keys")


def keys() -> set[str]:
    """The serial numbers of the keys that this user may see; without :func:`shared`, for containers of tests beside
    have it too.
    """
    return {serial for serial, name in _keys() if name != SHARED}


def shared() -> set[str]:
    """The serial numbers of the keyrings that supervisors of this user share, one for each user namespace."""
    return {serial for serial, name in _keys() if name == SHARED}


def _keys() -> list[tuple[str, str]]:
    lines = [line.split() for line in Path("/proc/keys").read_text().splitlines()]
    return [(line[0], line[8].rstrip(":")) for line in lines if int(line[5]) == os.getuid()]


@contextlib.contextmanager
def shared_held() -> Iterator[None]:
    """Meanwhile the keyring that supervisors share, as tests beside have it, is always the same one."""
    argv = [sys.executable, "-I", os.path.abspath(__file__), "hold"]
    with subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n"
        yield
        process.communicate()


def hold_shared() -> None:
    """Joins it as pod does, and waits for the end of the input."""
    libc = ctypes.CDLL(None, use_errno=True)
    keyctl = KEYCTL[os.uname().machine]
    ring = libc.syscall(keyctl, JOIN_SESSION_KEYRING, SHARED.encode())
    if ring < 0 or libc.syscall(keyctl, SETPERM, ring, _SHARED_PERMISSIONS) < 0:
        raise OSError(ctypes.get_errno(), "join the keyring that supervisors share")
    os.write(1, b"held\n")
    while os.read(0, 4096):
        pass


def keys_left(before: set[str], seconds: float = 20) -> set[str]:
    """Which of the keys that came since ``before`` do not go within so many seconds."""
    left = keys() - before
    deadline = time.monotonic() + seconds
    while left & keys() and time.monotonic() < deadline:
        time.sleep(0.05)
    return left & keys()


def run(
    pod: Pod,
    jobs: Sequence[Sequence[str]],
    parallel: int,
    *,
    timeout: float = 300,
    used_up: bool = False,
    apart: bool = False,
) -> list[Done]:
    """``pod JOB`` for each of ``jobs``, at most ``parallel`` at once; ``used_up``: while the user may have no more
    keys; ``apart``: in a user namespace, for names of keyrings are those of one.
    """
    return run_all([(pod, job) for job in jobs], parallel, timeout=timeout, used_up=used_up, apart=apart)


def run_all(
    jobs: Sequence[tuple[Pod, Sequence[str]]],
    parallel: int,
    *,
    timeout: float = 300,
    used_up: bool = False,
    apart: bool = False,
) -> list[Done]:
    """:func:`run` with a store for each job."""
    asked = json.dumps([[pod.argv(*job), pod.environ()] for pod, job in jobs])
    own_names = ["unshare", "--user", "--map-current-user"] if apart else []
    argv = [*own_names, sys.executable, "-I", os.path.abspath(__file__), str(parallel), str(int(used_up))]
    done = subprocess.run(argv, input=asked, capture_output=True, text=True, timeout=timeout, check=False)
    assert done.returncode == 0, done.stderr[-4000:]
    return [Done(*one) for one in json.loads(done.stdout)]


class _Command:
    """One command on its way; its output goes to files, so that nobody has to read."""

    def __init__(self, argv: list[str], environ: dict[str, str]) -> None:
        self.out = os.memfd_create("out")
        self.err = os.memfd_create("err")
        self.since = time.monotonic()
        self.process = subprocess.Popen(
            argv, env=environ, stdin=subprocess.DEVNULL, stdout=self.out, stderr=self.err, close_fds=True
        )

    def result(self, status: int, kilobytes: int) -> list[Any]:
        seconds = time.monotonic() - self.since
        self.process.returncode = os.waitstatus_to_exitcode(status)
        texts = []
        for file in (self.out, self.err):
            os.lseek(file, 0, os.SEEK_SET)
            texts.append(os.read(file, 65536).decode(errors="replace"))
            os.close(file)
        code = self.process.returncode
        return [code if code >= 0 else 128 - code, *texts, seconds, kilobytes]


def main() -> None:
    if sys.argv[1] == "hold":
        hold_shared()
        return
    own_keyring()
    used_up = sys.argv[2] == "1"
    jobs = json.load(sys.stdin)
    waiting = list(enumerate(jobs))
    under_way: dict[int, tuple[int, _Command]] = {}
    results: list[Any] = [None] * len(jobs)
    while waiting or under_way:
        while waiting and len(under_way) < int(sys.argv[1]):
            number, (argv, environ) = waiting.pop(0)
            if used_up:
                use_up_keys()  # again: those of dead processes go a little later
            command = _Command(argv, environ)
            under_way[command.process.pid] = (number, command)
        pid, status, used = os.wait4(-1, 0)
        if pid in under_way:
            number, command = under_way.pop(pid)
            results[number] = command.result(status, used.ru_maxrss)
    json.dump(results, sys.stdout)


if __name__ == "__main__":
    main()
