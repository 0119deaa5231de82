"""system reset: all that is pod's goes, nothing else; also what was left half done, and what nobody may read."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pod.core import storedir
from pod.core.system import reset
from tests.support import leaks, places
from tests.support.podcli import Pod, until


def run_directory(pod: Pod) -> Path:
    return Path(os.readlink(pod.run_pointer()))


def test_reset_where_no_store_is_touches_nothing(offline_pod: Pod) -> None:
    offline_pod.root.mkdir()
    (offline_pod.root / "blobs").mkdir()
    (offline_pod.root / "blobs/mine").write_text("x")
    offline_pod("system", "reset", "-f").failed(1, "there is no store of pod's (no file VERSION)")
    (offline_pod.root / "VERSION").symlink_to("/etc/hostname")
    offline_pod("system", "reset", "-f").failed(1, "there is no store")
    (offline_pod.root / "VERSION").unlink()
    (offline_pod.root / "VERSION").write_text("99\n")
    offline_pod("system", "reset", "-f").failed(1, "its format is 99")
    assert (offline_pod.root / "blobs/mine").read_text() == "x"


def test_reset_asks_and_leaves_what_is_not_pod_s(offline_pod: Pod, tmp_path: Path) -> None:
    offline_pod("volume", "create", "kept").ok()
    (offline_pod.root / "mine").write_text("x")
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere/file").write_text("x")
    result = offline_pod("system", "reset", stdin=b"n\n")
    assert result.code == 0
    assert result.out.startswith(f"WARNING! This will remove the store {offline_pod.root}:\n  - all containers\n")
    assert result.out.endswith("Are you sure you want to continue? [y/N] ")
    assert offline_pod("volume", "ls", "-q").ok() == "kept\n"
    (offline_pod.root / "volumes/kept/_data/out").symlink_to(tmp_path / "elsewhere")
    (offline_pod.root / "refs").rmdir()
    (offline_pod.root / "refs").symlink_to(tmp_path / "elsewhere")
    (offline_pod.root / "trash/planted").symlink_to(tmp_path / "elsewhere")
    result = offline_pod("system", "reset", stdin=b"y\n")
    assert result.code == 0
    assert result.err == f"WARNING: {offline_pod.root}/mine is none of pod's and stays\n"
    assert sorted(os.listdir(offline_pod.root)) == ["mine"]
    assert (tmp_path / "elsewhere/file").read_text() == "x"
    assert offline_pod("volume", "ls", "-q").ok() == ""


@pytest.mark.alike
def test_reset_knows_every_folder_of_the_store() -> None:
    text = (places.REPOSITORY / "core/paths.py").read_text()
    named = set(re.findall(r'self\.root \+ "/([a-z]+)', text))
    assert {"blobs", "trash", "volumes"} < named
    assert named == set(reset.FOLDERS)


def test_reset_of_a_folder_where_the_trash_is_a_link(offline_pod: Pod, tmp_path: Path) -> None:
    offline_pod("volume", "create", "kept").ok()
    (offline_pod.root / "trash").rmdir()
    (offline_pod.root / "trash").symlink_to(tmp_path)
    (tmp_path / "file").write_text("x")
    offline_pod("system", "reset", "-f").ok()
    assert not offline_pod.root.exists()
    assert os.listdir(tmp_path) == ["file"]


def test_reset_of_a_store_with_trash_leaves_nobody_behind_who_empties_it(offline_pod: Pod, tmp_path: Path) -> None:
    """Such a one makes folders that the reset has just removed: seen when it was slower than the reset."""
    if shutil.which("strace") is None:
        pytest.skip("capability strace: not installed")
    offline_pod("volume", "create", "kept").ok()
    (offline_pod.root / "trash/left").mkdir()
    trace = tmp_path / "trace"
    command = ["strace", "-f", "-e", "trace=setsid", "-o", str(trace), *offline_pod.argv("system", "reset", "-f")]
    subprocess.run(command, env=offline_pod.environ(), capture_output=True, timeout=60, check=True)
    assert "exited with" in trace.read_text()
    assert "setsid" not in trace.read_text()
    assert not offline_pod.root.exists()


@pytest.mark.docker_registry
@pytest.mark.image("busybox:latest")
def test_reset_ends_what_runs_and_takes_files_of_all_ids_and_modes(fresh_pod: Pod) -> None:
    image = fresh_pod.image("busybox:latest")
    script = (
        "mkdir -p /v/a/b /a/b && touch /v/a/b/x /a/b/x && chown -R 33:33 /v/a /a && chmod 000 /v/a/b /v/a /a/b /a; "
        "mkdir /v/deep && cd /v/deep && for i in $(seq 60); do mkdir d && cd d; done; sleep 1000"
    )
    for name in ("one", "two"):
        fresh_pod("run", "-d", "--name", name, "--restart", "always", "-v", "vol:/v", image, "sh", "-c", script).ok()
    fresh_pod("run", "-d", "--name", "paused", "--network", "none", image, "sleep", "1000").ok()
    fresh_pod("pause", "paused").ok()
    pids = [fresh_pod.state(name)["Pid"] for name in ("one", "two", "paused")]
    run = run_directory(fresh_pod)
    asked = fresh_pod("system", "reset", stdin=b"")
    assert "3 running containers will be killed.\n" in asked.out
    fresh_pod("system", "reset", "-f").ok()
    assert not fresh_pod.root.exists()
    assert not run.exists()
    assert not [pid for pid in pids if os.path.exists(f"/proc/{pid}")]
    assert not leaks.settled(fresh_pod.root)
    assert fresh_pod("pull", "-q", image).ok()
    assert fresh_pod("run", "--rm", "--network", "none", image, "echo", "works").ok() == "works\n"


@pytest.mark.docker_registry
@pytest.mark.image("busybox:latest")
def test_reset_refuses_while_a_container_runs_elsewhere(fresh_pod: Pod) -> None:
    image = fresh_pod.image("busybox:latest")
    fresh_pod("run", "--name", "far", "--network", "none", image, "true").ok()
    file = next((fresh_pod.root / "containers").glob("*/state.json"))
    state = json.loads(file.read_text())
    file.write_text(json.dumps({**state, "status": "running", "hostname": "another", "machine": "m"}))
    for flags, stdin in (((), b"y\n"), (("-f",), None)):
        fresh_pod("system", "reset", *flags, stdin=stdin).failed(1, "containers run elsewhere: far (on another)")
    assert fresh_pod("images", "-q").ok()
    file.write_text(json.dumps(state))


@pytest.mark.docker_registry
@pytest.mark.image("busybox:latest")
def test_reset_that_was_killed_is_finished_by_the_next_and_the_store_works_in_between(fresh_pod: Pod) -> None:
    image = fresh_pod.image("busybox:latest")
    for pause in (0.1, 0.2, 0.25, 0.3, 0.35, 0.4):
        fresh_pod("pull", "-q", image).ok()
        fresh_pod("create", "--name", "box", image).ok()
        process = fresh_pod.start("system", "reset", "-f")
        time.sleep(pause)
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        process.send_signal(signal.SIGKILL)
        process.wait(10)
        # A child that removes a tree is at work for an instant longer.
        until(lambda children=children: not any(os.path.exists(f"/proc/{pid}") for pid in children), 10, "its children")
        listed = fresh_pod("ps", "-aq")
        assert listed.code == 0, listed
        left = listed.out.split()
        if left:
            fresh_pod("rm", *left).ok()
    fresh_pod("pull", "-q", image).ok()
    fresh_pod("system", "reset", "-f").ok()
    assert not fresh_pod.root.exists()


def test_reset_that_was_killed_at_its_end_leaves_no_mark_in_the_next_store(offline_pod: Pod) -> None:
    (offline_pod.root / "containers").mkdir(0o700, parents=True)  # the folder of names went before it
    (offline_pod.root / storedir.LEAVING).write_text("1\n")
    offline_pod("ps", "-a").ok()
    offline_pod("volume", "create", "new").ok()
    assert (offline_pod.root / "VERSION").exists()
    assert not (offline_pod.root / storedir.LEAVING).exists()
    offline_pod("system", "reset", "-f").ok()
    assert not offline_pod.root.exists()


def test_reset_of_what_may_not_be_written(offline_pod: Pod) -> None:
    offline_pod("volume", "create", "shut").ok()
    folder = offline_pod.root / "volumes/shut"
    (folder / "_data/x").write_text("x")
    (folder / "_data").chmod(0)
    folder.chmod(0)
    offline_pod.root.joinpath("images").chmod(0o500)
    offline_pod("system", "reset", "-f").ok()
    assert not offline_pod.root.exists()


def test_reset_names_what_it_cannot_remove_and_goes_on_next_time(offline_pod: Pod) -> None:
    offline_pod("volume", "create", "held").ok()
    data = offline_pod.root / "volumes/held/_data"
    script = f"mount -t tmpfs none {data} && touch {data}/x && exec \"$@\""  # what is mounted cannot be removed
    argv = ["unshare", "-Urm", "--", "sh", "-c", script, "sh", *offline_pod.argv("system", "reset", "-f")]
    done = subprocess.run(argv, env=offline_pod.environ(), capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1, done
    assert "1 of its parts could not be removed" in done.stderr
    assert "WARNING: " in done.stderr
    assert offline_pod("volume", "ls", "-q").ok() == ""
    offline_pod("system", "reset", "-f").ok()
    assert not offline_pod.root.exists()
