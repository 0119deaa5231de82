"""Fixtures of the tests that repeat: those of the command tests, on a store of the test's own.

They compare files before and after, and what other tests have left behind may still be going away then.
"""

from __future__ import annotations

import pytest

from tests.commands.conftest import busybox, sleeper
from tests.support.podcli import Pod

__all__ = ["busybox", "sleeper"]


@pytest.fixture
def pod(fresh_pod: Pod) -> Pod:
    """The command line on a store that no other test has used."""
    return fresh_pod
