"""Fixtures of the whole suite. A test skips only through a capability named in CAPABILITIES."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

_REPOSITORY = str(Path(__file__).resolve().parents[1])
if _REPOSITORY not in sys.path:
    sys.path.insert(0, _REPOSITORY)

from tests.support import images, places, podcli, tools  # noqa: E402
from tests.support.podcli import Pod  # noqa: E402
from tests.support.registry import Registry  # noqa: E402

_PROGRAMS = {
    "skopeo": "skopeo",
    "umoci": "umoci",
    "buildah": "buildah",
    "podman": "podman",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "nsenter",
    "docker_registry": "docker-registry",
    "qemu": "qemu-aarch64-static",
}
CAPABILITIES: dict[str, Callable[[], str | None]] = {
    "sub_ids": lambda: None if tools.sub_ids() else "this user has no sub-ids (or newuidmap is missing)",
    "no_sub_ids": lambda: "this user has sub-ids" if tools.sub_ids() else None,
    "not_root": lambda: "the suite runs as root" if os.getuid() == 0 else None,
    **{
        name: lambda program=program: None if tools.find(program) else f"{program} is not installed"
        for name, program in _PROGRAMS.items()
    },
}
"""Name of a mark -> a function that says why this host or user lacks it (None: it is there)."""


def pytest_configure(config: pytest.Config) -> None:
    for name in CAPABILITIES:
        config.addinivalue_line("markers", f"{name}: the test needs this capability")
    config.addinivalue_line("markers", "image(name): the test needs this image of the test registry")
    config.addinivalue_line("markers", "slow: takes more than some seconds")


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name, missing in CAPABILITIES.items():
        if item.get_closest_marker(name):
            reason = missing()
            if reason:
                pytest.skip(f"capability {name}: {reason}")
    for mark in item.iter_markers("image"):
        _need_image(mark.args[0])


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Lists the capabilities that this run did without."""
    missing = [(name, reason) for name, check in CAPABILITIES.items() for reason in [check()] if reason]
    skipped = terminalreporter.stats.get("skipped", [])
    if missing and skipped:
        terminalreporter.section("capabilities missing here")
        for name, reason in missing:
            terminalreporter.write_line(f"{name}: {reason}")


def _need_image(name: str) -> None:
    if not tools.find("docker-registry"):
        pytest.skip("capability docker_registry: docker-registry is not installed")
    if not images.built(name):
        pytest.skip(f"capability image {name}: not built in {places.cache()} (python3 -m tests.support.prepare)")


@pytest.fixture(scope="session")
def registry(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A read-only registry with all images that were built, as a child process."""
    _need_image("busybox:latest")
    with Registry(places.registry_storage(), tmp_path_factory.mktemp("registry"), readonly=True) as running:
        yield running


@pytest.fixture
def writable_registry(tmp_path: Path) -> Iterator[Registry]:
    """An empty registry that takes pushes."""
    if not tools.find("docker-registry"):
        pytest.skip("capability docker_registry: docker-registry is not installed")
    with Registry(tmp_path / "storage", tmp_path / "registry") as running:
        yield running


@pytest.fixture(scope="session")
def _session_pod(registry: Registry) -> Iterator[Pod]:
    yield from podcli.fresh(registry.name)


@pytest.fixture
def pod(_session_pod: Pod) -> Iterator[Pod]:
    """The command line on a store that all tests share, images pulled once; each test leaves no container behind."""
    yield _session_pod
    _session_pod.tidy()
    left = _session_pod.leftovers()
    if left:
        _session_pod.destroy_processes()
    assert not left, "left behind:\n" + "\n".join(left)


@pytest.fixture
def fresh_pod(registry: Registry) -> Iterator[Pod]:
    """The command line on an empty store of this test's own."""
    yield from podcli.fresh(registry.name)


@pytest.fixture
def offline_pod() -> Iterator[Pod]:
    """The same without any registry."""
    yield from podcli.fresh()
