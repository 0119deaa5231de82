"""A store in which somebody laid links to elsewhere, and what nobody may read: prunes, gc and rmi stay in the store."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.podcli import Pod

HEX = "ab" * 32
OLD = time.time() - 100_000


@pytest.fixture
def elsewhere(tmp_path: Path) -> Path:
    """Another store's folders: a blob, a layer, a volume, half made things; all old."""
    place = tmp_path / "elsewhere"
    for folder in (HEX, f"flat-{HEX}", ".half.1", "_data"):
        (place / folder / "diff").mkdir(parents=True)
        (place / folder / "done").write_text('{"version": 1}')
    (place / ("cd" * 32)).write_text("a blob")
    (place / ".part-x").write_text("half a blob")
    (place / "volume.json").write_text('{"version": 1, "Name": "planted", "Labels": {}, "Options": {}}')
    for path in (*place.rglob("*"), place):
        os.utime(path, (OLD, OLD))
    return place


def listing(place: Path) -> set[str]:
    return {str(path.relative_to(place)) for path in place.rglob("*")}


def replaced(path: Path, target: Path) -> None:
    """A link where a folder of the store is."""
    if path.exists():
        path.rename(path.with_name("aside"))
    path.symlink_to(target)


PLACES: dict[str, Callable[[Path], Path]] = {
    "a map's layers": lambda root: root / "layers/planted",
    "all layers": lambda root: root / "layers",
    "blobs": lambda root: root / "blobs/sha256",
    "a layer": lambda root: root / "layers/single" / HEX,
    "a volume": lambda root: root / "volumes/planted",
    "trash": lambda root: root / "trash",
    "something in the trash": lambda root: root / "trash/planted",
}


@pytest.mark.alike
@pytest.mark.parametrize("place", PLACES)
def test_prune_when_a_link_leads_elsewhere_then_nothing_there_is_touched(
    offline_pod: Pod, elsewhere: Path, place: str
) -> None:
    offline_pod("volume", "create", "mine").ok()
    offline_pod("system", "df").ok()
    (offline_pod.root / "layers/single").mkdir(exist_ok=True)
    link = PLACES[place](offline_pod.root)
    replaced(link, elsewhere)
    before = listing(elsewhere)
    for words in (
        ("system", "df"), ("image", "prune", "-af"), ("volume", "prune", "-af"),
        ("system", "prune", "-af", "--volumes"), ("system", "gc", "--max-size", "0"), ("ps", "-a"),
        ("system", "reset", "-f"),
    ):  # fmt: skip
        offline_pod(*words)
        now = listing(elsewhere)
        assert before <= now, words
        if place != "trash":  # one that is a link gets what goes, and is not emptied
            assert now == before, words
    assert not os.path.lexists(link)


@pytest.mark.docker_registry
@pytest.mark.image("busybox:latest")
def test_prune_when_trees_are_shut_then_they_go_all_the_same(fresh_pod: Pod) -> None:
    image = fresh_pod.image("busybox:latest")
    script = "mkdir -p /v/a/b /a/b && touch /v/a/b/f /a/b/f && chown -R 7:7 /v/a /a && chmod -R 000 /v/a /a"
    fresh_pod("run", "--network", "none", "-v", "/v", image, "sh", "-c", script).ok()
    done = fresh_pod("system", "prune", "-af", "--volumes").ok()
    assert done.startswith("Deleted Containers:\n")
    assert "Deleted Volumes:\n" in done
    for folder in ("containers", "volumes", "images", "trash"):
        assert os.listdir(fresh_pod.root / folder) == [], folder
