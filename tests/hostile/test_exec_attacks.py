"""Containers that prepare themselves for an `exec`: descriptors, their own /proc, user databases, names, programs."""

from __future__ import annotations

import hashlib
import subprocess
import time
from pathlib import Path

import pytest

from pod.core.runtime import launch
from tests.support.podcli import Pod


@pytest.fixture
def victim(pod: Pod, probing: str) -> str:
    """A detached container that sleeps."""
    pod("run", "-d", "--name", "victim", probing, "sleep", "1000").ok()
    return "victim"


def _exec_with_folder(pod: Pod, outside: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """exec by a caller who has a folder of the host open as 3, 7 and 9."""
    command = f'exec 3<"{outside}" 7<"{outside}" 9<"{outside}"; exec "$@"'
    return subprocess.run(
        ["sh", "-c", command, "sh", *pod.argv("exec", *words)],
        env=pod.environ(), capture_output=True, text=True, timeout=60, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip


@pytest.mark.parametrize("number", [*range(3, 10), 12, 15, 18])
def test_exec_when_the_folder_is_a_descriptor_then_it_does_not_lead_out(
    pod: Pod, victim: str, outside: Path, number: int
) -> None:
    """CVE-2024-21626."""
    for path in (f"/proc/self/fd/{number}", f"/proc/self/fd/{number}/../.."):
        done = _exec_with_folder(pod, outside, "-w", path, victim, "sh", "-c", "cat secret */secret; pwd -P")
        assert "of the host" not in done.stdout
        if done.returncode == 0:
            assert done.stdout.strip().startswith("/proc"), done
        else:
            assert done.stderr.count("pod: ") == 1, done


def test_exec_has_no_descriptor_but_its_stdio(pod: Pod, victim: str, outside: Path) -> None:
    done = _exec_with_folder(pod, outside, victim, "sh", "-c", "ls /proc/self/fd; cat /proc/self/fd/*/secret")
    assert done.stdout.split() == ["0", "1", "2", "3"]  # the last is ls' own
    assert "of the host" not in done.stdout + done.stderr


def test_exec_when_the_program_is_the_engines_own_then_it_cannot_be_written(pod: Pod, victim: str) -> None:
    """CVE-2019-5736: a script whose interpreter is the process that executes it."""
    before = hashlib.sha256(Path(launch.helper_path()).read_bytes()).digest()
    attack = (
        "printf '#!/proc/self/exe\\n' >/bin/evil; chmod 755 /bin/evil;"
        " while [ ! -e /stop ]; do for p in /proc/[0-9]*; do"
        " for how in write truncate; do echo $how $(readlink $p/exe) $(probe $how $p/exe); done;"
        " done; done >/tries 2>&1"
    )
    pod("exec", "-d", victim, "sh", "-c", attack).ok()
    time.sleep(0.2)
    for _ in range(10):
        assert pod("exec", victim, "/bin/evil").code != 0
    pod("exec", victim, "touch", "/stop").ok()
    tries = pod("exec", victim, "cat", "/tries").ok().splitlines()
    assert tries
    assert [line for line in tries if "memfd" in line and line.endswith("done")] == []
    assert hashlib.sha256(Path(launch.helper_path()).read_bytes()).digest() == before
    assert pod("exec", victim, "echo", "whole").ok() == "whole\n"


FAKE_PROC = (
    "mount -t tmpfs none /proc && mkdir -p /proc/self/ns /proc/self/fd /proc/sys/kernel /proc/1/ns && cd /proc/self &&"
    " echo x >uid_map && echo x >gid_map && echo x >setgroups && echo '1 (a) S' >stat && ln -s / root && ln -s / cwd &&"
    " echo 'Uid: 0 0 0 0' >status && for n in user mnt pid; do echo x >ns/$n; done; touch /ready; sleep 1000"
)


@pytest.mark.parametrize("emulation", ["auto", "basic"])
def test_exec_when_the_container_has_a_proc_of_its_own_making_then_nothing_changes(
    pod: Pod, probing: str, emulation: str
) -> None:
    flags = ("--privileged", "--root-emulation", emulation)
    pod("run", "-d", "--name", "liar", *flags, probing, "sh", "-c", FAKE_PROC).ok()
    pod("exec", "liar", "sh", "-c", "while [ ! -e /ready ]; do sleep 0.05; done").ok()
    shown = pod("exec", "-t", "-u", "1000:1000", "-w", "/tmp", "liar", "sh", "-c", "id -u; id -g; pwd; tty").ok()
    assert shown.split()[:3] == ["1000", "1000", "/tmp"]
    assert shown.split()[3].startswith("/dev/pts/")
    assert pod("exec", "liar", "cat", "/proc/self/uid_map").ok() == "x\n"


DATABASES = {
    "fifo": "mkfifo /etc/passwd.new",
    "folder": "mkdir /etc/passwd.new",
    "link-out": "ln -s ../../../../../../etc/passwd /etc/passwd.new; ln -s /proc/1/root/etc/passwd /etc/group.new",
    "link-to-itself": "ln -s passwd /etc/passwd.new",
    "device": "ln -s /dev/zero /etc/passwd.new",
    "terminal": "ln -s /dev/ptmx /etc/passwd.new",
    "huge": "dd if=/dev/zero of=/etc/passwd.new bs=1M count=0 seek=20000",
    "one-line": "tr '\\0' 'a' </dev/zero | head -c 3000000 >/etc/passwd.new",
}


@pytest.mark.parametrize("what", DATABASES)
def test_exec_when_the_user_database_is_a_trap_then_a_name_is_refused_soon(pod: Pod, victim: str, what: str) -> None:
    script = f"rm -rf /etc/passwd; {DATABASES[what]}; mv /etc/passwd.new /etc/passwd"
    pod("exec", victim, "sh", "-c", script).ok()
    began = time.monotonic()
    pod("exec", "-u", "web", victim, "true", timeout=20).failed(126, "web")
    assert pod("exec", "-u", "1000:1000", victim, "echo", "in", timeout=20).ok() == "in\n"
    assert time.monotonic() - began < 10


def test_exec_when_the_user_database_changes_all_the_time_then_each_exec_ends(pod: Pod, victim: str) -> None:
    swap = (
        "cd /etc; cp passwd a; mkfifo b; ln -s /proc/1/mem c;"
        " while :; do for f in a b c; do ln $f $f.new; mv -f $f.new passwd; done; done"
    )
    pod("exec", "-d", victim, "sh", "-c", swap).ok()
    codes = set()
    for _ in range(15):
        done = pod("exec", "-u", "web", victim, "echo", "in", timeout=20)
        codes.add(done.code)
        assert done.out == "in\n" if done.code == 0 else done.err.count("pod: ") == 1, done
    assert codes <= {0, 126}


@pytest.mark.parametrize("name", ["pod-supervisor", "x) Z 1 1 1", "((", "a\nb) S 0"])
def test_exec_when_a_process_is_named_like_another_then_it_is_known_by_its_number(
    pod: Pod, probing: str, name: str
) -> None:
    script = 'printf "%s" "$0" >/proc/1/comm; touch /ready; while :; do sleep 1; done'
    pod("run", "-d", "--name", "namesake", probing, "sh", "-c", script, name).ok()
    pod("exec", "namesake", "sh", "-c", "while [ ! -e /ready ]; do sleep 0.05; done").ok()
    assert pod("exec", "namesake", "echo", "inside").ok() == "inside\n"
    assert pod.state("namesake")["Running"]
    pod("rm", "-f", "namesake").ok()
