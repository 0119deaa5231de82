"""Which root emulation a container has: what flag, configuration and host make of auto, and where it shows."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.podcli import Pod

FILTERED = Path(__file__).parents[1] / "support/filtered.py"
ASK = "touch /f; chown 5:6 /f; mknod /d c 1 3; stat -c '%n %u:%g %F' /f /d 2>&1; setpriv --reuid=7 sh -c 'id -u'"
FULL = ["/f 5:6 regular empty file", "/d 0:0 character special file", "7"]
BASIC = ["/f 0:0 regular empty file", "stat: cannot statx '/d': No such file or directory", "0"]


def under(pod: Pod, profile: str, *command: str) -> subprocess.CompletedProcess[str]:
    """pod under a filter that it did not make: another engine's, or that of an older kernel."""
    argv = [sys.executable, "-I", str(FILTERED), profile, *pod.argv(*command)]
    return subprocess.run(argv, env=pod.environ(), capture_output=True, text=True, timeout=60, check=False)


@pytest.fixture
def started(pod: Pod) -> Iterator[str]:
    """The name for a detached container, removed afterwards."""
    yield "mode"
    pod("rm", "-f", "mode")


def shown(pod: Pod, name: str) -> str:
    """What inspect tells."""
    mode: str = pod.inspect(name)["HostConfig"]["RootEmulation"]
    return mode


@pytest.mark.sub_ids
def test_mode_when_ids_are_real_then_none_whatever_is_asked_for(pod: Pod, started: str) -> None:
    pod("create", "--name", started, "--root-emulation=full", pod.image("debian:12"), "true").ok()
    assert shown(pod, started) == ""
    assert "root-emulation" not in pod("info", "--format", "{{json .SecurityOptions}}").ok()
    assert "root emulation" not in pod("doctor").ok()


@pytest.mark.no_sub_ids
def test_auto_when_nothing_is_asked_for_then_full_and_shown(pod: Pod, started: str) -> None:
    pod("run", "-d", "--name", started, pod.image("debian:12"), "sleep", "300").ok()
    assert shown(pod, started) == "full"
    record = pod.root / "containers" / pod.inspect(started)["Id"] / "state.json"
    assert json.loads(record.read_text())["rootEmulation"] == "full"
    assert pod("exec", started, "sh", "-c", ASK).ok().splitlines() == FULL
    assert "root emulation=ok=full" in pod("doctor", "--format", "{{.Name}}={{.Level}}={{.Value}}").ok().splitlines()
    assert "name=root-emulation,mode=full" in json.loads(pod("info", "--format", "{{json .SecurityOptions}}").ok())


@pytest.mark.no_sub_ids
def test_basic_when_asked_for_then_done_is_said_and_nothing_kept(pod: Pod, started: str) -> None:
    image = pod.image("debian:12")
    pod("run", "-d", "--name", started, "--root-emulation=basic", image, "sleep", "300").ok()
    assert shown(pod, started) == "basic"
    assert pod("exec", started, "sh", "-c", ASK).ok().splitlines() == BASIC
    assert pod("exec", "-u", "1000:1001", started, "id", "-u").ok() == "1000\n"
    assert pod("run", "--rm", "--root-emulation=basic", "-u", "1000", image, "id", "-u").ok() == "1000\n"


@pytest.mark.no_sub_ids
def test_off_when_asked_for_then_the_kernel_answers(pod: Pod, started: str) -> None:
    pod("run", "-d", "--name", started, "--root-emulation=off", pod.image("debian:12"), "sleep", "300").ok()
    assert shown(pod, started) == "off"
    done = pod("exec", started, "chown", "5:6", "/etc/issue")
    assert (done.code, "Invalid argument" in done.err) == (1, True), done


@pytest.mark.no_sub_ids
def test_configuration_when_it_names_a_mode_then_taken_unless_a_flag_does(pod: Pod, started: str) -> None:
    file = pod.base / "emulation.toml"
    file.write_text('root-emulation = "basic"\n')
    env = {"POD_CONFIG": str(file)}
    image = pod.image("debian:12")
    for flags, mode in (((), "basic"), (("--root-emulation=auto",), "full"), (("--root-emulation=off",), "off")):
        pod("create", "--name", started, *flags, image, "true", env=env).ok()
        assert shown(pod, started) == mode
        pod("rm", started).ok()
    assert "mode=basic" in pod("info", "--format", "{{json .SecurityOptions}}", env=env).ok()
    assert "the configuration asks for basic" in pod("doctor", env=env).ok()


