"""--pid and --ipc container:X, --ipc shareable and none, --cgroupns: what two containers share, and what not."""

from __future__ import annotations

import os
import re
import time

import pytest

from tests.support.podcli import Pod, until
from tests.support.prepared import SMALLEST, Prepared

SPACES = ("pid", "ipc", "mnt", "uts", "cgroup", "net", "user")


@pytest.fixture
def donor(pod: Pod, busybox: str) -> str:
    """A container that others may join."""
    words = ("--init", "--name", "donor", "--network", "none", "--ipc", "shareable")
    pod("run", "-d", *words, busybox, "sleep", "1000").ok()
    return "donor"


def _spaces(pod: Pod, *words: str) -> dict[str, str]:
    script = f"for n in {' '.join(SPACES)}; do readlink /proc/self/ns/$n; done"
    lines = pod(*words, "sh", "-c", script).ok().splitlines()
    return dict(zip(SPACES, lines))


@pytest.mark.parametrize("kinds", [("pid",), ("ipc",), ("pid", "ipc")])
def test_run_joins_what_it_names_and_nothing_else(pod: Pod, busybox: str, donor: str, kinds: tuple[str, ...]) -> None:
    theirs = _spaces(pod, "exec", donor)
    flags = [word for kind in kinds for word in (f"--{kind}", f"container:{donor}")]
    ours = _spaces(pod, "run", "--rm", "--network", "none", *flags, busybox)
    same = {kind for kind in SPACES if ours[kind] == theirs[kind]}
    assert same == {*kinds, "user"}


def test_run_pid_container_sees_and_signals_its_processes(pod: Pod, busybox: str, donor: str) -> None:
    pod("exec", "-d", donor, "sleep", "4321").ok()
    until(lambda: "sleep 4321" in pod("exec", donor, "ps").out, 10, "the process")
    script = "ps; [ $$ -ne 1 ] && kill $(pidof sleep | tr ' ' '\\n' | sort -n | tail -1); hostname"
    out = pod("run", "--rm", "-h", "mine", "--pid", f"container:{donor}", busybox, "sh", "-c", script).ok()
    assert "sleep 4321" in out
    assert out.splitlines()[-1] == "mine"
    until(lambda: "sleep 4321" not in pod("exec", donor, "ps").out, 10, "its end")


def test_run_ipc_container_has_its_dev_shm(pod: Pod, busybox: str, donor: str) -> None:
    pod("exec", donor, "sh", "-c", "echo from the donor > /dev/shm/note").ok()
    script = "cat /dev/shm/note; echo back > /dev/shm/answer"
    assert pod("run", "--rm", "--ipc", f"container:{donor}", busybox, "sh", "-c", script).ok() == "from the donor\n"
    assert pod("exec", donor, "cat", "/dev/shm/answer").ok() == "back\n"
    other = ("run", "--rm", "--ipc", f"container:{donor}", "--tmpfs", "/dev/shm", busybox, "ls", "/dev/shm")
    assert pod(*other).ok() == ""
    below = ("run", "--rm", "--ipc", f"container:{donor}", "--tmpfs", "/dev/shm/x", busybox, "true")
    pod(*below).failed(125, "conflicting options", "/dev/shm")


def test_exec_goes_into_what_is_shared(pod: Pod, busybox: str, donor: str) -> None:
    words = ("--pid", f"container:{donor}", "--ipc", f"container:{donor}")
    pod("run", "-d", "--name", "guest", *words, busybox, "sleep", "2345").ok()
    ours, theirs = _spaces(pod, "exec", "guest"), _spaces(pod, "exec", donor)
    assert (ours["pid"], ours["ipc"], ours["user"]) == (theirs["pid"], theirs["ipc"], theirs["user"])
    assert ours["mnt"] != theirs["mnt"]
    assert "sleep 2345" in pod("exec", donor, "ps").out
    assert pod("exec", "guest", "ls", "/dev/shm").ok() == ""


def test_run_user_and_owners_work_where_namespaces_are_shared(pod: Pod, busybox: str, donor: str) -> None:
    script = "touch /tmp/f && chmod 4755 /tmp/f && stat -c '%u %a' /tmp/f && id -u"
    words = ("--rm", "--pid", f"container:{donor}", "--ipc", f"container:{donor}")
    assert pod("run", *words, "-u", "12:13", busybox, "sh", "-c", script).ok().split() == ["12", "4755", "12"]
    assert pod("run", *words, busybox, "sh", "-c", "touch /f; chown 7:8 /f; stat -c %u:%g /f").ok() == "7:8\n"


def test_run_i_and_t_work_where_pids_are_shared(pod: Pod, busybox: str, donor: str) -> None:
    words = ("run", "--rm", "-i", "--pid", f"container:{donor}", busybox, "cat")
    assert pod(*words, stdin=b"words\n").ok() == "words\n"
    terminal = pod.terminal("run", "--rm", "-it", "--pid", f"container:{donor}", busybox, "sh", "-c", "tty; exit 7")
    terminal.expect(b"/dev/pts/0")
    assert terminal.wait() == 7


