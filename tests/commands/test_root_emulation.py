"""--root-emulation=full: the user with one id gets the answers that the user with sub-ids gets from the kernel."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.emulation import emulator, emulators
from tests.support.podcli import Pod

FULL = "--root-emulation=full"


def shell(pod: Pod, script: str, *options: str, image: str = "debian:12") -> list[str]:
    """What the script prints in a fresh container; it must succeed."""
    argv = ("run", "--rm", FULL, *options, pod.image(image), "sh", "-ec", script)
    return pod(*argv, timeout=120).ok().splitlines()


@pytest.fixture
def lasting(pod: Pod) -> Iterator[str]:
    """A detached container with full emulation, for exec."""
    name = "emulated"
    pod("run", "-d", "--name", name, FULL, pod.image("debian:12"), "sleep", "300").ok()
    yield name
    pod("rm", "-f", name).ok()


def test_full_when_chown_then_stat_agrees(pod: Pod) -> None:
    script = """
        touch /f; mkdir /dir; ln -s f /l; mkfifo /p
        chown 5:6 /f; chown 7 /dir; chgrp 8 /dir; chown -h 9:10 /l; chown 11:12 /p
        stat -c '%n %u:%g' /f /dir /l /p; stat -Lc '%u:%g' /l
        mv /f /g; ln /g /h; stat -c '%u:%g' /h; cat /h; chown 0:0 /g; stat -c '%u:%g' /h
        perl -e 'open F, "</dir"; @s = stat F; print "$s[4]:$s[5]\\n"'
    """
    assert shell(pod, script) == [
        *("/f 5:6", "/dir 7:8", "/l 9:10", "/p 11:12", "5:6", "5:6", "0:0", "7:8"),
    ]


def test_full_when_accounts_are_made_then_they_own_their_files(pod: Pod) -> None:
    script = """
        useradd -m alice
        stat -c '%n %U:%G %a' /home/alice /home/alice/.bashrc /etc/shadow
        su -s /bin/sh nobody -c id
        su alice -c 'id -un; cd; touch mine; mkdir dir; ln -s x link; mkfifo fifo; stat -c "%n %U:%G" *'
        su alice -c 'cd; chown root mine 2>&1 || chgrp root mine 2>&1' || true
    """
    assert shell(pod, script) == [
        "/home/alice alice:alice 755",
        "/home/alice/.bashrc alice:alice 644",
        "/etc/shadow root:shadow 640",
        "uid=65534(nobody) gid=65534(nogroup) groups=65534(nogroup)",
        "alice",
        *(f"{name} alice:alice" for name in ("dir", "fifo", "link", "mine")),
        "chown: changing ownership of 'mine': Operation not permitted",
        "chgrp: changing group of 'mine': Operation not permitted",
    ]


def test_full_when_files_are_copied_then_owners_and_modes_go_along(pod: Pod) -> None:
    script = """
        install -o 13 -g 14 -m 4755 /bin/true /i; mkdir /t; cp -a /i /t/; ln -s i /t/l; chown -h 7:8 /t/l
        touch -d 2001-02-03 /t/f; chown 5:6 /t/f; chmod 2640 /t/f; chown 15:16 /t
        cp -a /t /c; tar -C / -cf /x.tar t; mkdir /y; tar -C /y -xpf /x.tar
        for d in /t /c /y/t; do stat -c '%n %u:%g %a' $d $d/*; done
    """
    expected = ["{} 15:16 755", "{}/f 5:6 2640", "{}/i 13:14 4755", "{}/l 7:8 777"]
    assert shell(pod, script) == [line.format(place) for place in ("/t", "/c", "/y/t") for line in expected]


def test_full_when_image_has_owners_then_they_are_shown(pod: Pod) -> None:
    script = """
        stat -c '%n %U:%G %a' /var/mail /var/local /usr/bin/chage /etc/shadow /var/cache/apt/archives/partial
        echo >> /etc/shadow; chmod 600 /etc/shadow; mv /etc/shadow /s; stat -c '%U:%G' /s
        chown 0:0 /s; stat -c '%U:%G' /s; touch /var/mail/x; mkdir /var/mail/d; stat -c '%U:%G' /var/mail/x /var/mail/d
        rm -r /var/local; mkdir /var/local; stat -c '%U:%G' /var/local
    """
    assert shell(pod, script) == [
        "/var/mail root:mail 2775",
        "/var/local root:staff 2775",
        "/usr/bin/chage root:shadow 2755",
        "/etc/shadow root:shadow 640",
        "/var/cache/apt/archives/partial _apt:root 700",
        *("root:shadow", "root:root", "root:mail", "root:mail", "root:root"),
    ]


SERVER = r"""
use Socket; umask 0; chdir "/tmp"; socket S, AF_UNIX, SOCK_STREAM, 0;
$) = "33 33"; $> = 33;
bind S, sockaddr_un("sock") or die $!; listen S, 1; print unpack_sockaddr_un(getsockname S), "\n";
$> = 0; $) = "0 0";
if (!fork) {
    $( = 34; $) = "34 34"; $< = 34; $> = 34;
    socket C, AF_UNIX, SOCK_STREAM, 0; connect C, sockaddr_un("/tmp/sock") or die $!; read C, $x, 1; exit }
accept P, S; @c = unpack "iii", getsockopt P, SOL_SOCKET, SO_PEERCRED; print "$c[1]:$c[2]\n";
"""


def test_full_when_a_socket_is_bound_then_its_file_and_its_peers_have_ids(pod: Pod) -> None:
    script = f"cat > /s.pl <<'X'\n{SERVER}X\nchmod 777 /tmp; perl /s.pl; stat -c '%u:%g %a %F' /tmp/sock"
    assert shell(pod, script) == ["sock", "34:34", "33:33 777 socket"]


@pytest.mark.no_sub_ids
def test_full_when_device_is_made_then_stat_shows_it(pod: Pod) -> None:
    script = "mknod -m 600 /d c 1 3; chown 11:12 /d; mknod /b b 8 1; stat -c '%u:%g %F %t:%T %a' /d /b; ls -ln /d"
    first, second, listed = shell(pod, script)
    assert first == "11:12 character special file 1:3 600"
    assert second == "0:0 block special file 8:1 644"
    assert listed.startswith("crw------- 1 11 12 1, 3 ")


def test_full_when_setpriv_drops_ids_then_in_its_order(pod: Pod) -> None:
    script = """
        setpriv --reuid=1000 --regid=1001 --groups=5,6 sh -c 'id; touch /tmp/a; stat -c %u:%g /tmp/a'
        setpriv --reuid=1000 --regid=1000 --clear-groups setpriv --reuid=0 true 2>&1 || echo refused
        perl -e '$> = 33; print "$< $>\\n"; $> = 0; print "$>\\n"; $) = "7 8 9"; print "$)\\n"'
    """
    assert shell(pod, script) == [
        "uid=1000 gid=1001 groups=1001,5(tty),6(disk)",
        "1000:1001",
        "setpriv: setresuid failed: Operation not permitted",
        "refused",
        "0 33",
        "0",
        "7 8 9",
    ]


def test_full_when_program_is_set_id_then_it_becomes_its_owner(pod: Pod) -> None:
    script = """
        cp /usr/bin/id /usr/bin/ids; chown 1234:1235 /usr/bin/ids; chmod 6755 /usr/bin/ids
        setpriv --reuid=1000 --regid=1000 --clear-groups ids; ids
        chown 0:0 /usr/bin/ids; chmod 4755 /usr/bin/ids; setpriv --reuid=1000 --regid=1000 --clear-groups ids
        setpriv --reuid=1000 --regid=1000 --clear-groups --no-new-privs ids
    """
    assert shell(pod, script) == [
        "uid=1000 gid=1000 euid=1234 egid=1235 groups=1235",
        "uid=0(root) gid=0(root) euid=1234 egid=1235 groups=1235,0(root)",
        "uid=1000 gid=1000 euid=0(root) groups=1000",
        "uid=1000 gid=1000 groups=1000",
    ]


def test_full_when_entrypoint_runs_itself_until_it_is_not_root_then_it_ends(pod: Pod) -> None:
    script = """
        printf '#!/bin/sh\\nif [ "$(id -u)" = 0 ]; then chown -R www-data /srv; exec setpriv --reuid=www-data \
--regid=www-data --init-groups "$0" "$@"; fi\\nid -un; stat -c %%U /srv; exec "$@"\\n' > /entry
        chmod 755 /entry; exec /entry echo done
    """
    assert shell(pod, script) == ["www-data", "www-data", "done"]


@pytest.mark.parametrize("options", [("-u", "1000:1001"), ("-u", "www-data"), ("-u", "0:5")])
def test_full_when_user_is_given_then_id_and_new_files_are_that_users(pod: Pod, options: tuple[str, ...]) -> None:
    expected = {
        "1000:1001": ["uid=1000 gid=1001 groups=1001", "1000:1001", "0:0"],
        "www-data": ["uid=33(www-data) gid=33(www-data) groups=33(www-data)", "33:33", "0:0"],
        "0:5": ["uid=0(root) gid=5(tty) groups=5(tty)", "0:5", "0:0"],
    }[options[1]]
    assert shell(pod, "id; touch /tmp/f; stat -c %u:%g /tmp/f /etc/passwd", *options) == expected


def test_full_when_exec_then_the_same_owners_and_its_own_user(pod: Pod, lasting: str) -> None:
    pod("exec", lasting, "sh", "-c", "touch /f; chown 5:6 /f").ok()
    assert pod("exec", lasting, "stat", "-c", "%u:%g", "/f").ok() == "5:6\n"
    assert pod("exec", "-u", "www-data", lasting, "id", "-un").ok() == "www-data\n"
    script = "touch /tmp/g; stat -c %u:%g /tmp/g"
    assert pod("exec", "-u", "1000:1000", lasting, "sh", "-c", script).ok() == "1000:1000\n"


@pytest.mark.no_sub_ids
def test_full_when_many_execs_run_at_once_then_each_is_served(pod: Pod, lasting: str) -> None:
    script = "touch /x$0; chown $0 /x$0; read x; stat -c %u /x$0; id -u"
    running = [pod.start("exec", "-i", "-u", "0:3", lasting, "sh", "-c", script, str(n)) for n in range(1, 31)]
    outputs = [process.communicate(b"\n", timeout=60)[0] for process in running]
    assert outputs == [f"{n}\n0\n".encode() for n in range(1, 31)]


@pytest.mark.no_sub_ids
def test_full_when_a_name_looks_like_a_status_line_then_it_is_a_name(pod: Pod) -> None:
    script = """
        cp /bin/touch '/tmp/Umask: 777'; umask 077; chmod 777 /tmp
        cd /tmp; setpriv --reuid=5 --regid=5 --clear-groups './Umask: 777' f; stat -c %a /tmp/f
    """
    assert shell(pod, script) == ["600"]


def test_full_when_container_is_started_again_then_owners_are_kept(pod: Pod) -> None:
    script = """
        if [ -e /f ]; then stat -c %n:%u:%g /f /l /p /etc/issue /lib; exit; fi
        touch /f; ln -s x /l; mkfifo /p; chown 1:2 /f; chown -h 3:4 /l /lib; chown 5:6 /p; chown 7:8 /etc/issue
    """
    pod("create", "--name", "again", FULL, pod.image("debian:12"), "sh", "-ec", script).ok()
    try:
        pod("start", "-a", "again").ok()
        assert pod("start", "-a", "again").ok().splitlines() == [
            *("/f:1:2", "/l:3:4", "/p:5:6", "/etc/issue:7:8", "/lib:3:4"),
        ]
    finally:
        pod("rm", "-f", "again").ok()


@pytest.mark.no_sub_ids
def test_full_when_emulator_is_killed_then_calls_fail_and_nothing_hangs(pod: Pod, lasting: str) -> None:
    pod("exec", lasting, "id").ok()
    os.kill(emulator(pod, lasting), signal.SIGKILL)
    started = time.monotonic()
    pod("exec", lasting, "id").failed(125, "emulator")
    pod("kill", lasting).ok()
    assert time.monotonic() - started < 20


@pytest.mark.no_sub_ids
def test_full_when_only_ids_of_root_are_asked_for_then_no_emulator_runs(pod: Pod, busybox: str) -> None:
    # Every applet of a static busybox begins with getuid().
    process = pod.start("run", "-i", "--name", "quiet", FULL, busybox, "cat")
    assert process.stdin is not None
    assert process.stdout is not None
    try:
        process.stdin.write(b"begun\n")
        assert process.stdout.readline() == b"begun\n"
        init = pod.inspect("quiet")["State"]["Pid"]
        assert "\nSeccomp_filters:\t1\n" in Path(f"/proc/{init}/status").read_text()
        assert emulators(pod, "quiet") == []
        assert pod("exec", "quiet", "sh", "-c", "chown 5 /tmp; stat -c %u /tmp").ok() == "5\n"
        assert len(emulators(pod, "quiet")) == 1
    finally:
        pod("rm", "-f", "quiet").ok()
        process.wait(20)


def test_full_when_io_uring_then_refused(pod: Pod) -> None:
    script = "perl -e 'print syscall(425, 8, 0), \" \", $!+0, \"\\n\"'"
    assert shell(pod, script, "--security-opt", "seccomp=unconfined")[0].split()[0] == "-1"


def test_full_is_one_of_four(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", "--root-emulation=best", busybox, "true").failed(125, "root-emulation")
