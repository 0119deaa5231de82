"""Folders that others prepared, odd umasks, variables that lead astray, and a store that was tampered with."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pod.core.errors import ConfigError
from pod.core.registry import credentials
from tests.support.podcli import Pod, Result

SHUT = 0o40700


def in_shell(pod: Pod, before: str, *words: str, **variables: str) -> Result:
    """pod after a line of shell."""
    argv = ["sh", "-c", f'{before}; exec "$@"', "sh", *pod.argv(*words)]
    env = pod.environ(variables)
    done = subprocess.run(
        argv, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False
    )
    return Result(list(words), done.returncode, done.stdout, done.stderr)


@pytest.mark.alike
@pytest.mark.parametrize("umask", ["000", "777"])
def test_store_and_run_directory_are_shut_whatever_the_umask(fresh_pod: Pod, umask: str) -> None:
    for words in (("volume", "create", "data"), ("info",)):
        in_shell(fresh_pod, f"umask {umask}", *words).ok()
    run_dir = os.readlink(fresh_pod.run_pointer())
    for top in (fresh_pod.root, Path(run_dir)):
        assert top.stat().st_mode == SHUT
        for path in top.iterdir():
            assert path.stat().st_mode in (SHUT, 0o100600, 0o100644), path
            assert path.is_file() or path.stat().st_mode == SHUT, path


@pytest.mark.parametrize("umask", ["000", "777"])
def test_start_when_the_umask_is_odd_then_programs_have_their_own(pod: Pod, busybox: str, umask: str) -> None:
    script = "umask; touch /f; mkdir /d; stat -c %a /f /d /etc/hosts /tmp"
    told = in_shell(pod, f"umask {umask}", "run", "--rm", busybox, "sh", "-c", script).ok()
    assert told == "0022\n644\n755\n644\n1777\n"


TRAPS = ("missing", "file", "fifo", "shut", "loop", "relative")


@pytest.mark.alike
@pytest.mark.parametrize("trap", TRAPS)
def test_start_when_variables_lead_astray_then_it_works(fresh_pod: Pod, tmp_path: Path, trap: str) -> None:
    place = tmp_path / "place"
    if trap == "file":
        place.write_text("")
    elif trap == "fifo":
        os.mkfifo(place)
    elif trap == "shut":
        place.mkdir(mode=0)
    elif trap == "loop":
        place.symlink_to(place)
    value = "../place" if trap == "relative" else str(place)
    variables = dict.fromkeys(("TMPDIR", "XDG_RUNTIME_DIR", "POD_RUN_DIR", "XDG_CONFIG_HOME", "DOCKER_CONFIG"), value)
    fresh_pod("volume", "create", "data", env=variables, timeout=30).ok()
    result = fresh_pod("info", env=variables, timeout=30)
    if trap == "loop":  # whether there is a configuration cannot be known
        result.failed(125, "Too many levels of symbolic links")
    else:
        result.ok()


@pytest.mark.alike
@pytest.mark.parametrize("trap", ["fifo", "held fifo", "folder", "socket"])
def test_login_when_an_auth_file_is_no_file_then_nothing_waits(tmp_path: Path, trap: str) -> None:
    place = tmp_path / "containers/auth.json"
    place.parent.mkdir()
    holder = -1
    if trap == "folder":
        place.mkdir()
    elif trap == "socket":
        os.mknod(place, 0o140600)
    else:
        os.mkfifo(place)
        holder = os.open(place, os.O_RDWR) if trap == "held fifo" else -1
    said = ""
    signal.alarm(10)
    try:
        assert credentials.find("example.org", "x", {"XDG_RUNTIME_DIR": str(tmp_path)}) is None
    except ConfigError as error:
        said = error.message
    finally:
        signal.alarm(0)
        if holder >= 0:
            os.close(holder)
    assert str(place) in said if trap != "fifo" else not said  # a FIFO without a writer is as good as empty


@pytest.fixture
def strangers(pod: Pod, attacking: str) -> Iterator[Path]:
    """A folder like /tmp, in which another user (another id of the range) has made a store and a home."""
    folder = pod.base / "everyones"
    folder.mkdir()
    folder.chmod(0o1777)
    script = (
        "umask 0; mkdir -p /t/store/containers /t/home/.config/pod; echo 1 >/t/store/VERSION;"
        " echo 'dns = [\"9.9.9.9\"]' >/t/home/.config/pod/pod.toml"
    )
    words = ("-u", "1000", "-v", f"{folder}:/t", attacking, "sh", "-c")
    pod("run", "--rm", *words, script).ok()
    assert (folder / "store").stat().st_uid != os.getuid()
    yield folder
    pod("run", "--rm", *words, "rm -rf /t/store /t/home").ok()
    folder.rmdir()


@pytest.mark.sub_ids
def test_store_when_another_user_made_it_in_tmp_then_refused(pod: Pod, strangers: Path) -> None:
    for root in (strangers / "store", strangers / "store/below"):
        for words in (("ps", "-a"), ("images",), ("volume", "create", "xx"), ("run", "--rm", "x")):
            pod("--root", str(root), *words).failed(125, "others can change what lies there", "POD_ROOT")
    assert sorted(path.name for path in (strangers / "store").iterdir()) == ["VERSION", "containers"]


@pytest.mark.sub_ids
def test_configuration_when_another_user_made_it_in_tmp_then_refused(pod: Pod, busybox: str, strangers: Path) -> None:
    home = {"HOME": str(strangers / "home")}
    pod("run", "--rm", busybox, "true", env=home).failed(125, "others can change what lies there", "XDG_CONFIG_HOME")
    pod("run", "--rm", busybox, "true", env={"HOME": str(strangers / "missing")}).ok()


def _tampered(path: Path) -> bytes:
    """Changes one byte and leaves the size; returns what it was."""
    data = path.read_bytes()
    path.chmod(0o600)
    path.write_bytes(data[:-3] + bytes([data[-3] ^ 1]) + data[-2:])
    return data


@pytest.mark.alike
def test_store_when_an_images_configuration_was_tampered_with_then_nothing_starts(pod: Pod, busybox: str) -> None:
    pod("run", "--rm", busybox, "true").ok()
    record = json.loads(pod("image", "inspect", busybox).ok())[0]
    path = pod.root / "blobs/sha256" / record["Id"][7:]
    data = _tampered(path)
    try:
        pod("run", "--rm", busybox, "true").failed(125, "its configuration has changed", "pull it again")
        pod("history", busybox).failed(1, "its configuration has changed")
    finally:
        path.write_bytes(data)
    pod("run", "--rm", busybox, "true").ok()


@pytest.mark.alike
@pytest.mark.parametrize("name", ["config.json", "state.json"])
def test_store_when_a_record_was_tampered_with_then_one_line_or_settled(pod: Pod, busybox: str, name: str) -> None:
    pod("create", "--name", "changed", busybox, "true").ok()
    path = pod.root / "containers" / pod.inspect("changed")["Id"] / name
    before = path.read_bytes() if path.exists() else b""
    for text in ("", "[]", '{"version": 1}', '{"status": "running", "exitCode": "x"}'):
        path.write_text(text)
        for words in (("ps", "-a"), ("inspect", "changed")):
            result = pod(*words)
            assert "Traceback" not in result.err, result
            assert "bug in pod" not in result.err, result
    if before:
        path.write_bytes(before)
    else:
        path.unlink()
