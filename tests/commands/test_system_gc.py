"""system gc and [store] max-size: what goes first, what stays, and that starts are noted without slowing them."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until
from tests.support.prepared import NO_PYTHON, Prepared

pytestmark = [pytest.mark.docker_registry, pytest.mark.image("busybox:latest")]
DAY = 86400


def aged(pod: Pod, image: str, days: float) -> str:
    """Makes it so that the image was pulled and used DAYS ago; its id."""
    found = pod("images", "-q", "--no-trunc", image).ok().strip()
    then = time.time() - days * DAY
    for path in (pod.root / "images" / found[7:], pod.root / "cache/used" / found[7:]):
        if path.exists():
            os.utime(path, (then, then))
    return found


@pytest.fixture
def three(fresh_pod: Pod) -> dict[str, str]:
    """Three images without a container, by names and ages of 3, 4 and 5 days; the first two share their tree."""
    named = {}
    for short, days in (("busybox:latest", 3), ("zstd:latest", 4), ("odd:latest", 5)):
        image = fresh_pod.image(short)
        aged(fresh_pod, image, days)
        named[short.partition(":")[0]] = image
    return named


def nbytes(text: str) -> float:
    number = text.rstrip("kMGB")
    return float(number) * {"B": 1, "kB": 1e3, "MB": 1e6, "GB": 1e9}[text[len(number) :]]


def left(pod: Pod) -> set[str]:
    return {name.rpartition("/")[2] for name in pod("images", "--format", "{{.Repository}}").ok().split()}


def test_gc_without_a_limit_or_with_a_bad_one_says_so(offline_pod: Pod, tmp_path: Path) -> None:
    offline_pod("system", "gc").failed(1, "there is no limit for the store", "max-size")
    offline_pod("system", "gc", "--max-size", "lots").failed(125, "'lots' is no size")
    file = tmp_path / "pod.toml"
    for text, words in (
        ("[store]\nmax-size = \"much\"", "'much' is no size"),
        ("[store]\nmax-size = -1", "must not be negative"),
        ("[store]\nsize = 1", "must be a table with max-size and keep"),
        ("store = 3", "must be a table"),
        ("[store]\nkeep = 3", "must be a list of strings"),
    ):  # fmt: skip
        file.write_text(text)
        offline_pod("system", "gc", env={"POD_CONFIG": str(file)}).failed(125, f"{file}:", words)
    file.write_text('[store]\nmax-size = "1kB"\nkeep = ["[x"]')
    offline_pod("system", "gc", env={"POD_CONFIG": str(file)}).failed(1, "[store] keep: [x")
    assert offline_pod("system", "gc", "--max-size", "1GB").ok().splitlines()[0] == "Total reclaimed space: 0B"


@pytest.mark.image("zstd:latest")
@pytest.mark.image("odd:latest")
def test_gc_takes_the_least_recently_used_first_and_stops_at_the_limit(
    fresh_pod: Pod, three: dict[str, str], tmp_path: Path
) -> None:
    size = fresh_pod("system", "gc", "--dry-run", "--max-size", "1TB").ok().splitlines()[-1].split()[1]
    some = fresh_pod("system", "gc", "--dry-run", "--max-size", str(int(nbytes(size) * 0.99))).ok()
    assert some.startswith("Would delete Images:\ndeleted: " + aged(fresh_pod, three["odd"], 5))
    assert some.count("deleted: ") == 1
    assert left(fresh_pod) == {"busybox", "zstd", "odd"}
    fresh_pod("create", "--name", "user", three["odd"]).ok()  # in use: stays, although it is the oldest
    file = tmp_path / "pod.toml"
    file.write_text(f'[store]\nmax-size = 1\nkeep = ["{three["zstd"].rpartition(":")[0]}:*"]')
    done = fresh_pod("system", "gc", env={"POD_CONFIG": str(file)})
    done.failed(1, "more than 1B")
    assert f"untagged: {three['busybox']}\n" in done.out
    assert left(fresh_pod) == {"odd", "zstd"}
    fresh_pod("rm", "user").ok()
    fresh_pod("system", "gc", env={"POD_CONFIG": str(file)}).failed(1, "more than 1B")
    assert left(fresh_pod) == {"zstd"}


@pytest.mark.image("zstd:latest")
@pytest.mark.image("odd:latest")
def test_pull_keeps_the_limit_in_the_background_and_leaves_what_was_just_pulled(
    fresh_pod: Pod, three: dict[str, str], tmp_path: Path
) -> None:
    fresh_pod("rmi", three["zstd"]).ok()
    file = tmp_path / "pod.toml"
    file.write_text('[store]\nmax-size = "1kB"\n')
    fresh_pod("pull", "-q", three["zstd"], env={"POD_CONFIG": str(file)}).ok()
    until(lambda: left(fresh_pod) == {"zstd"}, 20, "the images that nobody used for days to go")
    assert fresh_pod("run", "--rm", "--network", "none", three["zstd"], "echo", "works").ok() == "works\n"


def test_a_start_is_noted_once_a_day(fresh_pod: Pod) -> None:
    image = fresh_pod.image("busybox:latest")
    run = ("run", "--rm", "--network", "none", image, "true")
    fresh_pod(*run).ok()
    mark = fresh_pod.root / "cache/used" / fresh_pod("images", "-q", "--no-trunc", image).ok().strip()[7:]
    first = mark.stat().st_mtime_ns
    assert abs(time.time() - first / 1e9) < 60
    fresh_pod(*run).ok()
    assert mark.stat().st_mtime_ns == first
    aged(fresh_pod, image, 1)
    fresh_pod(*run).ok()
    assert abs(time.time() - mark.stat().st_mtime) < 60
    fresh_pod("rmi", image).ok()
    fresh_pod("system", "gc", "--max-size", "1GB").ok()
    assert not mark.exists()


def test_a_prepared_start_of_yesterday_goes_by_python_and_is_noted(prepared: Prepared, busybox: str) -> None:
    words = ("--rm", "--network", "none", busybox, "true")
    file = prepared.prime(*words)
    prepared.run(*words, python=False).ok()
    found = prepared.pod("images", "-q", "--no-trunc", busybox).ok().strip()[7:]
    mark = prepared.pod.root / "cache/used" / found
    then = time.time() - 1.01 * DAY
    os.utime(mark, (then, then))
    prepared.run(*words, python=False).ok()  # the mark is nothing that a prepared start looks at
    os.utime(file, (then, then))
    assert prepared.run(*words, python=False).code == NO_PYTHON
    prepared.run(*words).ok()
    assert time.time() - mark.stat().st_mtime < 60
    prepared.run(*words, python=False).ok()  # recorded anew
