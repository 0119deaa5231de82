"""Fixtures of the command tests: images ready in the shared store, long-running containers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import prepared as prepared_starts
from tests.support.podcli import Pod
from tests.support.prepared import Prepared


@pytest.fixture
def busybox(pod: Pod) -> str:
    """Reference of busybox, present in the store of ``pod``."""
    return pod.image("busybox:latest")


@pytest.fixture
def sleeper(pod: Pod, busybox: str) -> str:
    """Name of a detached container that sleeps."""
    pod("run", "-d", "--name", "sleeper", "--network", "none", busybox, "sleep", "1000").ok()
    return "sleeper"


@pytest.fixture(scope="module")
def prepared_cache() -> Iterator[Path]:
    yield from prepared_starts.cache()


@pytest.fixture
def prepared(pod: Pod, busybox: str, prepared_cache: Path) -> Iterator[Prepared]:
    """Prepared starts with a cache of their own; what was prepared is forgotten with the test."""
    one = Prepared(pod, prepared_cache)
    yield one
    one.forget()
