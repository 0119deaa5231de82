"""--root-emulation=full in corners that a review found; the user with sub-ids asks the kernel the same."""

from __future__ import annotations

import pytest

from tests.support.podcli import Pod

AS_USER = "setpriv --reuid=1000 --regid=1000 --clear-groups"


def perl(pod: Pod, script: str, *options: str, before: str = "true", via: str = "") -> list[str]:
    """What the script prints in a fresh Debian."""
    words = f"cat > /s.pl <<'END'\n{script}\nEND\n{before}; {via} perl /s.pl"
    argv = ("run", "--rm", "--root-emulation=full", *options, pod.image("debian:12"), "sh", "-ec", words)
    return pod(*argv).ok().splitlines()


EXEC = r"""
sub as { my ($real, $saved) = @_; syscall(117, $real, $real, $saved) and die "setresuid: $!" }
sub try {
    my ($path, $no) = ("$_[0]", pack("Q", 0));
    if (!fork) {
        as(1000, 0);
        my $error = syscall(59, $path, $no, $no) ? $! + 0 : "ran";
        print "$error $< $> ", syscall(117, -1, 0, -1) ? "lost" : "kept", " $>\n";
        exit;
    }
    wait;
}
try("/nowhere"); try("/etc/passwd"); try("/etc"); try("/owned"); try("/etc/passwd/x"); try("0" x 5000);
"""


@pytest.mark.x86_64
def test_full_when_an_exec_fails_then_ids_stay(pod: Pod) -> None:
    """A program that is looked for along PATH, or has no format, or bits for nothing."""
    before = "printf 'echo me' > /owned; chown 5:6 /owned; chmod 6755 /owned"
    assert perl(pod, EXEC, before=before) == [f"{error} 1000 1000 kept 0" for error in (2, 13, 13, 8, 20, 36)]


MAKING = r"""
use Fcntl; use Errno;
chdir "/tmp"; $\ = "\n"; mkdir "d/"; print -d "d" ? "made" : "not";
sub said { print "$_[0] ", $_[1] ? "done" : $! + 0, " ", -e $_[0] || -l $_[0] ? "there" : "none" }
said("f", sysopen(F, "f/", O_CREAT | O_WRONLY)); said("l", symlink("x", "l/"));
said("p", sysopen(F, "p", O_CREAT | 010000000)); said("n", sysopen(F, "n", O_CREAT | O_DIRECTORY));
said("/etc/passwd", chown(-1, -1, "/etc/passwd")); said("/etc/passwd", chown(0, 0, "/etc/passwd"));
"""


def test_full_when_a_user_makes_odd_things_then_as_the_kernel(pod: Pod) -> None:
    assert perl(pod, MAKING, via=AS_USER) == [
        "made", "f 21 none", "l 2 none", "p 2 none", "n 22 none", "/etc/passwd done there", "/etc/passwd 1 there",
    ]  # fmt: skip


def test_full_when_no_descriptor_is_left_then_no_file_is_made(pod: Pod) -> None:
    script = f"{AS_USER} sh -c 'ulimit -n 3; (: > /tmp/f) 2>/dev/null || echo refused'; ls /tmp"
    argv = ("run", "--rm", "--root-emulation=full", pod.image("debian:12"), "sh", "-c", script)
    assert pod(*argv).ok() == "refused\n"


@pytest.mark.x86_64
def test_full_when_flags_of_stat_are_unknown_then_einval(pod: Pod) -> None:
    script = r"""
        my ($p, $b) = ("/etc/shadow", "x" x 256); $, = " ";
        sub said { $_[0] ? $! + 0 : "done" }
        print said(syscall(262, -100, $p, $b, 0x10)), said(syscall(262, -100, $p, $b, 0x900)),
            said(syscall(332, -100, $p, 0x10, 0xfff, $b)), said(syscall(332, -100, $p, 0x6000, 0xfff, $b)),
            said(syscall(332, -100, $p, 0, 1 << 31, $b));
    """
    assert perl(pod, script) == ["22 done 22 22 22"]


@pytest.mark.x86_64
def test_full_when_groups_are_set_then_they_are_sorted_and_no_group_is_minus_one(pod: Pod) -> None:
    script = r"""
        my $g = pack("L", 0xffffffff); $) = "7 9 8 10 9"; print "$)\n", syscall(116, 1, $g) ? $! + 0 : "done", "\n";
    """
    assert perl(pod, script) == ["7 8 9 9 10", "22"]


def test_full_when_a_user_makes_a_user_namespace_then_its_ids_are_the_kernels(pod: Pod) -> None:
    script = f"{AS_USER} unshare -U sh -c 'id -u; id -g; id -G'"
    options = ("--rm", "--root-emulation=full", "--security-opt", "nesting")
    assert pod("run", *options, pod.image("debian:12"), "sh", "-c", script).ok().split() == ["65534"] * 3


def test_full_when_a_program_executes_itself_then_its_set_id_bits_count(pod: Pod) -> None:
    script = f"""
        cp /bin/dash /d; chown 5:6 /d; chmod 4755 /d
        {AS_USER} /d -p -c 'id -u; exec /proc/self/exe -p -c "id -u; id -ru"'
    """
    argv = ("run", "--rm", "--root-emulation=full", pod.image("debian:12"), "sh", "-ec", script)
    assert pod(*argv).ok().split() == ["5", "5", "1000"]
