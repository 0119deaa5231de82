"""The real command line with a store of its own: what a person would type, and what came back."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

from pod.core import rundir
from tests.support import leaks, netd, places, tools
from tests.support.terminal import Terminal

TIMEOUT = 60.0
"""Seconds that one command may take unless a test says otherwise (the machine may be busy)."""


def command() -> list[str]:
    """How pod is started: $POD_UNDER_TEST ("dev" is the working tree), else the repository's pod.pyz, else the tree."""
    named = os.environ.get("POD_UNDER_TEST", "")
    if named and named != "dev":
        return [os.path.abspath(named)]
    built = places.REPOSITORY / "pod.pyz"
    if built.exists() and not named:
        return [str(built)]
    return [sys.executable, "-I", str(places.REPOSITORY / "tests" / "support" / "dev_pod.py"), _libraries()]


def _libraries() -> str:
    """The folder that urllib3 is imported from: the tree brings no libraries, and -I takes no PYTHONPATH."""
    found = importlib.util.find_spec("urllib3")
    return os.path.dirname(os.path.dirname(found.origin)) if found and found.origin else "."


class Result:
    """What one command did: ``code`` (128+N if a signal ended it), ``out`` and ``err`` as text."""

    __slots__ = ("argv", "code", "out", "err")

    def __init__(self, argv: list[str], code: int, out: str, err: str) -> None:
        self.argv = argv
        self.code = code if code >= 0 else 128 - code
        self.out = out
        self.err = err

    def __repr__(self) -> str:
        return f"$ {' '.join(self.argv)}\n[{self.code}]\n--- out\n{self.out}\n--- err\n{self.err}"

    def ok(self) -> str:
        """The output, after a check that the command succeeded."""
        assert self.code == 0, repr(self)
        return self.out

    def failed(self, code: int, *words: str) -> str:
        """The error text, after a check of the status, of one ``pod:`` line and of the words in it."""
        assert self.code == code, repr(self)
        lines = self.err.splitlines()
        assert sum(line.startswith("pod: ") for line in lines) == 1, repr(self)
        assert "Traceback" not in self.err, repr(self)
        for word in words:
            assert word.lower() in self.err.lower(), f"{word!r} is not said:\n{self!r}"
        return self.err