def test_run_pid_container_ends_with_it(pod: Pod, busybox: str, donor: str) -> None:
    pod("run", "-d", "--name", "guest", "--pid", f"container:{donor}", busybox, "sleep", "1000").ok()
    pod("kill", donor).ok()
    pod.wait_for("guest", "exited")
    assert pod.state("guest")["ExitCode"] == 137


def test_run_ipc_container_outlives_it(pod: Pod, busybox: str, donor: str) -> None:
    pod("run", "-d", "--name", "guest", "--ipc", f"container:{donor}", busybox, "sleep", "1000").ok()
    pod("exec", "guest", "sh", "-c", "echo kept > /dev/shm/f").ok()
    pod("rm", "-f", donor).ok()
    assert pod("exec", "guest", "cat", "/dev/shm/f").ok() == "kept\n"


@pytest.mark.parametrize("mode", ["host", "container:donor"])
def test_run_whose_pids_are_shared_leaves_no_process(pod: Pod, busybox: str, donor: str, mode: str) -> None:
    script = "setsid sleep 7654 & (trap '' TERM HUP; sleep 7654) & sleep 0.2; exit 3"
    assert pod("run", "--rm", "--pid", mode, busybox, "sh", "-c", script).code == 3
    until(lambda: not _command_lines("sleep\x007654"), 10, "their end")
    assert pod("exec", donor, "true").code == 0


def _command_lines(text: str) -> list[str]:
    found = []
    for name in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{name}/cmdline", "rb") as file:
                line = file.read(4096).decode("utf-8", "replace")
        except OSError:
            continue
        if line.startswith(text):
            found.append(line)
    return found


def test_run_that_is_stopped_and_started_joins_what_runs_then(pod: Pod, busybox: str, donor: str) -> None:
    script = "ps | grep -c '[s]leep 1000'"
    pod("create", "--name", "guest", "--pid", f"container:{donor}", busybox, "sh", "-c", script).ok()
    assert int(pod("start", "-a", "guest").ok()) > 0
    pod("stop", "-t", "0", donor).ok()
    pod("start", "-a", "guest").failed(1, f"cannot join PID of a non running container: {donor}")
    pod("start", donor).ok()
    assert pod("start", "-a", "guest").code == 0


def test_run_joining_what_cannot_be_joined_says_why(pod: Pod, busybox: str, donor: str) -> None:
    pod("create", "--name", "stopped", busybox, "true").ok()
    pod("run", "-d", "--name", "private", busybox, "sleep", "1000").ok()
    refusals = {
        ("--pid", "container:nobody"): "No such container: nobody",
        ("--pid", "container:"): "invalid PID mode",
        ("--ipc", "containers:x"): "invalid mode",
        ("--pid", "container:stopped"): "cannot join PID of a non running container: stopped",
        ("--ipc", "container:stopped"): "cannot join IPC of a non running container: stopped",
        ("--ipc", "container:private"): "non-shareable IPC",
        ("--pid", "container:private", "--ipc", f"container:{donor}"): "two containers",
        ("--pid", f"container:{donor}", "--userns", "keep-id:uid=7"): "mapped otherwise",
    }
    for flags, message in refusals.items():
        pod("run", "--rm", *flags, busybox, "true").failed(125, message)
    assert sorted(pod("ps", "-a", "--format", "{{.Names}}").ok().split()) == ["donor", "private", "stopped"]


