"""Prepared starts: a cache of pod.pyz's own for a test, in which it is seen whether Python took part.

That is seen by taking Python away: the lean start's script is replaced by one that ends with NO_PYTHON.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pod.core.runtime import plan
from tests.support import podcli
from tests.support.podcli import Pod

NO_PYTHON = 99
SMALLEST = 56
"""Bytes: smaller files are marks and reasons."""


class Prepared:
    """A cache of its own for pod.pyz, and the folder of prepared starts in it."""

    def __init__(self, pod: Pod, cache: Path) -> None:
        self.pod = pod
        self.env = {"XDG_CACHE_HOME": str(cache)}
        pod("--version", env=self.env).ok()
        (self.build,) = [path for path in (cache / "pod").iterdir() if not path.name.startswith(".")]

    def files(self) -> list[Path]:
        return sorted((self.build / "starts").iterdir())

    def forget(self) -> None:
        for path in self.files():
            path.unlink()

    @contextlib.contextmanager
    def without_python(self, missing: bool = True) -> Iterator[None]:
        """Meanwhile whoever asks for Python gets status NO_PYTHON."""
        script = self.build / "_pod_run.py"
        kept = script.read_bytes()
        if missing:
            script.write_text(f"import posix\nposix._exit({NO_PYTHON})\n")
        try:
            yield
        finally:
            script.write_bytes(kept)

    def run(self, *words: str, python: bool = True, env: dict[str, str] | None = None, **options: Any) -> podcli.Result:
        """``pod run WORDS``; with ``python`` false there is none."""
        with self.without_python(not python):
            return self.pod("run", *words, env={**self.env, **(env or {})}, **options)

    def execute(self, *words: str, python: bool = True, **options: Any) -> podcli.Result:
        """``pod exec WORDS`` likewise."""
        with self.without_python(not python):
            return self.pod("exec", *words, env=self.env, **options)

    def prime(self, *words: str, env: dict[str, str] | None = None, **options: Any) -> Path:
        """Runs until the start is recorded; its file."""
        return self.prime_with(lambda: self.run(*words, env=env, **options))

    def prime_with(self, start: Callable[[], object]) -> Path:
        """:meth:`prime` by other means."""
        self.forget()
        for _ in range(8):
            start()
            found = [path for path in self.files() if path.stat().st_size]
            if found:
                (file,) = found
                assert file.stat().st_size >= SMALLEST, file.read_text()
                return file
            time.sleep(0.11)  # what was changed a moment ago is not trusted
        raise AssertionError("not recorded")


def cache() -> Iterator[Path]:
    """The cache's folder, for a fixture."""
    if not podcli.command()[0].endswith("pod.pyz"):
        pytest.skip("capability built: prepared starts are a part of pod.pyz")
    folder = Path(tempfile.mkdtemp(prefix="pod-test-cache-", dir="/var/tmp"))
    yield folder
    shutil.rmtree(folder)


def plan_of(client: int, name: str) -> dict[str, str]:
    """The plan that the client of the container ``name`` has in its memory, the name taken out."""
    (line,) = [line for line in Path(f"/proc/{client}/maps").read_text().splitlines() if "pod-plan" in line]
    with open(f"/proc/{client}/mem", "rb") as memory:
        memory.seek(int(line.partition("-")[0], 16))
        head = memory.read(16)
        data = head + memory.read(int.from_bytes(head[12:], "little") - 16)
    values = {key: value.decode("latin-1") for key, value in plan.parse(data).items()}
    for key in {"EVENTS", "EXPLAIN", "REMOVE"} & set(values):
        values[key] = values[key].replace(f"/{name}\0", "/NAME\0").replace(f"\0{name}\0", "\0NAME\0")
    return values


def process_of(pid: int) -> dict[str, Any]:
    """What an exec hands on: signals, umask, variables, open files."""
    status = Path(f"/proc/{pid}/status").read_text()
    found: dict[str, Any] = dict(re.findall(r"^(SigBlk|SigIgn|SigCgt|Umask|NoNewPrivs|Name):\s*(.*)$", status, re.M))
    found["environ"] = sorted(Path(f"/proc/{pid}/environ").read_text().split("\0"))
    links = [os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")]
    found["files"] = sorted(re.sub(r"\d+", "N", re.sub(r"[0-9a-f]{32,}", "ID", link)) for link in links)
    return found
