"""The built file under test. Skips name the capability "built"."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

Start = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="session")
def pyz() -> Path:
    """pod.pyz of the repository, or $POD_UNDER_TEST when that is a file."""
    named = os.environ.get("POD_UNDER_TEST", "")
    path = Path(named).resolve() if named and named != "dev" else ROOT / "pod.pyz"
    if not path.exists():
        pytest.skip("capability built: pod.pyz is not built (make pod.pyz)")
    return path


@pytest.fixture
def home() -> Iterator[Path]:
    """An empty home folder with a short path."""
    path = Path(tempfile.mkdtemp(prefix="pod-home-", dir="/tmp"))
    yield path
    shutil.rmtree(path)


@pytest.fixture
def start(pyz: Path, home: Path) -> Start:
    """start(*arguments, program=[pyz], **environment): runs the file in a clean environment; a value of None unsets."""

    def call(
        *arguments: str, program: list[str] | None = None, **environment: str | None
    ) -> subprocess.CompletedProcess[str]:
        environ: dict[str, str | None] = {"HOME": str(home), "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", **environment}
        return subprocess.run(
            [*(program or [str(pyz)]), *arguments],
            env={key: value for key, value in environ.items() if value is not None},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    return call
