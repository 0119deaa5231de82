"""The library that answers for the emulator inside a container's programs: it does, and as the emulator would."""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import compilers
from tests.support.emulation import emulator
from tests.support.podcli import Pod

FULL = "--root-emulation=full"
WITHOUT = ("-v", "/dev/null:/etc/ld.so.preload")
"""The container's glibc finds no list then, and every call is the emulator's."""

MACHINE = os.uname().machine
pytestmark = pytest.mark.no_sub_ids


def shell(pod: Pod, script: str, *options: str, image: str = "debian:12") -> list[str]:
    """What the script prints in a fresh container; it must succeed and complain of nothing."""
    result = pod("run", "--rm", FULL, *options, pod.image(image), "sh", "-ec", script, timeout=120)
    assert result.err == ""
    return result.ok().splitlines()


@pytest.fixture
def lasting(pod: Pod) -> Iterator[str]:
    name = "answered"
    pod("run", "-d", "--name", name, FULL, pod.image("debian:12"), "sleep", "300").ok()
    yield name
    pod("rm", "-f", name).ok()


def woken(pod: Pod, name: str) -> int:
    """How often the container's emulator has waited for a call so far."""
    found = emulator(pod, name)
    return int(Path(f"/proc/{found}/status").read_text().split("\nvoluntary_ctxt_switches:")[1].split()[0])


WORK = """
    for (1..2000) {
        $n += (stat "/etc/passwd")[4] + (lstat "/bin")[5] + $< + $>;
        open F, ">/work" or die; $n += (stat F)[4]; close F; unlink "/work";
        mkdir "/dir" or die; symlink "x", "/dir/l" or die; unlink "/dir/l"; rmdir "/dir";
        stat "/missing"; $n += (stat STDIN)[5] + (stat STDOUT)[5] + (stat "/proc/self/status")[5];
    }
    print "$n\\n";
"""


def test_library_when_root_works_then_the_emulator_is_not_asked(pod: Pod, lasting: str) -> None:
    pod("exec", lasting, "chown", "5", "/tmp").ok()
    before = woken(pod, lasting)
    assert pod("exec", lasting, "perl", "-e", WORK).ok() == "0\n"
    assert woken(pod, lasting) - before < 100


def test_library_when_another_user_looks_then_the_emulator_is_not_asked(pod: Pod, lasting: str) -> None:
    script = '$) = 7; $> = 33; $< = 33; for (1..5000) { $n += $< + $> + (stat "/tmp")[4] } print $n'
    pod("exec", lasting, "sh", "-c", "mkdir /own; chown 5 /tmp").ok()
    before = woken(pod, lasting)
    assert pod("exec", lasting, "perl", "-e", script).ok() == str(5000 * (33 + 33 + 5))
    assert woken(pod, lasting) - before < 200


LOOKS = r"""
    mkdir /d /d/sub; cd /d; touch f owned gone; mkfifo p; ln -s f l; ln -s f ol; mknod c c 1 3; mknod b b 8 1
    chown 5:6 owned; chown 7:8 sub c; chown -h 9:10 ol; chown 11 p; ln owned hard; chmod 4711 owned
    chown 1:1 gone; chown 0:0 gone; chmod 0 hard; cp -a /d /tmp/d
    stat -c '%n %u:%g %a %F %t:%T' * /d /etc/shadow /var/mail /bin /tmp /proc/self /proc/version /dev/null /dev/pts /
    stat -Lc '%n %u:%g' l ol; ls -lnd * | sed 's/^\(.*\) [A-Z].* /\1 /'; find . /tmp/d -printf '%p %U:%G %y %m\n' | sort
    perl -e '
        for (".", glob("*"), "missing", "f/x", "") {
            @s = stat; @l = lstat; print "$_ @s[2,4,5,6] @l[2,4,5,6] ", $!+0, "\n" }
        opendir D, "/d/sub"; print join(" ", (stat D)[4,5]), "\n";
        open F, "<owned"; print join(" ", (stat F)[4,5]), "\n";
        print stat(*NONE) ? "?" : $!+0, "\n"'
    mkdir g; chown :44 g; chmod 2775 g; cd g; touch a; mkdir b; ln -s a c; perl -e 'open F, ">>d"'
    stat -c '%n %u:%g' *
    su -s /bin/sh nobody -c 'id; cd /tmp; touch n; mkdir m; ln -s n o; stat -c "%n %u:%g" n m o; test -O n && echo mine'
    rm -r /d; touch /d; stat -c '%n %u:%g' /d
"""


