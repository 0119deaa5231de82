"""A pull's memory does not grow with the image: the whole tree of processes, sampled, while GiBs come by.

Two archives of 2 GiB: one that hardly compresses (a blob of more than 500 MB), one of text. Half a minute each.
"""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import json
import os
import struct
import subprocess
import sys
import tarfile
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.podcli import Pod
from tests.support.scripted import Scripted, generated

pytestmark = pytest.mark.slow

LIMIT = 64 << 20
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


def children(pid: int) -> list[int]:
    found = [pid]
    with contextlib.suppress(OSError):
        for task in os.listdir(f"/proc/{pid}/task"):
            for child in Path(f"/proc/{pid}/task/{task}/children").read_text().split():
                found += children(int(child))
    return found


def pss(pid: int) -> int:
    """Bytes of one process, what it shares counted in parts; all of it where that cannot be seen."""
    try:
        for line in Path(f"/proc/{pid}/smaps_rollup").read_text().splitlines():
            if line.startswith("Pss:"):
                return int(line.split()[1]) * 1024
    except OSError:
        with contextlib.suppress(OSError, ValueError):
            return int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * 4096
    return 0


def peak_of_pull(pod: Pod, name: str) -> tuple[int, float]:
    """(the most that the tree of one `pod pull` had at any sample, seconds that it took)."""
    process, most, seconds = watched(pod, "pull", "-q", name, seconds=400)
    assert process.stdout is not None
    assert process.stdout.read().decode().strip() == name
    return most, seconds


def watched(pod: Pod, *arguments: str, seconds: float) -> tuple[subprocess.Popen[bytes], int, float]:
    """(one command that ended well, the most that its tree had at any sample, the seconds that it took)."""
    process = pod.start(*arguments)
    began = time.monotonic()
    most = 0
    while process.poll() is None:
        assert time.monotonic() - began < seconds
        most = max(most, sum(map(pss, children(process.pid))))
        time.sleep(0.02)
    assert process.stderr is not None
    assert process.returncode == 0, process.stderr.read().decode()
    return process, most, time.monotonic() - began


def header(size: int) -> bytes:
    entry = tarfile.TarInfo("big")
    entry.size = size
    return entry.tobuf(tarfile.GNU_FORMAT)


def compressible(size: int) -> Iterator[bytes]:
    """Text that gzip makes about three times smaller."""
    words = [hashlib.sha256(str(number).encode()).hexdigest().encode() for number in range(4096)]
    line, number = 0, 0
    while size > 0:
        piece = b" ".join(words[(number * 7 + n * (line % 13 + 1)) % 4096][: 8 + n % 24] for n in range(4000))[:size]
        yield piece
        size -= len(piece)
        number, line = number + 1, line + 1


def describe(server: Scripted, media: str, blob: tuple[str, int], diff_id: str, name: str) -> str:
    """An image of one layer that the server makes as it goes."""
    machine = {"x86_64": "amd64", "aarch64": "arm64"}[os.uname().machine]
    rootfs = {"type": "layers", "diff_ids": [diff_id]}
    config = json.dumps({"architecture": machine, "os": "linux", "rootfs": rootfs}).encode()
    digest = server.add(config)
    document = {
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": {"mediaType": CONFIG, "digest": digest, "size": len(config)},
        "layers": [{"mediaType": media, "digest": blob[0], "size": blob[1]}],
    }
    return server.image(name, json.dumps(document).encode(), {}, MANIFEST)


def report(text: str) -> None:
    sys.stderr.write(text + "\n")


def test_pull_when_the_blob_is_half_a_gib_and_does_not_compress_then_64_mb(offline_pod: Pod, server: Scripted) -> None:
    """2 GiB of archive in a gzip blob of more than 500 MB: three of four MiB are zeros."""
    size = 2 << 30
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    diff, blob = hashlib.sha256(), hashlib.sha256()
    path = server.folder / "blob.gz"
    zeros = bytes(3 << 20)
    with path.open("wb") as file:

        def put(data: bytes) -> None:
            diff.update(data)
            packed = packer.compress(data)
            blob.update(packed)
            file.write(packed)

        put(header(size))
        for piece in generated(size // 4, 1):
            put(piece)
            put(zeros[: len(piece) * 3])
        put(bytes(1024))
        rest = packer.flush()
        blob.update(rest)
        file.write(rest)
    length = path.stat().st_size
    assert length > 500 << 20
    digest = "sha256:" + blob.hexdigest()
    path.rename(server.folder / "blobs/sha256" / digest[7:])
    server.rules({"path": digest, "file": digest[7:]})
    name = describe(server, LAYER + "+gzip", (digest, length), "sha256:" + diff.hexdigest(), "big/gzip:1")
    peak, seconds = peak_of_pull(offline_pod, name)
    report(f"pull of a {length >> 20} MiB gzip blob, 2 GiB unpacked: peak {peak >> 20} MiB, {seconds:.1f} s")
    assert peak <= LIMIT


def test_pull_when_2_gib_of_text_then_64_mb(offline_pod: Pod, server: Scripted) -> None:
    size = 2 << 30
    diff = hashlib.sha256(header(size))
    blob = hashlib.sha256()
    path = server.folder / "text.gz"
    with path.open("wb") as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=1, mtime=0) as file:
        file.write(header(size))
        piece = b"".join(compressible(32 << 20))
        for number in range(size // len(piece)):
            data = struct.pack(">Q", number) + piece[8:]
            diff.update(data)
            file.write(data)
        diff.update(bytes(1024))
        file.write(bytes(1024))
    with path.open("rb") as made:
        while data := made.read(1 << 20):
            blob.update(data)
    digest = "sha256:" + blob.hexdigest()
    length = path.stat().st_size
    path.rename(server.folder / "blobs/sha256" / digest[7:])
    server.rules({"path": digest, "file": digest[7:]})
    name = describe(server, LAYER + "+gzip", (digest, length), "sha256:" + diff.hexdigest(), "big/text:1")
    peak, seconds = peak_of_pull(offline_pod, name)
    report(f"pull of a {length >> 20} MiB gzip blob, 2 GiB of text: peak {peak >> 20} MiB, {seconds:.1f} s")
    assert peak <= LIMIT
