"""``pod`` inside control groups of version 1 that are this user's (users.divided_cgroup makes them)."""

from __future__ import annotations

import contextlib
import os
import subprocess
from pathlib import Path

from tests.support import tools
from tests.support.podcli import Pod, Result


class Grouped:
    """``pod`` run by a shell that has gone into groups of version 1: this process' own, below those of the user, for
    others of the user's run tests beside us.
    """

    def __init__(self, pod: Pod) -> None:
        self.pod = pod
        self.folders = {path.parent.name: path / f"tests-{os.getpid()}" for path in tools.split_cgroups()}
        for folder in self.folders.values():
            tools.make_split_cgroup(folder)

    def close(self) -> None:
        for folder in self.folders.values():
            with contextlib.suppress(OSError):  # what a failed test left may be in there
                folder.rmdir()

    def __call__(self, *arguments: str) -> Result:
        words = "".join(f"echo $$ >{path}/cgroup.procs; " for path in self.folders.values())
        argv = self.pod.argv(*arguments)
        shell = ["sh", "-c", words + 'exec "$@"', "sh", *argv]
        done = subprocess.run(
            shell, env=self.pod.environ(), cwd=self.pod.home, capture_output=True, text=True, timeout=60, check=False
        )
        return Result(list(arguments), done.returncode, done.stdout, done.stderr)

    def made(self, controller: str, container_id: str) -> Path:
        return self.folders[controller] / f"pod-{container_id[:24]}"

    def left(self) -> list[Path]:
        return [path for folder in self.folders.values() for path in folder.glob("pod-*")]