def test_configuration_when_the_mode_is_none_then_the_line_is_named(pod: Pod, busybox: str) -> None:
    file = pod.base / "bad.toml"
    file.write_text('\nroot-emulation = "best"\n')
    done = pod("run", "--rm", busybox, "true", env={"POD_CONFIG": str(file)})
    text = done.failed(125, "bad.toml:2", "root-emulation")
    assert "best is not one of auto, full, basic, off" in text


@pytest.mark.no_sub_ids
def test_auto_when_another_listener_is_there_then_basic_said_once(fresh_pod: Pod) -> None:
    reason = "this is a container of another pod or engine, which watches calls already"
    image = fresh_pod.image("debian:12")
    first = under(fresh_pod, "watched", "run", "-d", "--name", "mode", image, "sleep", "300")
    assert first.returncode == 0, first
    assert first.stderr.count(reason) == 1
    second = under(fresh_pod, "watched", "run", "--rm", image, "sh", "-c", ASK)
    assert (second.stdout.splitlines(), second.stderr) == (BASIC, "")
    assert reason in under(fresh_pod, "watched", "doctor").stdout
    assert f"Root emulation is basic: {reason}" in under(fresh_pod, "watched", "info").stderr
    # From outside: another host, in a manner of speaking; what runs is as it was started.
    assert fresh_pod("exec", "mode", "sh", "-c", ASK).ok().splitlines() == BASIC
    assert shown(fresh_pod, "mode") == "basic"
    fresh_pod("stop", "-t", "0", "mode").ok()
    assert shown(fresh_pod, "mode") == "full"
    fresh_pod("start", "mode").ok()
    assert fresh_pod("exec", "mode", "sh", "-c", ASK).ok().splitlines()[-1] == "7"


@pytest.mark.no_sub_ids
@pytest.mark.parametrize("call", ["process_vm_readv", "pidfd_getfd"])
def test_auto_when_the_kernel_lacks_a_call_then_basic_with_its_name(offline_pod: Pod, call: str) -> None:
    lines = under(offline_pod, f"deny:{call}", "doctor", "--format", "{{.Name}}={{.Level}}={{.Value}}").stdout
    (line,) = [line for line in lines.splitlines() if line.startswith("root emulation=")]
    what = {"process_vm_readv": "a caller's memory", "pidfd_getfd": "another process's descriptor"}[call]
    assert line == f"root emulation=limit=basic: try: {what}: function not implemented (ENOSYS)"


def test_start_when_the_host_is_known_then_it_is_not_tried_again(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", busybox, "true").ok()
    pointer = pod.run_pointer()
    before = (pointer / "facts").stat().st_mtime_ns
    pod("run", "--rm", pod.image("debian:12"), "true").ok()
    assert (pointer / "facts").stat().st_mtime_ns == before


KEEP_ID = 'id -u; stat -c %u /b; touch /tmp/x /b/x; stat -c "%u:%g" /tmp/x /b/x'


def test_auto_when_the_one_id_is_not_root_then_its_files_are_its_own(pod: Pod, tmp_path: Path) -> None:
    """--userns keep-id: with one id nobody else is there, and what is emulated in full begins with root."""
    own = ["5", "5", "5:6", "5:6"]
    words = ("--userns", "keep-id:uid=5,gid=6", "-v", f"{tmp_path}:/b", pod.image("debian:12"), "sh", "-c", KEEP_ID)
    assert pod("run", "--rm", *words).ok().split() == own
    (tmp_path / "x").unlink()


@pytest.mark.no_sub_ids
@pytest.mark.parametrize("ids", ["uid=5,gid=0", "uid=0,gid=6"])
def test_full_when_the_one_id_is_not_root_then_refused(pod: Pod, busybox: str, ids: str) -> None:
    words = ("--root-emulation=full", "--userns", f"keep-id:{ids}", busybox, "true")
    pod("run", "--rm", *words).failed(125, "keep-id", "--root-emulation=full")
