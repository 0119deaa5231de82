"""What a container can reach of its user: processes, the engine's own files, ids. With all flags, too."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pod.core.runtime import launch
from tests.support.crafted import Craft
from tests.support.layers import Layer
from tests.support.podcli import Pod

POWERS = ((), ("--cap-add", "ALL"), ("--privileged", "--userns", "host"))
OWN_FILES = {"hosts", "hostname", "resolv.conf"}
COUNT_UIDS = {"oom_score_adj", "coredump_filter", "clear_refs"}
"""Files of a process that the kernel lets everyone of its uid write."""


@pytest.fixture
def neighbours(pod: Pod, busybox: str) -> Iterator[dict[int, str]]:
    """Processes of the user that are no container's business: pid to what it is."""
    pod("run", "-d", "--name", "neighbour", busybox, "sleep", "1000").ok()
    state = pod.state("neighbour")
    supervisor = int(Path(f"/proc/{state['Pid']}/stat").read_text().rpartition(")")[2].split()[1])
    sleeper = subprocess.Popen(["sleep", "1000"], env={"SECRET": "of the host"})
    yield {state["Pid"]: "another container", supervisor: "its supervisor", sleeper.pid: "a process of the user"}
    sleeper.kill()
    sleeper.wait()


@pytest.mark.parametrize("powers", POWERS, ids=("default", "caps", "privileged"))
def test_start_when_pids_are_the_hosts_then_processes_show_nothing_of_themselves(
    pod: Pod, attacking: str, neighbours: dict[int, str], powers: tuple[str, ...]
) -> None:
    """No memory, descriptor, environment, root, namespace, tracing: of containers, supervisors, the user's programs."""
    told = pod("run", "--rm", "--pid", "host", *powers, attacking, "attack", "processes").ok().splitlines()
    assert int(told[-1].split()[1]) > len(neighbours)
    had = [(int(line.split()[0]), line.split()[1]) for line in told[:-1]]
    assert [(neighbours.get(pid, pid), what) for pid, what in had if what not in COUNT_UIDS] == []


@pytest.mark.sub_ids
def test_start_when_pids_are_the_hosts_then_another_id_signals_nobody(
    pod: Pod, attacking: str, neighbours: dict[int, str]
) -> None:
    """Where uids count the container's root is the user; its other ids are other users."""
    script = "; ".join(f"kill -0 {pid} && echo {pid}" for pid in neighbours) + "; true"
    words = ("run", "--rm", "--pid", "host", "--privileged")
    assert pod(*words, "-u", "1000", attacking, "sh", "-c", script).ok() == ""
    assert pod(*words, attacking, "sh", "-c", script).ok() != "", "nothing was tried"


@pytest.mark.parametrize("powers", POWERS, ids=("default", "caps", "privileged"))
def test_start_when_a_program_looks_everywhere_then_the_engines_files_are_not_there(
    pod: Pod, attacking: str, powers: tuple[str, ...]
) -> None:
    """Store, run directory, cache and program by device and inode, under whatever name: but for its own."""
    pod("run", "-d", "--name", "looking", *powers, "-v", "data:/data", attacking, "sleep", "1000").ok()
    run_dir = os.readlink(pod.run_pointer())
    engine: dict[tuple[str, str], str] = {}
    for top in (str(pod.root), run_dir, os.path.dirname(launch.helper_path())):
        for folder, folders, files in os.walk(top):
            folders[:] = [name for name in folders if name not in ("layers", "_data", "upper", "work", "rootfs")]
            for path in (folder, *(f"{folder}/{name}" for name in files)):
                st = os.lstat(path)
                engine[f"{os.major(st.st_dev)}:{os.minor(st.st_dev)}", str(st.st_ino)] = path
    seen = [line.split(" ", 2) for line in pod("exec", "looking", "attack", "inodes", "/").ok().splitlines()]
    assert len(seen) > 100
    found = {engine[device, inode] for device, inode, _ in seen if (device, inode) in engine}
    container = pod.inspect("looking")["Id"]
    page = {f"{run_dir}/c/{container[:32]}/shown"}  # what root emulation shows this container's programs
    assert found - page == {f"{pod.root}/containers/{container}/{name}" for name in OWN_FILES}


USERS = {
    "0": "0,0,0 0,0,0 0",
    "5": "5,5,5 0,0,0 0",
    "5:7": "5,5,5 7,7,7 7",
    "web": "33,33,33 33,33,33 33",
    "web:mail": "33,33,33 8,8,8 8",
    "joiner": "34,34,34 34,34,34 8,34",
}
DATABASES = {
    "etc/passwd": b"root:x:0:0::/:/bin/sh\nweb:x:33:33::/:/bin/sh\njoiner:x:34:34::/:/bin/sh\n",
    "etc/group": b"root:x:0:\nmail:x:8:joiner\nweb:x:33:\njoiner:x:34:\n",
}


@pytest.fixture(scope="session")
def with_users(craft: Craft, attack: Path) -> str:
    """attacking, with users and groups of its own."""

    def fill(layer: Layer) -> None:
        layer.add("bin/attack", attack.read_bytes(), mode=0o755)
        for name, text in DATABASES.items():
            layer.add(name, text)

    return craft.make(fill)


@pytest.mark.parametrize("command", ["run", "exec"])
def test_start_gives_exactly_that_user_group_and_groups(pod: Pod, with_users: str, command: str) -> None:
    """CVE-2023-25173, CVE-2026-30892: no group of the caller's, of root's or of the process before."""
    pod("run", "-d", "--name", "ids", "-u", "joiner", with_users, "sleep", "1000").ok()
    for user, expected in USERS.items():
        words = ("run", "--rm", "-u", user, with_users) if command == "run" else ("exec", "-u", user, "ids")
        who, group, *groups = pod(*words, "attack", "ids").ok().split()
        got = ",".join(sorted(set(groups[0].split(",")), key=int)) if groups else ""
        assert f"{who} {group} {got}".strip() in (expected, expected.rpartition(" ")[0]), user