def test_library_when_present_then_every_answer_is_the_emulators(pod: Pod) -> None:
    answered = shell(pod, LOOKS)
    assert len(answered) > 80
    assert answered == shell(pod, LOOKS, *WITHOUT)


@pytest.mark.parametrize("image", ["debian:11", "debian:13"])
def test_library_when_glibc_is_older_or_newer_then_every_answer_is_the_emulators(pod: Pod, image: str) -> None:
    assert shell(pod, "grep -c root.so /proc/self/maps", image=image)[0] > "1"
    assert shell(pod, LOOKS, image=image) == shell(pod, LOOKS, *WITHOUT, image=image)


def test_library_when_a_container_is_started_again_then_earlier_owners_are_shown(pod: Pod) -> None:
    script = "[ ! -e /f ] || exec stat -c %n:%u:%g /f /d /l; touch /f; mkdir /d; ln -s f /l; chown -h 5:6 /f /d /l"
    pod("create", "--name", "anew", FULL, pod.image("debian:12"), "sh", "-ec", script).ok()
    try:
        pod("start", "-a", "anew").ok()
        assert pod("start", "-a", "anew").ok().split() == ["/f:5:6", "/d:5:6", "/l:5:6"]
    finally:
        pod("rm", "-f", "anew").ok()


SANDBOX = r"""
    # x86-64: getxattr, lgetxattr, fgetxattr and prctl kill.
    @calls = (191, 192, 193, 157);
    $f = pack "SCCL", 0x20, 0, 0, 0;
    $f .= pack "SCCL", 0x15, 0, 1, $_ and $f .= pack "SCCL", 6, 0, 0, 0x80000000 for @calls;
    $f .= pack "SCCL", 6, 0, 0, 0x7fff0000;
    $p = pack "Sx6P", length($f) / 8, $f;
    sub look { join " ", (stat "/own")[4,5], (lstat "/bin")[4,5], $<, $( + 0, -d "/etc" }
    print look(), "\n";
    syscall(157, 38, 1, 0, 0, 0) == 0 or die $!;
    syscall($ARGV[0] ? 317 : 157, $ARGV[0] ? (1, 0, $p) : (22, 2, $p)) == 0 or die $!;
    print look(), "\n";
    if (!fork) { print look(), "\n"; exit }
    wait; print $?, "\n";
    exec "stat", "-c", "%u:%g", "/own";
"""


@pytest.mark.parametrize("call", ["0", "1"])
def test_library_when_a_program_confines_itself_then_it_makes_no_call_of_its_own(
    pod: Pod, lasting: str, call: str
) -> None:
    if MACHINE != "x86_64":
        pytest.skip("capability x86-64: the numbers in the filter are its")
    pod("exec", lasting, "sh", "-c", "mkdir /own; chown 5:6 /own").ok()
    expected = ["5 6 0 0 0 0 1"] * 3 + ["0", "5:6"]
    assert pod("exec", lasting, "perl", "-e", f"$| = 1; {SANDBOX}", call).ok().splitlines() == expected
    before = woken(pod, lasting)
    assert pod("exec", lasting, "perl", "-e", WORK).ok() == "0\n"
    assert woken(pod, lasting) - before < 100, "another process pays for it"


def test_library_when_an_image_has_its_own_list_then_that_holds(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "list").write_text("\n")
    script = "grep -c root.so /proc/self/maps || true; touch /f; chown 5:6 /f; stat -c %u:%g /f"
    assert shell(pod, script, "-v", f"{tmp_path}/list:/etc/ld.so.preload") == ["0", "5:6"]


