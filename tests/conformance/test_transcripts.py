"""The life of a container as Docker's documentation tells it (transcripts/*.txt, each with its source)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conformance import transcript
from tests.support.podcli import Pod

FILES = sorted((Path(__file__).parent / "transcripts").glob("*.txt"))
IMAGES = ("alpine", "busybox", "nginx", "redis", "ubuntu", "ubuntu:22.04")
"""The documentation's images; all of them are busybox here."""


@pytest.fixture
def documented(pod: Pod) -> Iterator[Pod]:
    """A store in which the names of the documentation's images lead to busybox."""
    source = pod.image("busybox:latest")
    for name in IMAGES:
        pod("tag", source, name).ok()
    yield pod
    pod.tidy()
    volumes = pod("volume", "ls", "-q").ok().split()
    if volumes:
        pod("volume", "rm", *volumes).ok()
    pod("rmi", *IMAGES).ok()


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.stem)
def test_transcript_of_dockers_documentation(documented: Pod, tmp_path: Path, path: Path) -> None:
    told = transcript.Transcript(path)
    for kind in ("network", "image"):
        documented(kind, "prune", "-f").ok()  # those of other tests, which lists would show
    assert told.steps
    assert told.sources
    assert all(source.startswith("https://docs.docker.com/") for source in told.sources)
    transcript.Replay(documented, tmp_path).run(told)


@pytest.mark.parametrize(
    ("expected", "actual", "same"),
    [
        ("Up 4 minutes", "Up About an hour", True),
        ("Up 4 minutes", "Up 4 minutes (Paused)", False),
        ("a\n...\nd", "a\nb\nc\nd", True),
        ("a\n...\nd", "a\nb\nc", False),
        ("NAME   ID\nx      0123456789ab", "NAME      ID\nx         ba9876543210", True),
        ("NAME   ID", "NAME ID", False),
        ("Error response from daemon: no", "pod: no\nhint: do", True),
        ("a", "a\nb", False),
        ("", "a", False),
    ],
)
def test_comparing_leaves_out_what_differs_from_run_to_run(expected: str, actual: str, same: bool) -> None:
    assert transcript.matches(transcript.comparable(expected), transcript.comparable(actual)) is same
