"""Netd of the tree, with containers of the test's own; its resolver alone, with a world that is told to it."""

from __future__ import annotations

from collections.abc import Iterator
from ctypes import CDLL
from pathlib import Path

import pytest

from tests.ext import resolving
from tests.support import compilers
from tests.support.netd_driver import Net, mapped_namespace, sanitized_program, starter


@pytest.fixture(scope="session")
def library(tmp_path_factory: pytest.TempPathFactory) -> CDLL:
    return starter(tmp_path_factory.mktemp("start"), compilers.host())


@pytest.fixture(scope="session")
def mapped() -> Iterator[int]:
    yield from mapped_namespace()


@pytest.fixture(scope="session")
def sanitized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sanitized_program(tmp_path_factory.mktemp("sanitized"), compilers.host())


@pytest.fixture(params=["plain", pytest.param("sanitized", marks=pytest.mark.slow)])
def net(request: pytest.FixtureRequest, tmp_path: Path, library: CDLL, mapped: int) -> Iterator[Net]:
    found = Net(tmp_path, library, mapped)
    if request.param == "sanitized":
        found.program = request.getfixturevalue("sanitized")
    yield found
    found.end()
    if request.param == "sanitized":
        findings = list(found.program.parent.glob("finding.*"))
        assert not findings, findings[0].read_text()


@pytest.fixture(scope="session")
def resolver(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return resolving.build(tmp_path_factory)


@pytest.fixture
def world(resolver: Path, tmp_path: Path) -> Iterator[resolving.World]:
    with resolving.running(resolver, tmp_path) as made:
        yield made
