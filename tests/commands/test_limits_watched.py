"""Memory without a control group, by those who would hide theirs: each has more than its limit, in a way of its own."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest

from tests.support import podcli
from tests.support.podcli import Pod

SOURCE = Path(__file__).parent.parent / "support" / "hog.c"


@pytest.fixture(scope="session")
def hog(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Flags that bring hog.c as a static program."""
    compiler = shutil.which("cc")
    if compiler is None:
        pytest.skip("capability compiler: cc: not installed")
    program = tmp_path_factory.mktemp("hog") / "hog"
    subprocess.run([compiler, "-static", "-O1", "-Wall", "-o", str(program), str(SOURCE)], check=True, timeout=120)
    program.chmod(0o755)
    return ("-v", f"{program}:/hog:ro", "--network", "none")


@pytest.mark.parametrize("way", ["own", "shared", "memfd"])
def test_memory_when_it_is_of_one_process_then_that_is_killed(
    pod: Pod, busybox: str, hog: tuple[str, ...], way: str
) -> None:
    done = pod("run", "--name", way, *hog, "-m", "40m", busybox, "/hog", way, "200")
    assert (done.code, done.out) == (137, "")
    assert pod.state(way)["OOMKilled"] is True
    done = pod("run", "--init", *hog, "-m", "80m", busybox, "timeout", "1", "/hog", way, "30")
    assert (done.code, done.out) == (143, "has\n"), "within the limit"


@pytest.mark.parametrize("kind", [(), ("--pid", "host")], ids=["own-pids", "host-pids"])
def test_memory_when_many_that_went_away_have_it_then_enough_of_them_are_killed(
    pod: Pod, busybox: str, hog: tuple[str, ...], kind: tuple[str, ...]
) -> None:
    """Each has 4 MiB, is no child of the first process and has a session of its own."""
    name = pod("run", "-d", *kind, *hog, "-m", "60m", busybox, "/hog", "many", "320").ok().strip()
    podcli.until(lambda: pod.state(name)["OOMKilled"] is True, 20, "the first to be killed")

    def megabytes() -> float:
        text = pod("stats", "--no-stream", "--format", "{{.MemUsage}}", name).ok().split()[0]
        number, unit = float(text.rstrip("kKMGiB")), text.lstrip("0123456789.")
        return number * {"B": 0, "KiB": 1 / 1024, "MiB": 1, "GiB": 1024}[unit]

    podcli.until(lambda: megabytes() <= 62, 20, "it to be within its limit")


def test_memory_when_it_is_in_a_file_system_in_memory_then_it_counts(
    pod: Pod, busybox: str, hog: tuple[str, ...]
) -> None:
    fill = "dd if=/dev/zero of=/mnt/file bs=1M count=90; sleep 3; du -m /mnt/file"
    done = pod("run", "--name", "full", *hog, "--tmpfs", "/mnt:size=200m", "-m", "40m", busybox, "sh", "-c", fill)
    assert done.code == 137 or int(done.out.split()[0]) <= 45, "it ends, or the writer alone did, in time"
    assert pod.state("full")["OOMKilled"] is True
    fill = fill.replace("count=90", "count=20")
    pod("run", *hog, "--tmpfs", "/mnt:size=200m", "-m", "40m", busybox, "sh", "-c", fill).ok()


def test_memory_when_pages_are_of_a_file_then_nobody_is_killed_for_them(
    pod: Pod, busybox: str, hog: tuple[str, ...]
) -> None:
    """The kernel drops those where memory is short."""
    done = pod("run", "--init", *hog, "-m", "40m", busybox, "timeout", "8", "/hog", "file", "160", "/big")
    assert (done.code, done.out) == (143, "has\n"), done
