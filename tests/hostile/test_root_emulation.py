"""The emulator under attack from the container that it serves: it answers on, and nothing outside changes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import emulation
from tests.support.emulation import emulator
from tests.support.podcli import Pod

SOURCE = Path(__file__).with_name("emulation_attacks.c")
pytestmark = pytest.mark.no_sub_ids


@pytest.fixture
def pod(_session_pod: Pod) -> Iterator[Pod]:
    """Not the one of this folder, which has no registry: this needs a Debian."""
    yield _session_pod
    _session_pod.tidy()


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return emulation.build(SOURCE, tmp_path_factory.mktemp("attacks"))


@pytest.fixture
def victim(pod: Pod, attacks: Path) -> Iterator[str]:
    mount = f"{attacks}:/attacks:ro"
    name = "victim"
    argv = ("run", "-d", "--name", name, "--root-emulation=full", "-v", mount, pod.image("debian:12"))
    pod(*argv, "sleep", "600").ok()
    yield name
    pod("rm", "-f", name).ok()


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("forks", "forks done\n"),
        ("threads", "threads done\n"),
        ("signals", "signals done\n"),
        ("races", "races done\n"),
        ("pointers", "pointers done, 0 wrong\n"),
        ("tokens", "tokens done, all 1, some refused 1\n"),
        ("forged", "forged done\n"),
        ("narrow", "0 8:9 0 44 44 -1\n"),
    ],
)
def test_emulator_when_attacked_then_it_answers_on(pod: Pod, victim: str, mode: str, expected: str) -> None:
    pod("exec", victim, "true").ok()
    before = emulator(pod, victim)
    assert pod("exec", victim, "/attacks", mode, timeout=120).ok() == expected
    assert pod("exec", victim, "stat", "-c", "%U:%G", "/etc/shadow").ok() == "root:shadow\n"
    assert emulator(pod, victim) == before
    descriptors = len(list(Path(f"/proc/{before}/task").iterdir()))
    assert descriptors == 1


def test_emulator_when_two_containers_then_a_flood_in_one_does_not_stop_the_other(pod: Pod, victim: str) -> None:
    flood = pod.start("exec", victim, "/attacks", "forks")
    try:
        argv = ("run", "--rm", "--root-emulation=full", pod.image("debian:12"), "stat", "-c", "%U:%G", "/etc/shadow")
        assert pod(*argv, timeout=20).ok() == "root:shadow\n"
    finally:
        flood.communicate(timeout=120)


def test_emulator_when_names_of_proc_are_given_then_nothing_of_its_own_is_reached(pod: Pod, tmp_path: Path) -> None:
    """With the host's processes in view, /proc/self of the emulator would be the emulator's own."""
    outside = tmp_path / "outside"
    outside.write_text("")
    script = """
        cd /proc/self
        for p in self/fd/3/self self/root/x /proc/self/fd/3 /proc/thread-self/fd/4 fd/3 /proc/self/cwd; do
            chown 5:5 $p 2>/dev/null; stat $p >/dev/null 2>&1; mkdir $p/made 2>/dev/null
        done
        touch /f; exec 7</f; chown 5:6 /proc/self/fd/7; stat -c %u:%g /f
        chown 8:9 /dev/fd/7 /dev/stdout; stat -c %u:%g /f
    """
    for options in ((), ("--pid", "host")):
        argv = ("run", "--rm", "--root-emulation=full", *options, pod.image("debian:12"), "bash", "-c", script)
        assert pod(*argv).ok() == "5:6\n8:9\n"


def test_emulator_when_the_container_tries_to_trace_it_then_it_cannot(pod: Pod) -> None:
    script = 'for p in /proc/[0-9]*; do read n < $p/comm; [ "$n" = pod-emulator ] && ls -l $p/fd $p/cwd $p/root; done'
    argv = ("run", "--rm", "--root-emulation=full", "--pid", "host", "--privileged", pod.image("debian:12"))
    result = pod(*argv, "bash", "-c", script + "; true").ok()
    assert "->" not in result


WATCHED = """
#define _GNU_SOURCE 1
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>
int main(int argc, char **argv) {
    struct sock_filter pass = BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
    struct sock_fprog program = {1, &pass};
    prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
    int fd = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &program);
    if (fd < 0 || fcntl(fd, F_SETFD, 0))
        return perror("listener"), 99;
    execv(argv[1], argv + 1);
    return 98;
}
"""


def test_full_when_another_listener_is_there_then_basic_and_says_so(pod: Pod, tmp_path: Path) -> None:
    """The kernel has one listener for a process: so it is in a container of another engine, or of pod itself."""
    (tmp_path / "watched.c").write_text(WATCHED)
    program = str(tmp_path / "watched")
    subprocess.run(["cc", "-w", str(tmp_path / "watched.c"), "-o", program], check=True, timeout=100)
    script = "touch /f; chown 5:6 /f && stat -c %u:%g /f; id -u"
    argv = pod.argv("run", "--rm", "--root-emulation=full", "-u", "1000", pod.image("debian:12"), "sh", "-c")
    for user, expected in (("0", "0:0\n0\n"), ("1000", "1000\n")):
        argv[argv.index("-u") + 1] = user
        done = subprocess.run(
            [program, *argv, script if user == "0" else "id -u"],
            env=pod.environ(),
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        assert (done.returncode, done.stdout) == (0, expected), done.stderr
        assert done.stderr.count("pod: root emulation: basic instead of full: ") == 1
