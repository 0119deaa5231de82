"""Fixtures of the fault tests."""

from __future__ import annotations

import pytest

from tests.support.podcli import Pod


@pytest.fixture
def busybox(pod: Pod) -> str:
    """Reference of busybox, present in the store of ``pod``."""
    return pod.image("busybox:latest")
