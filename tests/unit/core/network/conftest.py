"""A store of its own for each test."""

from __future__ import annotations

from pathlib import Path

import pytest

from pod.core.engine import Engine


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    return Engine({"HOME": str(tmp_path)}, root=str(tmp_path / "store"))