def test_run_joining_who_has_the_hosts_has_them_too(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--name", "open", "--pid", "host", "--ipc", "host", busybox, "sleep", "1000").ok()
    words = ("--pid", "container:open", "--ipc", "container:open")
    pod("run", "-d", "--name", "guest", *words, busybox, "sleep", "1000").ok()
    seen = _spaces(pod, "exec", "guest")
    assert seen["pid"] == os.readlink("/proc/self/ns/pid")
    assert seen["ipc"] == os.readlink("/proc/self/ns/ipc")


def test_a_donor_sees_nothing_of_the_host_while_others_join(pod: Pod, busybox: str) -> None:
    """It looks at every process that appears, as root with the right to trace, and finds images' programs alone."""
    script = (
        "while :; do ls -l /proc/[0-9]*/exe /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/fd; done 2>/dev/null"
        """ | awk '/ -> / { sub(/.* -> /, ""); if (!/^(pipe|socket):/ && !seen[$0]++) { print; fflush() } }'"""
    )
    words = ("--name", "donor", "--network", "none", "--cap-add", "SYS_PTRACE", "--ipc", "shareable")
    pod("run", "-d", *words, busybox, "sh", "-c", script).ok()
    for extra in ((), ("--root-emulation", "basic", "-u", "1000"), ("-u", "12")) * 4:
        pod("run", "--rm", "--pid", "container:donor", "--ipc", "container:donor", *extra, busybox, "true").ok()
    time.sleep(0.2)
    seen = set(pod("logs", "donor").ok().splitlines())
    strange = {line for line in seen if not re.match(r"(/|/bin/\w+|/proc(/.*)?|/dev/null|/home/\w+)$", line)}
    assert strange == set()
    assert seen >= {"/", "/dev/null"}


def test_a_guest_with_fewer_powers_cannot_look_into_its_donor(pod: Pod, busybox: str, donor: str) -> None:
    words = ("run", "--rm", "--pid", f"container:{donor}", "--cap-drop", "ALL", busybox)
    script = "readlink /proc/1/root; readlink /proc/1/fd/1; head -c1 /proc/1/mem; cat /proc/1/environ"
    done = pod(*words, "sh", "-c", script)
    assert done.out == ""
    assert done.code != 0


def test_run_ipc_none_has_no_dev_shm(pod: Pod, busybox: str) -> None:
    assert pod("run", "--rm", "--ipc", "none", busybox, "ls", "-d", "/dev/shm").code != 0
    spaces = _spaces(pod, "run", "--rm", "--ipc", "none", busybox)
    assert spaces["ipc"] != os.readlink("/proc/self/ns/ipc")


def test_run_cgroupns_host_shares_it(pod: Pod, busybox: str) -> None:
    for network in ("host", "none"):
        words = ("run", "--rm", "--cgroupns", "host", "--network", network, busybox)
        spaces = _spaces(pod, *words)
        assert spaces["cgroup"] == os.readlink("/proc/self/ns/cgroup")
        assert pod(*words, "ls", "/sys/fs/cgroup").ok().split() == sorted(os.listdir("/sys/fs/cgroup"))
    pod("run", "--rm", "--cgroupns", "other", busybox, "true").failed(125, "--cgroupns")


def test_inspect_shows_the_modes(pod: Pod, busybox: str, donor: str) -> None:
    identity = pod.inspect(donor)["Id"]
    words = ("--pid", "container:donor", "--ipc", f"container:{identity[:12]}", "--cgroupns", "host", "--uts", "host")
    extra = ("--sysctl", "kernel.shm_rmid_forced=1", "--annotation", "a=b", "--security-opt", "no-new-privileges")
    pod("create", "--name", "shown", *words, *extra, "--userns", "host", busybox, "true").ok()
    shown = pod.inspect("shown")["HostConfig"]
    assert {name: shown[name] for name in ("PidMode", "IpcMode", "CgroupnsMode", "UTSMode", "UsernsMode")} == {
        "PidMode": "container:" + identity, "IpcMode": "container:" + identity, "CgroupnsMode": "host",
        "UTSMode": "host", "UsernsMode": "host",
    }  # fmt: skip
    assert shown["Sysctls"] == {"kernel.shm_rmid_forced": "1"}
    assert shown["Annotations"] == {"a": "b"}
    assert shown["SecurityOpt"] == ["no-new-privileges"]


def test_prepared_start_that_joins_a_container_follows_it(prepared: Prepared, busybox: str) -> None:
    """What is joined is an input: while it runs on no Python is needed, and its next run is looked at anew."""
    pod = prepared.pod
    words = ("--rm", "--pid", "container:donor", busybox, "readlink", "/proc/self/ns/pid")
    pod("run", "-d", "--name", "donor", busybox, "sleep", "1000").ok()
    assert prepared.prime(*words).stat().st_size >= SMALLEST
    for _ in range(2):
        space = pod("exec", "donor", "readlink", "/proc/self/ns/pid").ok()
        assert prepared.run(*words).ok() == space
        pod("stop", "-t", "0", "donor").ok()
        prepared.run(*words).failed(125, "cannot join PID of a non running container: donor")
        pod("start", "donor").ok()
        assert prepared.run(*words).ok() == pod("exec", "donor", "readlink", "/proc/self/ns/pid").ok()


def test_run_with_the_hosts_tmp_reaches_no_socket_of_other_containers(pod: Pod, busybox: str, donor: str) -> None:
    """Without the cover the container could send signals and input to all containers of its user."""
    run_dir = pod.run_pointer().resolve()
    socket = f"c/{pod.inspect(donor)['Id'][:32]}/ctl"
    assert (run_dir / socket).exists()
    script = f"ls -A /host/{run_dir.name}; ls -d /host/{run_dir.name} /host/{run_dir.name}/{socket}"
    for source in (str(run_dir.parent), "/proc/self/root" + str(run_dir.parent)):
        done = pod("run", "--rm", "-v", f"{source}:/host", busybox, "sh", "-c", script)
        assert done.out == f"/host/{run_dir.name}\n"
    assert pod("exec", donor, "true").code == 0
