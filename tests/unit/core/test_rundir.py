"""The run directory: fresh, private, whatever lies in the way and whatever the umask."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from pod.core import rundir
from pod.core.engine import Engine
from pod.core.errors import HostUnsupported


@pytest.fixture
def base(tmp_path: Path) -> Path:
    folder = tmp_path / "run"
    folder.mkdir()
    return folder


def engine(tmp_path: Path, base: Path) -> Engine:
    return Engine({"POD_RUN_DIR": str(base)}, root=str(tmp_path / "store"))


def pointer(tmp_path: Path) -> Path:
    return tmp_path / "store/cache/run" / rundir.host_identity().key()


@pytest.fixture
def umask() -> Iterator[None]:
    """An umask that takes all but what a start of pod keeps for itself (cli/main)."""
    before = os.umask(0o077)
    yield
    os.umask(before)


def test_open_run_dir_is_private_and_found_again(tmp_path: Path, base: Path, umask: None) -> None:
    first = engine(tmp_path, base).run_dir
    assert os.lstat(first).st_mode == 0o40700
    assert {name: os.lstat(first + "/" + name).st_mode for name in rundir.FOLDERS} == dict.fromkeys(
        rundir.FOLDERS, 0o40700
    )
    assert engine(tmp_path, base).run_dir == first


@pytest.mark.parametrize("mode", [0o755, 0o777, 0o1777, 0o4700, 0o000, 0o600])
def test_open_run_dir_when_its_mode_was_changed_then_another_is_made(tmp_path: Path, base: Path, mode: int) -> None:
    first = engine(tmp_path, base).run_dir
    os.chmod(first, mode)
    second = engine(tmp_path, base).run_dir
    assert second != first
    os.chmod(first, 0o700)


@pytest.mark.parametrize("target", ["/", "/root", "/nowhere", "/etc/passwd", "relative", "/tmp"])
def test_open_run_dir_when_the_pointer_names_what_is_not_ours_then_another_is_made(
    tmp_path: Path, base: Path, target: str
) -> None:
    path = pointer(tmp_path)
    path.parent.mkdir(parents=True)
    path.symlink_to(target)
    made = engine(tmp_path, base).run_dir
    assert made.startswith(str(base) + "/pod-")
    assert os.readlink(path) == made


def test_open_run_dir_when_the_pointer_names_a_link_to_ours_then_another_is_made(tmp_path: Path, base: Path) -> None:
    mine = base / "mine"
    mine.mkdir(0o700)
    (base / "link").symlink_to(mine)
    path = pointer(tmp_path)
    path.parent.mkdir(parents=True)
    path.symlink_to(base / "link")
    assert engine(tmp_path, base).run_dir not in (str(mine), str(base / "link"))


def test_open_run_dir_when_a_cleaner_took_its_folders_then_they_are_made_again(tmp_path: Path, base: Path) -> None:
    first = engine(tmp_path, base).run_dir
    for name in rundir.FOLDERS:
        os.rmdir(first + "/" + name)
    assert engine(tmp_path, base).run_dir == first
    assert sorted(os.listdir(first)) == sorted(rundir.FOLDERS)


def test_open_run_dir_when_a_cleaner_took_it_all_then_another_is_made(tmp_path: Path, base: Path) -> None:
    first = engine(tmp_path, base).run_dir
    for name in rundir.FOLDERS:
        os.rmdir(first + "/" + name)
    os.rmdir(first)
    assert engine(tmp_path, base).run_dir != first


def test_open_run_dir_when_asked_for_a_folder_that_cannot_be_written_then_the_next_is_taken(tmp_path: Path) -> None:
    made = engine(tmp_path, tmp_path / "missing").run_dir
    assert not made.startswith(str(tmp_path / "missing"))
    for name in rundir.FOLDERS:
        os.rmdir(made + "/" + name)
    os.rmdir(made)


def test_fresh_folder_when_nothing_can_be_written_then_host_unsupported(
    tmp_path: Path, base: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: str, mode: int = 0o777) -> None:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(rundir.os, "mkdir", refuse)
    with pytest.raises(HostUnsupported, match=f"{base}: Permission denied; /tmp: "):
        rundir._fresh_folder(engine(tmp_path, base))


def test_host_identity_key_is_one_file_name() -> None:
    key = rundir.HostIdentity("m", "../../a b/ü", "boot", 4).key()
    assert "/" not in key
    assert key.endswith("-boot-4")
    assert rundir.host_identity().pidns == os.stat("/proc/self/ns/pid").st_ino


def _failing(monkeypatch: pytest.MonkeyPatch, name: str, error: int) -> None:
    def fail(*_: object, **__: object) -> int:
        raise OSError(error, os.strerror(error))

    monkeypatch.setattr(os, name, fail)


@pytest.mark.parametrize("error", [errno.EMFILE, errno.EINTR, errno.EIO])
def test_host_when_it_cannot_be_asked_now_then_that_is_no_answer(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    """Another boot's container would be taken for dead, and so would a process that is not there."""
    _failing(monkeypatch, "open", error)
    for ask in (rundir.boot_id, rundir.machine_id, lambda: rundir.process_start(os.getpid())):
        with pytest.raises(OSError, match=os.strerror(error)):
            ask()


@pytest.mark.parametrize("error", [errno.ENOENT, errno.EACCES])
def test_host_when_it_does_not_say_then_nothing(monkeypatch: pytest.MonkeyPatch, error: int) -> None:
    _failing(monkeypatch, "open", error)
    assert (rundir.boot_id(), rundir.machine_id(), rundir.process_start(1)) == ("", "", 0)


def test_boot_id_when_only_closing_fails_then_it_is_what_was_read(monkeypatch: pytest.MonkeyPatch) -> None:
    known = rundir.boot_id()
    assert len(known) == 36
    _failing(monkeypatch, "close", errno.EINTR)
    assert rundir.boot_id() == known
