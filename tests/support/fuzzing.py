"""How hypothesis is used here: the same examples each time, more of them with POD_FUZZ_ROUNDS."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings


def rounds(least: int) -> int:
    """How many examples a test takes."""
    return max(least, int(os.environ.get("POD_FUZZ_ROUNDS", "0")))


def fuzzed(least: int) -> settings:
    """The settings of tests with so many examples at least."""
    return settings(
        max_examples=rounds(least),
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much, HealthCheck.function_scoped_fixture],
    )
