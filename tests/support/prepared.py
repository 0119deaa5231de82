"""Prepared starts: a cache of pod.pyz's own for a test, in which it is seen whether Python took part.

That is seen by taking Python away: the lean start's script is replaced by one that ends with NO_PYTHON.
"""

from __future__ import annotations

import contextlib
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

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
