"""Fixtures of the command tests: images ready in the shared store, long-running containers."""

from __future__ import annotations

import pytest

from tests.support.podcli import Pod


@pytest.fixture
def busybox(pod: Pod) -> str:
    """Reference of busybox, present in the store of ``pod``."""
    return pod.image("busybox:latest")


@pytest.fixture
def sleeper(pod: Pod, busybox: str) -> str:
    """Name of a detached container that sleeps."""
    pod("run", "-d", "--name", "sleeper", "--network", "none", busybox, "sleep", "1000").ok()
    return "sleeper"
