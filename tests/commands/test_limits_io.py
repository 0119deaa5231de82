"""Throughput of a disk: how long dd takes, past the page cache, on the disk below the suite's stores."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.grouped import Grouped
from tests.support.podcli import Result

WRITE = ("sh", "-c", "time dd if=/dev/zero of=/data/file bs=64k count=48 oflag=direct conv=notrunc")
READ = ("sh", "-c", "time dd if=/data/file of=/dev/null bs=64k count=48 iflag=direct")
MIB = 3
"""That many are moved, at one a second where that is the limit."""


def seconds(done: Result) -> float:
    done.ok()
    found = re.search(r"real\s+(\d+)m ?([0-9.]+)s", done.err)
    assert found, done
    return 60 * int(found.group(1)) + float(found.group(2))


@pytest.mark.split_cgroups
@pytest.mark.throttled_disk
@pytest.mark.parametrize(("flag", "words"), [("write", WRITE), ("read", READ)])
def test_throughput_when_a_group_limits_it_then_dd_takes_as_long_as_that(
    grouped: Grouped, busybox: str, flag: str, words: tuple[str, ...]
) -> None:
    disk = tools.disk_below(Path("/var/tmp"))
    folder = grouped.pod.base / "data"
    folder.mkdir(exist_ok=True)
    (folder / "file").write_bytes(b"x" * (MIB << 20))
    run = ("run", "--rm", "--network", "none", "-v", f"{folder}:/data")
    limit = (f"--device-{flag}-bps", f"{disk}:1mb", "--strict-limits")
    assert MIB * 0.9 <= seconds(grouped(*run, *limit, busybox, *words)) <= MIB * 1.5 + 2
    assert seconds(grouped(*run, busybox, *words)) < MIB * 0.5, "without a limit"
    operations = (f"--device-{flag}-iops", f"{disk}:24", "--strict-limits")
    assert 1.6 <= seconds(grouped(*run, *operations, busybox, *words)) <= 5, "48 operations"


@pytest.mark.split_cgroups
def test_throughput_when_the_device_is_no_disk_then_that_is_told(grouped: Grouped, busybox: str) -> None:
    done = grouped("run", "--rm", "--network", "none", "--device-write-bps", "/dev/null:1mb", busybox, "true")
    done.failed(125, "/dev/null")
    grouped("run", "--device-write-bps", "/dev/no-such:1mb", busybox, "true").failed(125, "/dev/no-such")
    assert not grouped.left()
