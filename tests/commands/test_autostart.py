"""pod system autostart: who is started after a login, who after a reboot; the crontab line and the unit."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until


def record(pod: Pod, name: str) -> Path:
    return pod.root / "containers" / pod.inspect(name)["Id"] / "state.json"


def change(pod: Pod, name: str, **members: object) -> None:
    path = record(pod, name)
    path.write_text(json.dumps({**json.loads(path.read_text()), **members}, separators=(",", ":")))


def supervisor_killed(pod: Pod, name: str) -> None:
    """As at a logout that ends all of the user's processes."""
    os.kill(json.loads(record(pod, name).read_text())["supervisor"], signal.SIGKILL)
    until(lambda: not pod.state(name)["Running"], 20, "the end of both")


def sleeping(pod: Pod, busybox: str, name: str, policy: str) -> None:
    pod("run", "-d", "--name", name, "--restart", policy, "--network", "none", busybox, "sleep", "1000").ok()


@pytest.mark.parametrize(
    ("policy", "login", "reboot"),
    [("always", True, True), ("unless-stopped", True, True), ("on-failure", False, False), ("no", False, False)],
)
def test_what_was_killed_is_started_by_its_policy(
    pod: Pod, busybox: str, policy: str, login: bool, reboot: bool
) -> None:
    sleeping(pod, busybox, "subject", policy)
    assert pod("system", "autostart").ok() == ""  # it runs
    supervisor_killed(pod, "subject")
    assert pod("system", "autostart").ok() == ("subject\n" if login else "")
    assert pod.state("subject")["Running"] is login
    pod("start", "subject").ok()
    supervisor_killed(pod, "subject")
    change(pod, "subject", boot="11111111-2222-3333-4444-555555555555", status="running")
    assert pod("system", "autostart").ok() == ("subject\n" if reboot else "")
    assert pod.state("subject")["Running"] is reboot


@pytest.mark.parametrize(("policy", "reboot"), [("always", True), ("unless-stopped", False)])
def test_what_the_user_stopped_stays_so_in_this_boot(pod: Pod, busybox: str, policy: str, reboot: bool) -> None:
    sleeping(pod, busybox, "subject", policy)
    pod("stop", "-t", "0", "subject").ok()
    assert pod("system", "autostart").ok() == ""
    change(pod, "subject", boot="11111111-2222-3333-4444-555555555555")
    assert pod("system", "autostart").ok() == ("subject\n" if reboot else "")


def test_what_never_ran_and_what_ran_elsewhere_is_left_alone(pod: Pod, busybox: str) -> None:
    pod("create", "--name", "fresh", "--restart", "always", busybox, "true").ok()
    sleeping(pod, busybox, "other", "always")
    supervisor_killed(pod, "other")
    change(pod, "other", hostname="another-node")
    assert pod("system", "autostart").ok() == ""


def test_one_that_cannot_be_started_hides_no_other(pod: Pod, busybox: str) -> None:
    for name in ("first", "second"):
        sleeping(pod, busybox, name, "always")
    folder = record(pod, "first").parent
    for name in ("first", "second"):
        supervisor_killed(pod, name)
    config = json.loads((folder / "config.json").read_text())
    config["Path"] = "/no/such/program"
    (folder / "config.json").write_text(json.dumps(config))
    done = pod("system", "autostart")
    assert (done.code, done.out) == (1, "second\n")
    assert sum(line.startswith("pod: ") for line in done.err.splitlines()) == 1


def test_two_at_once_start_each_once(pod: Pod, busybox: str) -> None:
    names = ["a1", "b1", "c1"]
    for name in names:
        sleeping(pod, busybox, name, "always")
    for name in names:
        supervisor_killed(pod, name)
    clients = [pod.start("system", "autostart") for _ in range(2)]
    outputs = [client.communicate(timeout=60) for client in clients]
    assert [client.returncode for client in clients] == [0, 0], outputs
    assert sorted(b"".join(out for out, _ in outputs).decode().split()) == names


def test_crontab_line_runs_in_crons_environment(pod: Pod, busybox: str) -> None:
    sleeping(pod, busybox, "subject", "always")
    supervisor_killed(pod, "subject")
    line = pod("system", "autostart", "--crontab").ok()
    assert line.startswith("@reboot ")
    assert line.endswith(" system autostart\n")
    assert line.count("\n") == 1
    command = line[len("@reboot ") :].strip().replace("\\%", "%")
    environ = {"HOME": str(pod.home), "PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "somebody"}
    done = subprocess.run(["/bin/sh", "-c", command], env=environ, capture_output=True, timeout=120, check=False)
    assert (done.returncode, done.stdout) == (0, b"subject\n"), done
    assert pod.state("subject")["Running"]


def test_unit_is_printed_where_there_is_systemd(pod: Pod) -> None:
    done = pod("system", "autostart", "--systemd")
    if not Path("/run/systemd/system").is_dir():
        done.failed(1, "there is no systemd on this host", "--crontab")
        return
    assert "\nExecStart=" in done.ok()
    assert f'Environment="POD_ROOT={pod.root}"\n' in done.out


def test_crontab_and_unit_exclude_each_other(pod: Pod) -> None:
    pod("system", "autostart", "--crontab", "--systemd").failed(125, "conflicting options")
