"""A container that lies in wait for processes which `exec` and `--pid container:X` bring in (CVE-2016-9962)."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.support import compilers
from tests.support.crafted import Craft
from tests.support.podcli import Pod


@pytest.fixture(scope="module")
def watching(craft: Craft, tmp_path_factory: pytest.TempPathFactory) -> str:
    """busybox with /bin/watch-execs."""
    program = tmp_path_factory.mktemp("watcher") / "watcher"
    source = Path(__file__).with_name("exec_watcher.c")
    flags = ["-static", "-O1", "-Wall", "-Wextra", "-Werror"]
    subprocess.run([*compilers.host(), *flags, "-o", str(program), str(source)], check=True, timeout=120)
    return craft.make(lambda layer: layer.add("bin/watch-execs", program.read_bytes(), mode=0o755))


@pytest.mark.parametrize("emulation", ["auto", "basic"])
@pytest.mark.parametrize("powers", [(), ("--cap-add", "SYS_PTRACE"), ("--privileged",)])
def test_exec_when_the_container_lies_in_wait_then_it_gets_hold_of_nothing(
    pod: Pod, watching: str, powers: tuple[str, ...], emulation: str
) -> None:
    flags = ("--root-emulation", emulation, *powers)
    pod("run", "-d", "--name", "watcher", *flags, watching, "watch-execs").ok()
    secret = {"OF_THE_CALLER": "x"}
    for _ in range(8):
        for user in ("0", "1000"):
            done = pod("exec", "-u", user, "watcher", "true", env=secret)
            assert done.code in (0, 137), done
    _judge(pod)


@pytest.mark.parametrize("emulation", ["auto", "basic"])
def test_start_when_a_container_shares_its_pids_then_it_gets_hold_of_nothing(
    pod: Pod, watching: str, emulation: str
) -> None:
    flags = ("--root-emulation", emulation)
    pod("run", "-d", "--name", "watcher", "--cap-add", "SYS_PTRACE", *flags, watching, "watch-execs").ok()
    for _ in range(6):
        for user in ("0", "1000"):
            words = ("--rm", "--pid", "container:watcher", "-u", user, *flags, watching, "true")
            done = pod("run", *words, env={"OF_THE_CALLER": "x"})
            assert done.code in (0, 137), done
    _judge(pod)


def _judge(pod: Pod) -> None:
    pod("stop", "watcher").ok()
    lines = pod("logs", "watcher").ok().splitlines()
    assert lines[0] == "watching"
    assert [line for line in lines if line.startswith("breach")] == []
    assert lines[-1].startswith("seen ")
    assert int(lines[-1].split()[1]) >= 2, "it was too slow to meet them"
