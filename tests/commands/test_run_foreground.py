"""`pod run` in the foreground: streams and exit statuses."""

from __future__ import annotations

import contextlib
import hashlib
import os
import subprocess
import time
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until


def test_run_echo_prints_only_that(pod: Pod, busybox: str) -> None:
    done = pod("run", "--rm", busybox, "echo", "hello")
    assert (done.code, done.out, done.err) == (0, "hello\n", "")


def test_run_keeps_standard_error_apart(pod: Pod, busybox: str) -> None:
    done = pod("run", "--rm", busybox, "sh", "-c", "echo out; echo err >&2")
    assert (done.code, done.out, done.err) == (0, "out\n", "err\n")


@pytest.mark.parametrize("status", [0, 1, 3, 125, 126, 127, 255])
def test_run_ends_with_the_programs_own_status(pod: Pod, busybox: str, status: int) -> None:
    assert pod("run", "--rm", busybox, "sh", "-c", f"exit {status}").code == status


def test_run_command_missing_ends_with_127(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", busybox, "no-such-program").failed(127, "no-such-program", "hint:")


def test_run_absolute_command_missing_ends_with_127(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", busybox, "/no/such/program").failed(127, "/no/such/program")


def test_run_command_not_executable_ends_with_126(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", busybox, "/etc/not-executable").failed(126, "/etc/not-executable", "permission denied")


def test_run_command_is_folder_ends_with_126(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", busybox, "/etc").failed(126, "/etc")


def test_run_command_is_no_program_ends_with_126(pod: Pod, busybox: str) -> None:
    assert pod("run", "--rm", busybox, "/etc/bad-format").code in (126, 127)


@pytest.mark.parametrize(("signal", "code"), [("KILL", 137), ("TERM", 143), ("SEGV", 139), ("HUP", 129)])
def test_run_program_ended_by_signal_gives_128_plus_it(pod: Pod, busybox: str, signal: str, code: int) -> None:
    assert pod("run", "--rm", "--init", busybox, "sh", "-c", f"kill -{signal} $$").code == code


def test_run_bad_flag_ends_with_125(pod: Pod, busybox: str) -> None:
    pod("run", "--no-such-flag", busybox, "true").failed(125, "unknown flag: --no-such-flag")


def test_run_nothing_after_the_image_is_ours(pod: Pod, busybox: str) -> None:
    assert pod("run", "--rm", busybox, "echo", "--rm", "-it", "--help").ok() == "--rm -it --help\n"


def test_run_without_i_gives_an_empty_stdin(pod: Pod, busybox: str) -> None:
    assert pod("run", "--rm", busybox, "wc", "-c", stdin=b"not for it").ok().strip() == "0"


def test_run_i_passes_stdin_and_its_end(pod: Pod, busybox: str) -> None:
    data = os.urandom(3 << 20)
    done = pod("run", "--rm", "-i", busybox, "sha256sum", stdin=data)
    assert done.ok().split()[0] == hashlib.sha256(data).hexdigest()


@pytest.mark.parametrize("chunks", [3, *range(9, 25), *range(26, 40, 2)])
def test_run_i_end_of_stdin_arrives_whatever_is_full(pod: Pod, busybox: str, tmp_path: Path, chunks: int) -> None:
    # Nobody reads for a while: the pipe, the supervisor's chunk and the socket fill, one after the other.
    (tmp_path / "in").write_bytes(b"x" * (chunks << 14))
    with open(tmp_path / "in", "rb") as given:
        argv = pod.argv("run", "--rm", "-i", busybox, "sh", "-c", "sleep 0.3; wc -c")
        done = subprocess.run(argv, stdin=given, capture_output=True, env=pod.environ(), timeout=20, check=True)
    assert int(done.stdout) == chunks << 14


def test_run_i_signal_passes_input_that_nobody_reads(pod: Pod, busybox: str) -> None:
    script = "trap 'exit 7' TERM; echo ready; while :; do sleep 0.1; done"
    process = pod.start("run", "--rm", "-i", busybox, "sh", "-c", script)
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    os.set_blocking(process.stdin.fileno(), False)
    with contextlib.suppress(BlockingIOError):
        while True:
            os.write(process.stdin.fileno(), b"x" * 65536)
            time.sleep(0.01)
    process.terminate()
    assert process.wait(20) == 7


@pytest.mark.parametrize("kilobytes", range(180, 420, 16))
def test_run_exit_code_arrives_at_a_slow_reader(pod: Pod, busybox: str, kilobytes: int) -> None:
    script = f"head -c {kilobytes << 10} /dev/zero; exit 7"
    process = pod.start("run", "--rm", busybox, "sh", "-c", script)
    assert process.stdout is not None
    assert process.stderr is not None
    time.sleep(0.5)
    assert len(process.stdout.read()) == kilobytes << 10
    assert (process.wait(20), process.stderr.read()) == (7, b"")


def test_run_i_with_empty_stdin_ends(pod: Pod, busybox: str) -> None:
    assert pod("run", "--rm", "-i", busybox, "cat", stdin=b"").ok() == ""


def test_run_i_reader_that_stops_early_ends_the_run(pod: Pod, busybox: str) -> None:
    assert pod("run", "--rm", "-i", busybox, "head", "-c", "5", stdin=b"x" * (2 << 20)).ok() == "xxxxx"


def test_run_much_output_arrives_whole(pod: Pod, busybox: str) -> None:
    done = pod("run", "--rm", busybox, "sh", "-c", "yes 0123456789abcde | head -c 8388608")
    assert done.code == 0
    assert len(done.out) == 8 << 20
    assert done.out == "0123456789abcde\n" * (1 << 19)


def test_run_output_and_errors_arrive_whole_together(pod: Pod, busybox: str) -> None:
    script = "(yes o | head -c 1000000) & (yes e | head -c 1000000 >&2) & wait"
    done = pod("run", "--rm", busybox, "sh", "-c", script)
    assert (len(done.out), len(done.err)) == (1000000, 1000000)


def test_run_output_nobody_reads_ends_quietly(pod: Pod, busybox: str) -> None:
    process = pod.start("run", "--rm", busybox, "sh", "-c", "while echo line; do :; done")
    assert process.stdout is not None
    assert process.stdout.read(5) == b"line\n"
    process.stdout.close()
    until(lambda: process.poll() is not None, 20, "the run to end")
    assert process.stderr is not None
    assert b"Traceback" not in process.stderr.read()


def test_run_a_stdout_leaves_errors_out(pod: Pod, busybox: str) -> None:
    done = pod("run", "--rm", "-a", "stdout", busybox, "sh", "-c", "echo out; echo err >&2")
    assert (done.out, done.err) == ("out\n", "")


def test_run_does_not_pass_on_the_callers_descriptors(pod: Pod, busybox: str) -> None:
    listed = pod("run", "--rm", busybox, "sh", "-c", "ls -l /proc/self/fd").ok()
    numbers = [line.split(" -> ")[0].split()[-1] for line in listed.splitlines() if " -> " in line]
    assert set(numbers) <= {"0", "1", "2", "3"}, listed
    assert str(pod.base) not in listed


def test_run_rm_leaves_no_container(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", busybox, "true").ok()
    assert pod.containers() == []


def test_run_without_rm_keeps_the_container(pod: Pod, busybox: str) -> None:
    assert pod("run", "--name", "kept", busybox, "sh", "-c", "exit 4").code == 4
    state = pod.state("kept")
    assert (state["Status"], state["ExitCode"], state["Running"]) == ("exited", 4, False)


def test_run_pid_1_is_the_program(pod: Pod, busybox: str) -> None:
    assert pod("run", "--rm", busybox, "sh", "-c", "echo $$").ok() == "1\n"


def test_run_init_reaps_and_forwards_the_status(pod: Pod, busybox: str) -> None:
    script = "test $$ != 1 || exit 9; (sleep 0.1 & ) ; sleep 0.4; grep -l '^State:.Z' /proc/[0-9]*/status; exit 6"
    done = pod("run", "--rm", "--init", busybox, "sh", "-c", script)
    assert (done.code, done.out) == (6, "")


def test_run_no_command_at_all_is_said(pod: Pod) -> None:
    pod("run", "--rm", pod.image("nothing:latest")).failed(125, "no command specified", "hint:")


def test_run_fifty_times_leaves_nothing(pod: Pod, busybox: str) -> None:
    for number in range(50):
        assert pod("run", "--rm", "--network", "none", busybox, "echo", str(number)).ok() == f"{number}\n"
