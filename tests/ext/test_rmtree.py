"""Trees that do not want to go."""

from __future__ import annotations

import contextlib
import os
import subprocess
import threading

import pytest

from pod.ext import layer
from pod.ext.errors import StepError


@pytest.fixture
def parent(tmp_path):
    fd = os.open(tmp_path, os.O_RDONLY)
    yield fd
    # What a failed test leaves is too deep for pytest's own clean-up, which would then fail for every later run.
    subprocess.run(["rm", "-rf", str(tmp_path / "t")], check=False, timeout=60)
    os.close(fd)


def test_rmtree_when_modes_shut_directories_then_removes_them(tmp_path, parent):
    (tmp_path / "t/a/b").mkdir(parents=True)
    (tmp_path / "t/a/b/f").write_text("x")
    for path, mode in (("t/a/b", 0o400), ("t/a", 0o100), ("t", 0)):
        os.chmod(tmp_path / path, mode)
    layer.rmtree(parent, "t")
    assert os.listdir(tmp_path) == []


def test_rmtree_when_tree_is_deeper_than_descriptors_then_removes_it(tmp_path, parent):
    os.mkdir(tmp_path / "t")
    fd = os.open(tmp_path / "t", os.O_RDONLY)
    for depth in range(3000):
        os.mkdir("d", dir_fd=fd)
        if depth % 100 == 0:
            os.close(os.open("f", os.O_CREAT | os.O_WRONLY, dir_fd=fd))
        below = os.open("d", os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = below
    os.close(fd)
    layer.rmtree(parent, "t")
    assert os.listdir(tmp_path) == []


def test_rmtree_when_there_are_many_directories_then_removes_all(tmp_path, parent):
    for number in range(1500):
        os.makedirs(tmp_path / f"t/{number}/x")
    (tmp_path / "t/.pod-rm-0").write_text("in the way")
    layer.rmtree(parent, "t")
    assert os.listdir(tmp_path) == []


def test_rmtree_when_there_are_links_then_their_targets_stay(tmp_path, parent):
    (tmp_path / "kept").mkdir()
    (tmp_path / "kept/f").write_text("x")
    (tmp_path / "t").mkdir()
    os.symlink(tmp_path / "kept", tmp_path / "t/l")
    os.symlink("kept", tmp_path / "top")
    layer.rmtree(parent, "t")
    layer.rmtree(parent, "top")
    assert os.listdir(tmp_path) == ["kept"]
    assert os.listdir(tmp_path / "kept") == ["f"]


@pytest.mark.parametrize("kind", ["file", "fifo", "missing"])
def test_rmtree_when_name_is_no_directory_then_removes_it(tmp_path, parent, kind):
    if kind == "file":
        (tmp_path / "x").write_text("x")
    elif kind == "fifo":
        os.mkfifo(tmp_path / "x")
    layer.rmtree(parent, "x")
    assert os.listdir(tmp_path) == []


def test_rmtree_when_two_remove_the_same_tree_then_both_succeed(tmp_path, parent):
    for number in range(300):
        os.makedirs(tmp_path / f"t/{number}/x/y")
    other = threading.Thread(target=layer.rmtree, args=(parent, "t"))
    other.start()
    layer.rmtree(parent, "t")
    other.join()
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("name", ["", ".", "..", "a/b", "/"])
def test_rmtree_when_name_is_a_path_then_refuses(parent, name):
    with pytest.raises(ValueError, match="name of an entry"):
        layer.rmtree(parent, name)


def test_rmtree_when_parent_forbids_it_then_says_so(tmp_path, parent):
    if os.getuid() == 0:
        pytest.skip("capability not_root: the suite runs as root")
    (tmp_path / "t/x").mkdir(parents=True)
    os.chmod(tmp_path, 0o500)
    with pytest.raises(StepError) as caught:
        layer.rmtree(parent, "t")
    os.chmod(tmp_path, 0o700)
    assert (caught.value.step, caught.value.path) == ("UNLINK", "t")


def test_rmtree_when_somebody_fills_the_tree_meanwhile_then_ends(tmp_path, parent):
    (tmp_path / "t/a").mkdir(parents=True)
    stop = threading.Event()

    def fill() -> None:
        number = 0
        while not stop.is_set() and number < 3000:
            number += 1
            try:
                os.makedirs(tmp_path / f"t/a/{number}/b")
            except OSError:
                continue

    thread = threading.Thread(target=fill)
    thread.start()
    try:
        with contextlib.suppress(StepError):
            layer.rmtree(parent, "t")
    finally:
        stop.set()
        thread.join()
    layer.rmtree(parent, "t")
    assert os.listdir(tmp_path) == []
