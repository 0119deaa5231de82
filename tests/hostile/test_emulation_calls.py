"""Calls that mean to get past the emulator or to keep it from others: it answers on, nothing outside changes."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import emulation
from tests.support.podcli import Pod

HERE = Path(__file__).parent
pytestmark = pytest.mark.no_sub_ids


@pytest.fixture
def pod(_session_pod: Pod) -> Iterator[Pod]:
    """Not the one of this folder, which has no registry: this needs a Debian."""
    yield _session_pod
    _session_pod.tidy()


@pytest.fixture(scope="module")
def attacks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return emulation.build(HERE / "emulation_calls.c", tmp_path_factory.getbasetemp())


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        ("cookies", "0:0 0 0:0 -1 -1 5:6 8\n"),
        ("signals", "wrong 0, most got through 1\n"),
        ("rings", "111 111 111 \n"),
        ("waits", "waits done\n"),
    ],
)
def test_emulator_when_calls_mean_to_pass_it_by_then_they_do_not(
    pod: Pod, attacks: Path, mode: str, expected: str
) -> None:
    with emulation.victim(pod, "passed", attacks, "--security-opt", "seccomp=unconfined") as name:
        assert pod("exec", name, "/attacks", mode, timeout=120).ok() == expected


def test_emulator_when_a_program_has_32_bits_then_it_is_answered_too(
    pod: Pod, tmp_path_factory: pytest.TempPathFactory
) -> None:
    flags = ("-m32", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-fno-pie", "-no-pie")
    try:
        program = emulation.build(HERE / "emulation_i386.c", tmp_path_factory.mktemp("narrow"), *flags)
        subprocess.run([program], check=True, timeout=10, capture_output=True)
    except (subprocess.CalledProcessError, OSError):
        pytest.skip("capability i386: this compiler or kernel has no 32-bit programs")
    with emulation.victim(pod, "narrow", program) as name:
        said = pod("exec", name, "/attacks").ok()
    assert said == "0 0 70000 70001 0 0 0 0 1000 1001 1002 34 2 8 -1 0 1001 1 -14 \n"


def test_emulator_when_one_container_floods_then_another_is_answered_as_fast(pod: Pod, attacks: Path) -> None:
    """Two processors at most are busy with the flood; the bound is generous, for other tests run beside this one."""
    with emulation.victim(pod, "quiet", attacks) as quiet, emulation.victim(pod, "loud", attacks) as loud:
        alone = float(pod("exec", quiet, "/attacks", "measure").ok())
        flood = pod.start("exec", loud, "/attacks", "flood")
        try:
            assert flood.stdout is not None
            assert flood.stdout.readline() == b"flooding\n"
            beside = float(pod("exec", quiet, "/attacks", "measure").ok())
        finally:
            pod("exec", loud, "sh", "-c", "kill -9 -1")  # all but its first process
            flood.communicate(timeout=60)
    print(f"stat: {alone} us alone, {beside} us beside a flood; load {os.getloadavg()[0]:.1f}")
    assert beside < 10 * alone + 200


PROC = """
    set -u; mkdir /m; touch /m/f; cd /m
    for root in /proc/1/root /proc/$$/root /proc/self/root /proc/1/cwd /proc/$PPID/root /proc/self/cwd/../root; do
        for name in $root $root/etc $root/../../etc/passwd $root$1/secret $root$1 /proc/self/fd/0/..$1; do
            chown -h 5:5 $name; chown 5:5 $name; stat $name; mknod $name/dev c 1 3; ln -s x $name/link; mkdir $name/made
            setpriv --reuid=7 --regid=7 --clear-groups \\
                sh -c ': > $0/file; mkdir $0/made; mkfifo $0/fifo; ln -s . $0/l' $name
        done
    done >/dev/null 2>&1
    for p in /proc/[0-9]*; do chown 5:5 $p/ns/user $p/exe $p/fd/0 $p/root $p/mem; done >/dev/null 2>&1
    stat -c %u:%g /m/f
"""


@pytest.mark.parametrize("options", [(), ("--pid", "host"), ("--pid", "host", "--privileged")], ids=str)
def test_emulator_when_links_of_proc_are_followed_then_nothing_outside_changes(
    pod: Pod, attacks: Path, tmp_path: Path, options: tuple[str, ...]
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir(mode=0o777)
    (outside / "secret").write_text("of the host")
    before = [(st.st_ctime_ns, st.st_mode) for st in (os.stat(outside), os.stat(outside / "secret"))]
    with emulation.victim(pod, "proc", attacks, *options) as name:
        assert pod("exec", name, "bash", "-c", PROC, "x", str(outside), timeout=120).ok() == "0:0\n"
    assert [(st.st_ctime_ns, st.st_mode) for st in (os.stat(outside), os.stat(outside / "secret"))] == before
    assert os.listdir(outside) == ["secret"]
    assert os.listxattr(outside) == []


def test_emulator_when_there_are_namespaces_inside_then_they_are_the_kernels(pod: Pod, attacks: Path) -> None:
    script = """
        touch /f; chown 5:6 /f
        unshare -Urm sh -c 'mount -t tmpfs t /mnt; mkdir /mnt/d; chroot /mnt /nowhere; chown 0:0 /mnt/d; id -u' 2>&1
        for i in 1 2 3 4 5 6; do unshare -Urpf sh -c 'stat /f; chown 0:0 /f; kill -9 $$' >/dev/null 2>&1; done
        unshare -U id -u; chown 7:8 /f; stat -c %u:%g /f
        mkdir /n; mount -t tmpfs t /n; chroot /n /nowhere; umount /n 2>&1; id -u
    """
    with emulation.victim(pod, "nested", attacks, "--privileged") as name:
        said = pod("exec", name, "sh", "-c", script).ok().splitlines()
    assert [line for line in said if "nowhere" not in line] == ["0", "65534", "7:8", "0"]