class Pod:
    """One store and the commands on it. ``pod("run", "--rm", image, "true")`` runs to its end."""

    def __init__(self, base: Path, registry_name: Callable[[str], str] | None = None) -> None:
        self.base = base
        self.root = base / "store"
        self.home = base / "home"
        self.home.mkdir(parents=True)
        self.variables: dict[str, str] = {}
        """More of the environment of each command."""
        self._registry_name = registry_name
        self._running: list[subprocess.Popen[bytes]] = []
        self._terminals: list[Terminal] = []

    def environ(self, extra: Mapping[str, str] | None = None) -> dict[str, str]:
        """A small environment: the store is named, nothing of the person's configuration is read."""
        return {
            "PATH": tools.SEARCH,
            "HOME": str(self.home),
            "POD_ROOT": str(self.root),
            "XDG_CACHE_HOME": os.environ.get("POD_TEST_XDG_CACHE", str(shared_cache())),
            "LANG": "C.UTF-8",
            "TERM": "xterm",
            **self.variables,
            **(extra or {}),
        }

    def run_pointer(self) -> Path:
        """The link to the run directory of this host; others may have made theirs in the store."""
        return self.root / "cache/run" / rundir.host_identity().key()

    def argv(self, *arguments: str) -> list[str]:
        return [*command(), *arguments]

    def __call__(
        self,
        *arguments: str,
        stdin: bytes | None = None,
        env: Mapping[str, str] | None = None,
        timeout: float = TIMEOUT,
        cwd: Path | None = None,
    ) -> Result:
        """Runs one command to its end. A command that hangs is killed and fails the test."""
        argv = self.argv(*arguments)
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL if stdin is None else subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environ(env),
            cwd=cwd or self.home,
        )
        try:
            out, err = process.communicate(stdin, timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
            raise AssertionError(f"{argv} did not end in {timeout} s\n{out[-2000:]!r}\n{err[-2000:]!r}") from None
        return Result(list(arguments), process.returncode, _text(out), _text(err))

    def start(self, *arguments: str, env: Mapping[str, str] | None = None) -> subprocess.Popen[bytes]:
        """Starts a command and returns its process, with pipes; ended with the test."""
        process = subprocess.Popen(
            self.argv(*arguments),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=self.environ(env),
            cwd=self.home,
            bufsize=0,
        )
        self._running.append(process)
        return process

    def terminal(self, *arguments: str, rows: int = 24, columns: int = 80) -> Terminal:
        """Starts a command on a terminal of its own; ended with the test."""
        terminal = Terminal(self.argv(*arguments), self.environ(), rows=rows, columns=columns, cwd=self.home)
        self._terminals.append(terminal)
        return terminal

    def image(self, short: str) -> str:
        """The reference of a test image, pulled if this store does not have it yet."""
        if self._registry_name is None:
            raise AssertionError("this store has no registry")
        name = self._registry_name(short)
        marker = self.base / "pulled" / short.replace("/", "_")
        if not marker.exists():
            self("pull", "-q", name, timeout=300).ok()
            marker.parent.mkdir(exist_ok=True)
            marker.touch()
        return name

    def inspect(self, name: str, *options: str) -> dict[str, Any]:
        """The document of ``pod inspect NAME``."""
        documents: list[dict[str, Any]] = json.loads(self("inspect", *options, name).ok())
        return documents[0]

    def state(self, name: str) -> dict[str, Any]:
        state: dict[str, Any] = self.inspect(name)["State"]
        return state

    def wait_for(self, name: str, status: str, seconds: float = 20) -> None:
        """Waits until ``inspect`` gives a container that status ("running", "exited")."""
        until(lambda: self.state(name)["Status"] == status, seconds, f"{name} to be {status}")

    def containers(self) -> list[str]:
        return self("ps", "-aq").ok().split()

    def tidy(self) -> None:
        """Ends what the test started and removes its containers."""
        for terminal in self._terminals:
            terminal.close()
        for process in self._running:
            if process.poll() is None:
                process.kill()
            process.wait(10)
            for pipe in (process.stdin, process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()
        self._terminals.clear()
        self._running.clear()
        if self.root.exists():
            left = self("ps", "-aq").out.split() if leaks.records(self.root) else []
            if left:
                self("rm", "-f", "-v", *left)
            if (self.root / "builder" / "cache").exists():
                self("builder", "prune", "-a", "-f", timeout=300)

    def leftovers(self) -> list[str]:
        """What is left of containers: processes, mounts, records. Empty when all is well; waits a little for it."""
        return leaks.settled(self.root)

    def destroy_processes(self) -> None:
        """Kills what a failed test left running in this store."""
        leaks.end_processes(self.root)

    def destroy(self) -> None:
        """Removes the store and everything beside it."""
        self.tidy()
        leaks.end_processes(self.root)
        tools.remove_tree(self.base)


def shared_cache() -> Path:
    """One cache of unpacked builds for all tests of a user, so that only the first start is a cold one."""
    path = Path("/var/tmp") / f"pod-test-cache-{os.getuid()}"
    path.mkdir(mode=0o700, exist_ok=True)
    return path


def _text(data: bytes) -> str:
    return data.decode("utf-8", "backslashreplace")


def until(check: Callable[[], bool], seconds: float, what: str) -> None:
    """Waits until ``check`` says yes; the test fails after so many seconds."""
    deadline = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < deadline, f"waited {seconds} s in vain for {what}"
        time.sleep(0.02)


def free_port() -> int:
    """A port of the loopback that nobody has just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def new_base() -> Path:
    """A fresh folder for a store, on a real disk (not the tmpfs that /tmp may be), whose name says what it is."""
    return Path(tempfile.mkdtemp(prefix="pod-test-", dir="/var/tmp"))


def shared(registry_name: Callable[[str], str] | None = None) -> Iterator[Pod]:
    """A store of many tests; after the last of them nothing of its networks is left either."""
    for pod in fresh(registry_name):
        yield pod
        pod.tidy()
        left = netd.left(pod.root, netd.ENDS + 5)
        assert not left, "left behind:\n" + "\n".join(left)


def fresh(registry_name: Callable[[str], str] | None = None) -> Iterator[Pod]:
    """A store that lives as long as one fixture."""
    base = new_base()
    pod = Pod(base, registry_name)
    try:
        yield pod
    finally:
        pod.destroy()
        shutil.rmtree(base, ignore_errors=True)
