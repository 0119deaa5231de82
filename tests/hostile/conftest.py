"""Images that attack the start, on a store that all these tests share."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pod.core.engine import Engine
from tests.hostile.pulling import new_engine
from tests.support import compilers, crafted, podcli, tools
from tests.support.crafted import Craft
from tests.support.podcli import Pod
from tests.support.registry import Registry
from tests.support.scripted import Scripted


@pytest.fixture(scope="session")
def craft(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Craft]:
    """A registry of this session's own, filled by hand."""
    if not tools.find("docker-registry"):
        pytest.skip("capability docker_registry: docker-registry is not installed")
    scratch = tmp_path_factory.mktemp("crafted")
    with Registry(scratch / "storage", scratch / "registry") as running:
        yield Craft(running, scratch)


@pytest.fixture(scope="session")
def _hostile_pod() -> Iterator[Pod]:
    yield from podcli.shared()


@pytest.fixture
def pod(_hostile_pod: Pod) -> Iterator[Pod]:
    """The command line; each test leaves neither process, mount nor record behind."""
    yield _hostile_pod
    _hostile_pod.tidy()
    left = _hostile_pod.leftovers()
    if left:
        _hostile_pod.destroy_processes()
    assert not left, "left behind:\n" + "\n".join(left)


@pytest.fixture
def outside(pod: Pod) -> Iterator[Path]:
    """A folder of the caller's beside the store, which must be as it was afterwards."""
    folder = pod.base / "outside"
    folder.mkdir(exist_ok=True)
    secret = folder / "secret"
    secret.write_text("of the host\n")
    before = (secret.stat().st_mtime_ns, sorted(p.name for p in folder.iterdir()))
    yield folder
    assert secret.read_text() == "of the host\n"
    assert (secret.stat().st_mtime_ns, sorted(p.name for p in folder.iterdir())) == before


@pytest.fixture(scope="session")
def probing(craft: Craft, tmp_path_factory: pytest.TempPathFactory) -> str:
    """busybox with /bin/probe: tries one call and prints "done" or why not."""
    program = crafted.probe(tmp_path_factory.mktemp("probe"))
    return craft.make(lambda layer: layer.add("bin/probe", program, mode=0o755))


@pytest.fixture(scope="session")
def busybox(craft: Craft) -> str:
    """busybox without anything bad in it: what attacks is what runs there."""
    return craft.make(lambda layer: None)


@pytest.fixture(scope="session")
def attack(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """start_attacks.c as a static program."""
    program = tmp_path_factory.mktemp("attack") / "attack"
    source = Path(__file__).with_name("start_attacks.c")
    flags = ["-static", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*compilers.host(), *flags, "-o", str(program), str(source)], check=True, timeout=120)
    return program


@pytest.fixture(scope="session")
def attacking(craft: Craft, attack: Path) -> str:
    """busybox with /bin/attack."""
    return craft.make(lambda layer: layer.add("bin/attack", attack.read_bytes(), mode=0o755))


@pytest.fixture(scope="module")
def _scripted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scripted]:
    made = Scripted(tmp_path_factory.mktemp("scripted") / "served")
    yield made
    made.stop()


@pytest.fixture
def server(_scripted: Scripted) -> Scripted:
    """A registry that follows a script, one process for all tests of a file."""
    _scripted.clear()
    return _scripted


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    """An engine on an empty store of its own: what a registry lies about ends up there."""
    return new_engine(tmp_path)
