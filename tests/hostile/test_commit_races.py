"""``commit --no-pause``, ``export``, ``push`` while a container changes all that they read: archives of it alone."""

from __future__ import annotations

import gzip
import io
import subprocess
import tarfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands.test_commit import layer_of
from tests.support import compilers
from tests.support.crafted import Craft
from tests.support.podcli import Pod, until

ROUNDS = 4
SECONDS = 30
"""For one command on a busy machine; the container writes without end."""


@pytest.fixture(scope="module")
def racing(craft: Craft, tmp_path_factory: pytest.TempPathFactory) -> str:
    """busybox with /bin/race (commit_races.c)."""
    program = tmp_path_factory.mktemp("race") / "race"
    flags = ["-static", "-O1", "-Wall", "-Wextra", "-Werror"]
    source = str(Path(__file__).with_name("commit_races.c"))
    subprocess.run([*compilers.host(), *flags, "-o", str(program), source], check=True, timeout=120)
    return craft.make(lambda layer: layer.add("bin/race", program.read_bytes(), mode=0o755))


@pytest.fixture
def racer(pod: Pod, racing: str, outside: Path) -> Iterator[str]:
    pod("run", "-d", "--name", "racer", "--network", "none", racing, "/bin/race", str(outside)).ok()
    until(lambda: pod("exec", "racer", "test", "-e", "/ready").code == 0, 20, "the container to change things")
    yield "racer"
    pod("rm", "-f", "racer").ok()


def check(archive: bytes) -> set[str]:
    """Names of a tar that is whole, without anything of the host's in it."""
    assert len(archive) % 512 == 0
    assert not any(archive[-1024:])
    assert b"of the host" not in archive
    names: set[str] = set()
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:") as tar:
        for one in tar:
            assert not one.name.startswith("/")
            assert ".." not in one.name.split("/")
            if one.islnk():
                assert one.linkname in names, f"{one.name} leads to {one.linkname}, which does not come before it"
            if one.isreg():
                file = tar.extractfile(one)
                assert file is not None
                assert set(file.read()) <= set(b"i\0") or not one.name.startswith("d/"), one.name
            names.add(one.name)
        end = tar.offset
    assert not any(archive[end:]), "behind its end"
    return names


def timed(pod: Pod, *arguments: str) -> str:
    began = time.monotonic()
    said = pod(*arguments, timeout=2 * SECONDS).ok()
    assert time.monotonic() - began < SECONDS
    return said.strip()


def test_commit_when_the_container_changes_what_it_reads_then_a_layer_of_it_alone(
    pod: Pod, racer: str, craft: Craft
) -> None:
    for _ in range(ROUNDS):
        image = timed(pod, "commit", "--no-pause", racer, f"{craft.host}/raced:1")
        names = check(gzip.decompress(layer_of(pod.root, image).read_bytes()))
        assert {"d/cut", "d/turn"} <= names
    timed(pod, "push", "-q", f"{craft.host}/raced:1")
    pod("rm", "-f", racer).ok()
    pod("run", "--rm", "--network", "none", f"{craft.host}/raced:1", "find", "/d").ok()
    assert not list((pod.root / "blobs/sha256").glob(".*"))


def test_export_when_the_container_changes_what_it_reads_then_a_tree_of_it_alone(
    pod: Pod, racer: str, tmp_path: Path
) -> None:
    for number in range(ROUNDS):
        path = tmp_path / f"{number}.tar"
        timed(pod, "export", "-o", str(path), racer)
        assert {"d/cut", "d/turn", "bin/race"} <= check(path.read_bytes())