def test_library_leaves_nothing_in_what_the_container_wrote(pod: Pod, lasting: str) -> None:
    upper = pod.root / "containers" / pod.inspect(lasting)["Id"] / "upper"
    assert pod("exec", lasting, "cat", "/etc/ld.so.preload").ok() == "/dev/.pod/root.so\n"
    found = {path.relative_to(upper).as_posix() for path in upper.rglob("*")}
    assert not {name for name in found if "preload" in name or "pod" in name}
    attempts = "echo x > /dev/.pod/root.so; echo x > /dev/.pod/shown; rm /dev/.pod/shown"
    denied = pod("exec", lasting, "sh", "-c", attempts)
    assert denied.err.count("Read-only file system") == 2
    assert denied.code != 0


@pytest.mark.parametrize("mode", ["basic", "off"])
def test_library_when_emulation_is_not_full_then_it_is_not_there(pod: Pod, mode: str) -> None:
    argv = ("run", "--rm", f"--root-emulation={mode}", pod.image("debian:12"), "ls", "/dev/.pod", "/etc/ld.so.preload")
    assert pod(*argv).err.count("No such file") == 2


def test_library_when_it_is_gone_or_changed_then_programs_run(pod: Pod) -> None:
    script = """
        touch /f; chown 5:6 /f; mv /dev/.pod /dev/pod; stat -c %u:%g /f
        echo /dev/pod/shown > /etc/ld.so.preload; stat -c %u:%g /f; rm /etc/ld.so.preload; stat -c %u:%g /f
    """
    result = pod("run", "--rm", FULL, pod.image("debian:12"), "sh", "-ec", script)
    assert result.ok() == "5:6\n5:6\n5:6\n"
    assert "cannot be preloaded" in result.err


def test_library_when_dev_is_the_users_then_programs_do_not_complain(pod: Pod, tmp_path: Path) -> None:
    (tmp_path / "dev").mkdir(mode=0o500)
    script = "cat /etc/ld.so.preload; id -u; ls /dev"
    assert shell(pod, script, "-v", f"{tmp_path}/dev:/dev:ro", "--privileged")[:1] == ["0"]
    assert stat.S_IMODE((tmp_path / "dev").stat().st_mode) == 0o500


def test_library_when_a_user_has_a_namespace_then_its_ids(pod: Pod) -> None:
    script = """
        setpriv --reuid=33 --regid=33 --clear-groups perl -e 'print "$<\\n"; exec "unshare", "-U", "id", "-u"'
        setpriv --reuid=33 --regid=33 --clear-groups unshare -U perl -e 'print "$<\\n"'; id -u
    """
    expected = ["33", "65534", "65534", "0"]
    assert shell(pod, script, "--security-opt", "nesting") == expected
    assert shell(pod, script, "--security-opt", "nesting", *WITHOUT) == expected


