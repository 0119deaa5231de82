"""Crowds: many starts, pulls and removals at once on one store, from a session that has a keyring of its own."""

from __future__ import annotations

import itertools
import json
import re
import threading
import time

import pytest

from tests.support import crowd
from tests.support.podcli import Pod, until
from tests.support.registry import Registry

MEMORY = 64 << 10
"""kB that the largest process of a command may have had."""


@pytest.mark.parametrize("count", [100, pytest.param(500, marks=pytest.mark.slow)])
def test_run_when_many_at_once_then_each_succeeds_and_nothing_is_left(pod: Pod, busybox: str, count: int) -> None:
    jobs = [("run", "--rm", "--network", "none", busybox, "sh", "-c", f"echo {n}; exit {n % 7}") for n in range(count)]
    before = crowd.keys()
    found = crowd.run(pod, jobs, count, timeout=600)
    assert [(one.code, one.out, one.err) for one in found] == [(n % 7, f"{n}\n", "") for n in range(count)]
    assert max(one.kilobytes for one in found) < MEMORY
    assert pod.leftovers() == []
    assert not crowd.keys_left(before)


@pytest.mark.parametrize(
    ("count", "short"),
    [(20, "busybox:latest"), pytest.param(50, "debian:12", marks=[pytest.mark.slow, pytest.mark.image("debian:12")])],
)
def test_pull_when_many_at_once_then_each_blob_comes_once(
    fresh_pod: Pod, registry: Registry, count: int, short: str
) -> None:
    name = registry.name(short)
    begin = len(registry.log())
    found = crowd.run(fresh_pod, [("pull", name)] * count, count)
    assert [one.code for one in found] == [0] * count, [one.err for one in found if one.code]
    asked = re.findall(rb"GET.*?/v2/[^ ]*/blobs/(sha256:[0-9a-f]{64})", registry.log()[begin:])
    wanted = {layer["digest"] for layer in _layers(fresh_pod, name)}
    assert sorted(set(asked)) == sorted(asked)
    assert wanted <= {digest.decode() for digest in asked}
    assert len({one.out.splitlines()[-1] for one in found}) <= 2  # downloaded, or up to date
    assert fresh_pod("run", "--rm", name, "echo", "works").ok() == "works\n"
    assert not [path for path in (fresh_pod.root / "blobs/sha256").iterdir() if path.name.startswith(".")]
    fresh_pod("rmi", name).ok()
    assert not list((fresh_pod.root / "blobs/sha256").iterdir())


def _layers(pod: Pod, name: str) -> list[dict[str, str]]:
    (image,) = (pod.root / "images").iterdir()
    layers: list[dict[str, str]] = json.loads(image.read_text())["layers"]
    return layers


def test_run_when_its_image_is_removed_meanwhile_then_it_works_wholly_or_says_that_there_is_none(
    fresh_pod: Pod,
) -> None:
    """Somebody pulls and removes in a loop, three others run: also while layers are unpacked and collected."""
    name = fresh_pod.image("busybox:latest")
    stop = threading.Event()
    failed: list[str] = []

    def remove() -> None:
        while not stop.is_set():
            removed = fresh_pod("rmi", "-f", name)
            pulled = fresh_pod("pull", "-q", name)
            failed.extend(repr(one) for one in (removed, pulled) if one.code)

    jobs = [("run", "--rm", "--pull", "never", "--network", "none", name, "echo", "whole")] * 40
    remover = threading.Thread(target=remove)
    remover.start()
    found: list[crowd.Done] = []
    deadline = time.monotonic() + 60
    try:
        # On a busy disk one pull may last longer than all of these runs.
        while not any(one.code == 0 for one in found) and time.monotonic() < deadline:
            found += crowd.run(fresh_pod, jobs, 3)
    finally:
        stop.set()
        remover.join(60)
    assert failed == []
    kinds = {(one.code, one.out, "no such image" in one.err.lower(), "Traceback" in one.err) for one in found}
    assert kinds <= {(0, "whole\n", False, False), (125, "", True, False)}, [one for one in found if one.code]
    assert (0, "whole\n", False, False) in kinds
    fresh_pod("rmi", "-f", name).ok()
    until(lambda: not _parts(fresh_pod), 10, "blobs and layers to go")


def _parts(pod: Pod) -> list[str]:
    folders = [*(pod.root / "layers").iterdir(), pod.root / "blobs/sha256", pod.root / "images", pod.root / "trash"]
    return [str(path) for path in itertools.chain(*(folder.iterdir() for folder in folders))]
