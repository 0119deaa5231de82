"""Fixtures of the whole suite. A test skips only through a capability named in CAPABILITIES."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import images, mirror, netload, nodes, places, podcli, tools, turns
from tests.support.grouped import Grouped
from tests.support.inside import Inside
from tests.support.podcli import Pod
from tests.support.registry import Registry
from tests.support.scripted import Scripted

_PROGRAMS = {
    "skopeo": "skopeo",
    "umoci": "umoci",
    "buildah": "buildah",
    "podman": "podman",
    "mmdebstrap": "mmdebstrap",
    "nsenter": "nsenter",
    "bwrap": "bwrap",
    "docker_registry": "docker-registry",
    "qemu": "qemu-aarch64-static",
    "zsh": "zsh",
    "fish": "fish",
}
_MACHINES = {"syscall_tables": ("x86_64", "aarch64"), "x86_64": ("x86_64",)}
_GIVEN: dict[str, tuple[Callable[[], object], str]] = {
    "delegated_cgroup": (tools.delegated_cgroup, "no cgroup of version 2 is this user's to divide"),
    "split_cgroups": (tools.split_cgroups, "no cgroups of version 1 are this user's to divide"),
    "processors": (lambda: len(os.sched_getaffinity(0)) > 1, "one processor is all that there is"),
    "throttled_disk": (lambda: tools.disk_below(Path("/var/tmp")), "no disk of the kernel's own is below /var/tmp"),
}
_PURE = ("unit", "test_architecture.py", "test_security_table.py")
_ALIKE = (*_PURE, "ext")
"""Parts of tests/: units, the rules that the sources and the documents follow, and the C below."""
_LONG_RUN = 300.0
"""Seconds of a run that tells which files took how long."""
_FILES_SHOWN = 60
CAPABILITIES = (
    "sub_ids", "no_sub_ids", "root", "not_root", "nodes", *_GIVEN, *_MACHINES, *_PROGRAMS
)  # fmt: skip
"""Names of the marks by which a test says what it needs."""


def lacking(capability: str) -> str:
    """Why this host or user lacks a capability; empty where it is there."""
    if capability == "sub_ids":
        return "" if tools.sub_ids() else "this user has no sub-ids (or newuidmap is missing)"
    if capability == "no_sub_ids":
        return "this user has sub-ids" if tools.sub_ids() else ""
    if capability == "root":
        if os.getuid() != 0:
            return "the suite does not run as root"
        return "" if tools.makes_devices() else "root may not make devices here"
    if capability == "not_root":
        return "the suite runs as root" if os.getuid() == 0 else ""
    if capability == "nodes":
        return nodes.lacking()
    if capability in _GIVEN:
        given, words = _GIVEN[capability]
        return "" if given() else words
    if capability in _MACHINES:
        machine = os.uname().machine
        return "" if machine in _MACHINES[capability] else f"this machine is {machine}"
    program = _PROGRAMS[capability]
    return "" if tools.find(program) else f"{program} is not installed"


def pytest_configure(config: pytest.Config) -> None:
    # Who runs the suite in the background may have ignored it, and what is started inherits that.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    for name in CAPABILITIES:
        config.addinivalue_line("markers", f"{name}: the test needs this capability")
    config.addinivalue_line("markers", "image(name): the test needs this image of the test registry")
    config.addinivalue_line("markers", "mirror(suite): the test needs packages of that Debian, from this host's mirror")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What is _ALIKE for every user runs as one (tests/support/suite.py), but for tests that want some kind of ids or
    start containers. Of the others each kind of user has its turn (tests/support/turns.py).
    """
    sub_ids = tools.sub_ids() is not None
    for item in items:
        wanted = {mark.name for mark in item.iter_markers()}
        part = item.path.relative_to(places.REPOSITORY).parts[1]
        if part in _ALIKE and wanted.isdisjoint(("sub_ids", "no_sub_ids", "built")):
            wanted.add("alike")
            item.add_marker(pytest.mark.alike)
            if part in _PURE:
                item.add_marker(pytest.mark.pure)
        if turns.is_other(item.nodeid, wanted, sub_ids=sub_ids):
            item.add_marker(pytest.mark.other_kind)


def pytest_runtest_setup(item: pytest.Item) -> None:
    for name in CAPABILITIES:
        if item.get_closest_marker(name):
            reason = lacking(name)
            if reason:
                pytest.skip(f"capability {name}: {reason}")
    for mark in item.iter_markers("image"):
        _need_image(mark.args[0])
    for mark in item.iter_markers("mirror"):
        reason = mirror.lacking(mark.args[0])
        if reason:
            pytest.skip(f"capability mirror {mark.args[0]}: {reason}")


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Lists the capabilities that this run did without, and which files of a long run took how long."""
    _tell_files(terminalreporter)
    missing = [f"{name}: {lacking(name)}" for name in CAPABILITIES if lacking(name)]
    if missing and terminalreporter.stats.get("skipped"):
        terminalreporter.section("capabilities missing here")
        for line in missing:
            terminalreporter.write_line(line)


def _tell_files(terminalreporter: pytest.TerminalReporter) -> None:
    took: dict[str, float] = {}
    for reports in terminalreporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport):
                file = report.nodeid.partition("::")[0]
                took[file] = took.get(file, 0.0) + report.duration
    total = sum(took.values())
    if total < _LONG_RUN:
        return
    terminalreporter.section(f"slowest files of {len(took)}, {total:.0f} s")
    for file in sorted(took, key=lambda name: -took[name])[:_FILES_SHOWN]:
        terminalreporter.write_line(f"{took[file]:7.1f} s {file}")


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


@pytest.fixture(scope="session")
def load(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """netload.c as a static program."""
    try:
        return netload.build(tmp_path_factory.mktemp("netload"))
    except netload.Broken as error:
        pytest.skip(f"capability compiler: {error}")


@pytest.fixture
def inside(pod: Pod, busybox: str, load: Path) -> Iterator[Inside]:
    """Containers that answer and ask, and networks; gone with the test."""
    made = Inside(pod, busybox, load)
    yield made
    made.close()


@pytest.fixture
def writable_registry(tmp_path: Path) -> Iterator[Registry]:
    """An empty registry that takes pushes."""
    if not tools.find("docker-registry"):
        pytest.skip("capability docker_registry: docker-registry is not installed")
    with Registry(tmp_path / "storage", tmp_path / "registry") as running:
        yield running


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Scripted]:
    """A registry that follows a script."""
    made = Scripted(tmp_path / "served")
    yield made
    made.stop()


@pytest.fixture(scope="session")
def _session_pod(registry: Registry) -> Iterator[Pod]:
    yield from podcli.shared(registry.name)


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
def grouped(pod: Pod) -> Iterator[Grouped]:
    groups = Grouped(pod)
    assert not groups.left()
    yield groups
    for name in pod("ps", "-aq").ok().split():
        groups("rm", "-f", name)
    left = groups.left()
    groups.close()
    assert not left


@pytest.fixture
def fresh_pod(registry: Registry) -> Iterator[Pod]:
    """The command line on an empty store of this test's own."""
    yield from podcli.fresh(registry.name)


@pytest.fixture
def offline_pod() -> Iterator[Pod]:
    """The same without any registry."""
    yield from podcli.fresh()