@pytest.fixture(scope="module")
def inside(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """library_inside.c for an old glibc (whose fstat is __fxstat), and for musl."""
    folder = tmp_path_factory.mktemp("inside")
    source = Path(__file__).with_name("library_inside.c")
    glibc, musl = compilers.zig(f"{MACHINE}-linux-gnu.2.17"), compilers.zig(f"{MACHINE}-linux-musl", "-dynamic")
    return {
        libc: compilers.build(command, source, folder / libc, "-lpthread")
        for libc, command in (("glibc", glibc), ("musl", musl))
    }


@pytest.fixture(scope="module")
def musl(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, ...]:
    """Options of a container that has musl's loader."""
    copy = tmp_path_factory.mktemp("musl") / "libc.so"
    shutil.copyfile(compilers.musl_loader(), copy)
    copy.chmod(0o755)
    return ("-v", f"{copy}:/lib/ld-musl-{MACHINE}.so.1:ro")


MODES = {
    "closed": "5 0 5 0",
    "threads": "0 0 33",
    "vforks": "0",
    "signals": "0 0",
    "errors": "17 17 2 2 17 9 9 36 14 2 13 2",
}
OWN = "mkdir /own; touch /own/f /own/plain; chown 5:6 /own/f; exec /inside "


@pytest.mark.parametrize("mode", MODES)
def test_library_when_programs_do_odd_things_then_the_answers_are_right(
    pod: Pod, inside: dict[str, Path], mode: str
) -> None:
    assert shell(pod, OWN + mode, "-v", f"{inside['glibc']}:/inside:ro") == [MODES[mode]]


@pytest.mark.parametrize("mode", MODES)
def test_library_when_musl_then_the_answers_are_right(
    pod: Pod, inside: dict[str, Path], musl: tuple[str, ...], mode: str
) -> None:
    argv = ("-v", f"{inside['musl']}:/inside:ro", *musl)
    assert shell(pod, OWN + mode, *argv, image="busybox:latest") == [MODES[mode]]


def test_library_when_musl_then_ld_preload_names_it_behind_the_users(
    pod: Pod, inside: dict[str, Path], musl: tuple[str, ...]
) -> None:
    image = pod.image("busybox:latest")
    for options, expected in (((), ""), (("-e", "LD_PRELOAD=/x"), "/x:")):
        argv = ("run", "-d", "--name", "named", FULL, "-v", f"{inside['musl']}:/inside", *musl, *options, image)
        pod(*argv, "sleep", "99").ok()
        try:
            words = ("sh", "-c", "echo $LD_PRELOAD; LD_PRELOAD=${LD_PRELOAD#/x:} /inside maps")
            assert pod("exec", *options, "named", *words).ok() == f"{expected}/dev/.pod/root.so\n1\n"
            assert pod("exec", "-e", "LD_PRELOAD=", "named", "/inside", "maps").ok() == "1\n"
        finally:
            pod("rm", "-f", "named").ok()
    assert pod("run", "--rm", FULL, image, "sh", "-c", "echo $LD_PRELOAD").ok() == "\n"


def test_library_when_a_program_is_sanitized_then_it_runs(pod: Pod, tmp_path: Path) -> None:
    """AddressSanitizer refuses to run behind a library that is preloaded."""
    source = Path(__file__).with_name("library_inside.c")
    program = compilers.build(compilers.host(), source, tmp_path / "inside", "-fsanitize=address", "-lpthread")
    found = subprocess.run(
        ["cc", "-print-file-name=libasan.so"], capture_output=True, text=True, check=True, timeout=60
    ).stdout.strip()
    library = Path(found).resolve()
    soname = ".".join(library.name.split(".")[:3])
    options = ["-v", f"{program}:/inside:ro", "-v", f"{library}:/asan/{soname}:ro", "-e", "LD_LIBRARY_PATH=/asan"]
    result = pod("run", "--rm", FULL, *options, pod.image("debian:12"), "sh", "-c", OWN + "errors")
    if "GLIBC_" in result.err:
        pytest.skip("capability compiler: this host's programs need a newer C library")
    assert result.ok() == MODES["errors"] + "\n"


def test_library_when_an_image_has_32_bit_programs_then_they_do_not_complain(pod: Pod, lasting: str) -> None:
    """A loader of 32 bits would say of each that it cannot load it: glibc's list is not there then."""
    assert pod("exec", lasting, "cat", "/etc/ld.so.preload").ok()
    name = {"x86_64": "ld-linux.so.2", "aarch64": "ld-linux-armhf.so.3"}[MACHINE]
    debian = [path for path in (pod.root / "layers").glob("*/*/diff/usr/lib") if (path / "os-release").exists()]
    for folder in debian:
        (folder / name).touch()
    try:
        script = "touch /f; chown 5:6 /f; stat -c %u:%g /f; ls /etc/ld.so.preload 2>&1 || true"
        assert shell(pod, script) == [
            "5:6",
            "ls: cannot access '/etc/ld.so.preload': No such file or directory",
        ]
    finally:
        for folder in debian:
            (folder / name).unlink()
