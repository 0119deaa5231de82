"""Fixtures of the fault tests."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import layers, podcli, tools
from tests.support.crafted import Craft
from tests.support.fault_cases import World
from tests.support.fault_compose import Applications
from tests.support.faulter import Faulter
from tests.support.podcli import Pod
from tests.support.registry import Registry


def _base(path: Path) -> None:
    layers.busybox(path, ("sh", "echo", "sleep", "true"))


def _changes(layer: layers.Layer) -> None:
    layer.whiteout("etc", "group")
    layer.folder("srv/data", 0o2770, (1000, 1000))
    layer.add("srv/data/file", b"content\n" * 2000, owner=(1000, 1000))
    layer.hardlink("srv/data/other", "srv/data/file")
    layer.symlink("srv/data/link", "file")


@pytest.fixture(scope="session")
def faulter(tmp_path_factory: pytest.TempPathFactory) -> Faulter:
    return Faulter(tmp_path_factory.mktemp("faulter"))


@pytest.fixture(scope="session")
def world(tmp_path_factory: pytest.TempPathFactory) -> Iterator[World]:
    """A store of the fault tests' own, and a registry with one image of few files, of each kind that there is."""
    for pod, image in _stores(tmp_path_factory):
        yield World(pod, image)


@pytest.fixture(scope="session")
def applications(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Applications]:
    """Another one, for Compose."""
    for pod, image in _stores(tmp_path_factory):
        yield Applications(pod, image)


def _stores(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Pod, str]]:
    if not tools.find("docker-registry"):
        pytest.skip("capability docker_registry: docker-registry is not installed")
    scratch = tmp_path_factory.mktemp("world")
    with Registry(scratch / "storage", scratch / "registry") as registry:
        image = Craft(registry, scratch, _base).make(_changes)
        for pod in podcli.fresh(registry.name):
            yield pod, image
