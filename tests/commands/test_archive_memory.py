"""What takes images in and out needs no more memory for a large one: the whole tree of processes, sampled."""

from __future__ import annotations

import gzip
import tarfile
from pathlib import Path

import pytest

from tests.commands.test_pull_memory import LIMIT, report, watched
from tests.support.podcli import Pod
from tests.support.registry import Registry
from tests.support.scripted import generated

pytestmark = pytest.mark.slow

SIZE = 512 << 20


def _peak(pod: Pod, *arguments: str) -> int:
    """The most that the tree of one command had at any sample, bytes."""
    _, most, took = watched(pod, *arguments, seconds=300)
    report(f"{arguments[0]}: peak {most >> 20} MiB, {took:.1f} s")
    return most


def test_archives_when_the_layer_is_half_a_gib_then_64_mb(fresh_pod: Pod, tmp_path: Path) -> None:
    layer, saved, packed = tmp_path / "layer.tar", tmp_path / "saved.tar", tmp_path / "saved.tar.gz"
    entry = tarfile.TarInfo("big")
    entry.size = SIZE
    with layer.open("wb") as file:
        file.write(entry.tobuf(tarfile.GNU_FORMAT))
        for piece in generated(SIZE, 1):
            file.write(piece)
        file.write(bytes(1024))
    peaks = [_peak(fresh_pod, "import", str(layer), "big:1")]
    layer.unlink()
    peaks.append(_peak(fresh_pod, "save", "-o", str(saved), "big:1"))
    peaks.append(_peak(fresh_pod, "save", "--format", "oci-archive", "--compress", "gzip", "-o", str(packed), "big:1"))
    fresh_pod("rmi", "big:1").ok()
    peaks.append(_peak(fresh_pod, "load", "-i", str(saved)))
    fresh_pod("rmi", "big:1").ok()
    with saved.open("rb") as plain, gzip.open(packed, "wb", compresslevel=1) as file:
        while data := plain.read(1 << 20):
            file.write(data)
    peaks.append(_peak(fresh_pod, "load", "-i", str(packed)))
    assert max(peaks) <= LIMIT


FILL = """
for i in 1 2 3 4 5 6 7 8; do head -c 67108864 /dev/urandom >>/big; head -c 201326592 /dev/zero >>/big; done
touch -d @1700000000 /big
"""


def test_commit_and_push_when_the_layer_is_two_gib_then_64_mb(
    fresh_pod: Pod, writable_registry: Registry, tmp_path: Path
) -> None:
    """A file of 2 GiB, a quarter of which does not compress; packed by ``export`` as well."""
    target = f"{writable_registry.host}/big/made:1"
    image = fresh_pod.image("busybox:latest")
    fresh_pod("run", "--name", "big", "--network", "none", image, "sh", "-ec", FILL, timeout=300).ok()
    peaks = [_peak(fresh_pod, "commit", "big", target)]
    assert fresh_pod.inspect(target)["Size"] > 2 << 30
    peaks.append(_peak(fresh_pod, "push", "-q", target))
    peaks.append(_peak(fresh_pod, "save", "-o", str(tmp_path / "saved"), target))
    peaks.append(_peak(fresh_pod, "export", "-o", str(tmp_path / "saved"), "big"))
    assert max(peaks) <= LIMIT
