"""Archives whose links lead out: nothing beside the layer's root may be made, changed or named."""

from __future__ import annotations

import contextlib
import os
import threading

import pytest

from pod.ext.errors import StepError
from tests.ext.unpacking import Jail, file, folder, hardlink, header, symlink, tree, unpack


@pytest.fixture(params=[True, False], ids=["threads", "in line"])
def jail(tmp_path, request):
    made = Jail(tmp_path, threads=request.param)
    yield made
    made.check()


@pytest.mark.parametrize(
    "target", [b"/", b"../../..", b"../outside", b"/../../../..", b"./../../outside/dir/../..", b"../../../../../tmp"]
)
def test_unpack_when_file_follows_symlink_out_then_it_lands_inside(jail, target):
    unpacked = jail.unpack(symlink(b"esc", target) + file(b"esc/pwned", b"x"))
    inside = [name for name, kind in tree(unpacked.root).items() if name.endswith("pwned") and kind == "file x"]
    assert len(inside) == 1


def test_unpack_when_absolute_symlink_names_the_outside_then_its_path_is_made_inside(jail):
    absolute = os.fsencode(jail.outside)
    if len(absolute) > 99:
        pytest.fail("the test's folder is too long for a v7 link")
    unpacked = jail.unpack(symlink(b"esc", absolute) + file(b"esc/secret", b"x"))
    assert tree(unpacked.root)[os.fsdecode(absolute).lstrip("/") + "/secret"] == "file x"


def test_unpack_when_symlink_and_file_come_in_two_layers_then_each_stays_inside(jail):
    unpack(symlink(b"etc", b"/"), jail.base)
    unpacked = jail.unpack(file(b"etc/x", b"new"))
    assert tree(unpacked.root)["x"] == "file new"


def test_unpack_when_symlinks_form_a_loop_then_refuses(jail):
    with pytest.raises(StepError) as caught:
        jail.unpack(symlink(b"a", b"b") + symlink(b"b", b"a") + file(b"a/x"))
    assert (caught.value.step, caught.value.path) == ("TAR_PATH", "a/x")


def test_unpack_when_file_has_the_name_of_a_symlink_then_replaces_the_link(jail):
    unpacked = jail.unpack(symlink(b"s", os.fsencode(jail.outside / "secret")[:99]) + file(b"s", b"mine"))
    assert tree(unpacked.root) == {"s": "file mine"}


@pytest.mark.parametrize("kind", [b"5", b"6", b"3", b"0", b"2"])
def test_unpack_when_any_kind_replaces_a_symlink_then_its_target_is_left_alone(jail, kind):
    unpacked = jail.unpack(symlink(b"s", b"../../outside/secret") + header(b"s", kind, link=b"q", mode=0o700))
    assert tree(unpacked.root)["s"] != "link ../../outside/secret"


@pytest.mark.parametrize("target", [b"../outside/secret", b"../../outside/secret", b"a/../../outside/secret", b".."])
def test_unpack_when_hardlink_leads_up_then_refuses(jail, target):
    with pytest.raises(StepError) as caught:
        jail.unpack(folder(b"a") + hardlink(b"stolen", target))
    assert caught.value.step == "LINK"


def test_unpack_when_hardlink_is_absolute_then_it_is_meant_inside(jail):
    secret = os.fsencode(jail.outside / "secret")[:99]
    with pytest.raises(StepError) as caught:
        jail.unpack(hardlink(b"stolen", secret))
    assert caught.value.step == "LINK"
    unpacked = jail.unpack(file(b"mine", b"m") + hardlink(b"again", b"/mine"))
    assert os.stat(unpacked.root / "again").st_nlink == 2


def test_unpack_when_hardlink_goes_through_a_symlink_out_then_stays_inside(jail):
    with pytest.raises(StepError) as caught:
        jail.unpack(symlink(b"esc", b"../outside") + hardlink(b"stolen", b"esc/secret"))
    assert caught.value.step == "LINK"


def test_unpack_when_hardlink_names_a_symlink_then_the_link_itself_gets_a_name(jail):
    unpacked = jail.unpack(symlink(b"s", b"../outside/secret") + hardlink(b"t", b"s") + file(b"t", b"mine"))
    assert tree(unpacked.root) == {"s": "link ../outside/secret", "t": "file mine"}


def test_unpack_when_file_is_written_over_a_hardlink_then_the_other_name_keeps_its_content(jail):
    unpacked = jail.unpack(file(b"a", b"old") + hardlink(b"b", b"a") + file(b"a", b"new!"))
    assert tree(unpacked.root) == {"a": "file new!", "b": "file old"}


@pytest.mark.parametrize("target", [b"d", b".", b"/", b"missing", b"f/x"])
def test_unpack_when_hardlink_target_is_no_file_then_refuses(jail, target):
    with pytest.raises(StepError) as caught:
        jail.unpack(folder(b"d") + file(b"f") + hardlink(b"h", target))
    assert caught.value.step == "LINK"


def test_unpack_when_hardlink_names_itself_then_nothing_happens(jail):
    assert tree(jail.unpack(file(b"a", b"x") + hardlink(b"a", b"./a")).root) == {"a": "file x"}


def test_unpack_when_directory_becomes_symlink_and_back_then_stays_inside(jail):
    unpacked = jail.unpack(
        folder(b"d")
        + file(b"d/one", b"1")
        + symlink(b"d", b"../../outside")
        + file(b"d/two", b"2")
        + folder(b"d")
        + file(b"d/three", b"3")
    )
    assert tree(unpacked.root) == {
        "outside": "dir",
        "outside/two": "file 2",
        "d": "dir",
        "d/three": "file 3",
    }


def test_unpack_when_another_process_swaps_a_component_then_nothing_leaves_the_root(jail):
    """A directory of the way is exchanged with a link out, as fast as can be, while files go through it."""
    root = jail.base / "diff"
    root.mkdir()
    (root / "d").mkdir()
    os.symlink(jail.outside, root / "away")
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            try:
                os.rename(root / "d", root / "spare")
                os.symlink(jail.outside, root / "d")
                os.unlink(root / "d")
                os.rename(root / "spare", root / "d")
            except OSError:
                continue

    data = b"".join(file(b"d/%d" % i, b"x" * i) + file(b"e%d" % i) for i in range(300))
    for i in range(100):
        data += hardlink(b"d/h%d" % i, b"d/%d" % i) + symlink(b"d/s%d" % i, b"secret") + folder(b"d/dir", mtime=i)
        data += file(b"d/dir/.wh.file") + file(b"d/.wh.secret") + header(b"d/p%d" % i, b"6") + file(b"x%d" % i)
    thread = threading.Thread(target=swap)
    thread.start()
    try:
        for _ in range(10):
            with contextlib.suppress(StepError):
                jail.unpack(data)
    finally:
        stop.set()
        thread.join()
