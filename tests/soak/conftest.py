"""Fixtures of the tests that repeat: those of the command tests."""

from __future__ import annotations

from tests.commands.conftest import busybox, sleeper

__all__ = ["busybox", "sleeper"]
