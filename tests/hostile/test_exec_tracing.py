"""A container that lies in wait for processes which `exec` and `--pid container:X` bring in (CVE-2016-9962)."""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import compilers
from tests.support.crafted import Craft
from tests.support.podcli import Pod, Result

SECRET = {"OF_THE_CALLER": "x"}


@pytest.fixture(scope="module")
def watching(craft: Craft, tmp_path_factory: pytest.TempPathFactory) -> str:
    """busybox with /bin/watch-execs."""
    program = tmp_path_factory.mktemp("watcher") / "watcher"
    source = Path(__file__).with_name("exec_watcher.c")
    flags = ["-static", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*compilers.host(), *flags, "-o", str(program), str(source)], check=True, timeout=120)
    return craft.make(lambda layer: layer.add("bin/watch-execs", program.read_bytes(), mode=0o755))


@pytest.mark.parametrize(
    ("powers", "emulation"),
    [((), "basic"), (("--cap-add", "SYS_PTRACE"), "auto"), (("--privileged",), "auto"), (("--privileged",), "basic")],
)
def test_exec_when_the_container_lies_in_wait_then_it_gets_hold_of_nothing(
    pod: Pod, watching: str, powers: tuple[str, ...], emulation: str
) -> None:
    flags = ("--root-emulation", emulation, *powers)
    pod("run", "-d", "--name", "watcher", *flags, watching, "watch-execs").ok()
    _watched(pod, lambda user: pod("exec", "-u", user, "watcher", "true", env=SECRET))


@pytest.mark.parametrize("emulation", ["auto", "basic"])
def test_start_when_a_container_shares_its_pids_then_it_gets_hold_of_nothing(
    pod: Pod, watching: str, emulation: str
) -> None:
    flags = ("--root-emulation", emulation)
    pod("run", "-d", "--name", "watcher", "--cap-add", "SYS_PTRACE", *flags, watching, "watch-execs").ok()
    words = ("--rm", "--pid", "container:watcher", *flags)
    _watched(pod, lambda user: pod("run", *words, "-u", user, watching, "true", env=SECRET))


def _watched(pod: Pod, bring: Callable[[str], Result]) -> None:
    """Brings processes in until the watcher has met some, which on a busy machine it misses now and then."""
    lines: list[str] = []
    for number in range(60):
        for user in ("0", "1000"):
            done = bring(user)
            assert done.code in (0, 137), done
        lines = pod("logs", "watcher").ok().splitlines()
        if number >= 9 and lines.count("met") >= 8:
            break
    assert [line for line in lines if line.startswith("breach")] == []
    assert "met" in lines, "it was too slow to meet any"
