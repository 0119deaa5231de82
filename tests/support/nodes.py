"""Nodes that share one store: each has a host name, machine-id, boot id, pid space and /tmp (so a run directory) of its
own.

Made of namespaces as a user may make them: an outer user namespace owns them and mounts, in an inner one the user has
its own id again. What pod makes inside is below both.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.support import tools
from tests.support.podcli import Pod, Result

# The second proc, which nothing covers, is what lets containers mount theirs (user_namespaces(7), "fully visible").
SETUP = """
    hostname "$1"
    mount -t tmpfs -o mode=1777 tmpfs /tmp
    mkdir /tmp/proc
    mount -t proc proc /tmp/proc
    mount -t proc proc /proc
    test $# -lt 7 || { mkdir -p "$6"; mount -t tmpfs -o mode=0700,size="$7" tmpfs "$6"; }
    echo "$2" > /tmp/boot_id
    echo "$3" > /tmp/machine-id
    mount --bind /tmp/boot_id /proc/sys/kernel/random/boot_id
    test ! -e /etc/machine-id || mount --bind /tmp/machine-id /etc/machine-id
    trap '' CHLD
    unshare --user --map-user="$4" --map-group="$5" sh -c 'echo $$; exec sleep 100000' &
    exec cat
"""


def lacking() -> str:
    """Why no nodes can be made here; empty where they can."""
    if tools.find("nsenter") is None or tools.find("unshare") is None:
        return "nsenter or unshare (util-linux) is not installed"
    outer = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--uts", "--fork", "mount", "-t", "proc", "p"]
    inner = ["unshare", "--user", f"--map-user={os.getuid()}", f"--map-group={os.getgid()}", "true"]
    for words in ([*outer, "/proc"], inner):
        env = {"PATH": tools.SEARCH}
        done = subprocess.run(words, env=env, capture_output=True, text=True, timeout=20, check=False)
        if done.returncode:
            return done.stderr.strip()
    return ""


class Node:
    """``node("ps")`` is a command on that node, with the store and the images of ``pod``."""

    def __init__(self, pod: Pod, name: str, number: int, boot: int = 1, small: str = "") -> None:
        """``small``: the store is a tmpfs of that size, which this node alone has."""
        self.pod = pod
        self.name = name
        words = [name, f"{boot:08x}-0000-4000-8000-{number:012x}", f"{number:032x}", str(os.getuid()), str(os.getgid())]
        words += [str(pod.root), small] if small else []
        outer = ["unshare", "--user", "--map-root-user", "--mount", "--pid", "--uts", "--fork", "--kill-child"]
        self._process = subprocess.Popen(
            [tools.find("unshare") or "unshare", *outer[1:], "sh", "-ec", SETUP, "sh", *words],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env={"PATH": tools.SEARCH},
        )  # fmt: skip
        assert self._process.stdout is not None
        self._inner = self._process.stdout.readline().decode().strip()
        assert self._inner.isdigit()
        self._first = self._child_of(self._process.pid)

    @staticmethod
    def _child_of(pid: int) -> int:
        return int(Path(f"/proc/{pid}/task/{pid}/children").read_text().split()[0])

    def argv(self, *arguments: str) -> list[str]:
        return self.words(*self.pod.argv(*arguments))

    def words(self, *words: str) -> list[str]:
        """Those that run any program on the node."""
        enter = ["nsenter", "--preserve-credentials"]
        outer = [*enter, "-t", str(self._first), "-U", "-m", "-u", "-p", "--"]
        return [*outer, *enter, "-t", self._inner, "-U", "--", *words]

    def start(self, *arguments: str) -> subprocess.Popen[bytes]:
        """Begins a command, with pipes; the caller waits for it."""
        return subprocess.Popen(
            self.argv(*arguments), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
            env=self.pod.environ({"PATH": tools.SEARCH}),
        )  # fmt: skip

    def __call__(self, *arguments: str, timeout: float = 60) -> Result:
        return self.finish(self.start(*arguments), *arguments, timeout=timeout)

    def finish(self, process: subprocess.Popen[bytes], *arguments: str, timeout: float = 60) -> Result:
        """Waits for what :meth:`start` began."""
        try:
            out, err = process.communicate(timeout=timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            out, err = process.communicate()
        return Result(list(arguments), process.returncode, out.decode(), err.decode())

    @property
    def lives(self) -> bool:
        return self._process.poll() is None

    def crash(self) -> None:
        """The power goes off: all of its processes end at once, none says anything."""
        os.kill(self._first, signal.SIGKILL)
        self._process.communicate(timeout=20)

    def close(self) -> None:
        if self.lives:
            self.crash()
