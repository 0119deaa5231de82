"""Applications of Compose in tests: a folder with a file, the command line on it, and nothing left at the end."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

from tests.support.podcli import Pod, Result

WAITS = "trap 'exit 0' TERM; while :; do sleep 0.05; done"
"""A program for ``sh -c`` that runs until it is asked to end."""


class App:
    """One project. ``%IMAGE%`` and ``%WAITS%`` in its files stand for the image and a command that waits."""

    def __init__(self, pod: Pod, image: str, folder: Path, name: str) -> None:
        self.pod = pod
        self.image = image
        self.folder = folder
        self.name = name

    def write(self, text: str, file: str = "compose.yaml") -> App:
        path = self.folder / file
        path.parent.mkdir(parents=True, exist_ok=True)
        waits = json.dumps(["sh", "-c", WAITS])
        path.write_text(text.replace("%IMAGE%", self.image).replace("%WAITS%", waits))
        return self

    def argv(self, *words: str) -> list[str]:
        return ["compose", "-p", self.name, "-f", str(self.folder / "compose.yaml"), *words]

    def __call__(self, *words: str, **more: Any) -> Result:
        return self.pod(*self.argv(*words), **more)

    def start(self, *words: str) -> subprocess.Popen[bytes]:
        return self.pod.start(*self.argv(*words))

    def rows(self) -> dict[str, dict[str, Any]]:
        """``ps -a`` by the containers' names."""
        lines = self("ps", "-a", "--format", "json").ok().splitlines()
        return {row["Name"]: row for row in map(json.loads, lines)}

    def states(self) -> dict[str, str]:
        return {name: row["State"] for name, row in self.rows().items()}

    def ids(self) -> dict[str, str]:
        return {name: row["ID"] for name, row in self.rows().items()}

    def inspect(self, service: str, number: int = 1) -> dict[str, Any]:
        return self.pod.inspect(f"{self.name}-{service}-{number}")

    def close(self) -> None:
        """Down with volumes, by name alone: whatever became of the file."""
        self.pod("compose", "-p", self.name, "down", "-v", "-t", "0").ok()

    def leftovers(self) -> list[str]:
        """What carries the project's label."""
        label = f"label=com.docker.compose.project={self.name}"
        found = self.pod("ps", "-aq", "--filter", label).out.split()
        found += self.pod("network", "ls", "-q", "--filter", label).out.split()
        return found + self.pod("volume", "ls", "-q", "--filter", label).out.split()
