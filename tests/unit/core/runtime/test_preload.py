"""Where the library of root emulation is, and the layer that names it."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

import pytest

from pod import ext
from pod.core.engine import Engine
from pod.core.runtime import launch

HEADER = Path(__file__).parents[4] / "ext/src/core/page.h"


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    (tmp_path / "ext").mkdir()
    for name in ("pod-helper", "pod-root.so"):
        (tmp_path / "ext" / name).write_bytes(b"")
    monkeypatch.setattr(ext, "__path__", [str(tmp_path / "ext")])
    (tmp_path / "store/cache").mkdir(parents=True)
    return Engine({"POD_ROOT": str(tmp_path / "store"), "HOME": str(tmp_path)})


def test_preloaded_when_asked_then_library_and_a_tree_that_names_it(engine: Engine, tmp_path: Path) -> None:
    old = os.umask(0o077)
    try:
        library, tree = launch.preloaded(engine)
    finally:
        os.umask(old)
    assert library == str(tmp_path / "ext/pod-root.so")
    files = sorted(str(path.relative_to(tree)) for path in Path(tree).rglob("*"))
    assert files == ["etc", "etc/ld.so.preload"]
    named = re.search(r'POD_PAGE_LIBRARY "(.*)"', HEADER.read_text())
    assert named
    assert Path(tree, "etc/ld.so.preload").read_text() == named[1] + "\n"
    modes = [stat.S_IMODE(os.stat(tree + name).st_mode) for name in ("", "/etc", "/etc/ld.so.preload")]
    assert modes == [0o755, 0o755, 0o644]
    assert launch.preloaded(engine) == [library, tree]
    assert os.listdir(tmp_path / "store/cache") == ["preload"]


def test_preloaded_when_the_build_has_no_library_then_none(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "ext/pod-root.so").unlink()
    assert launch.preloaded(engine) == []


@pytest.mark.not_root
def test_preloaded_when_the_store_cannot_be_written_then_none(engine: Engine, tmp_path: Path) -> None:
    (tmp_path / "store/cache").chmod(0o500)
    assert launch.preloaded(engine) == []


def test_preloaded_when_another_was_faster_then_its_tree(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    rename = os.rename

    def raced(source: str, target: str) -> None:
        os.makedirs(target + "/etc")
        Path(target, "etc/ld.so.preload").write_text("theirs")
        rename(source, target)

    monkeypatch.setattr(os, "rename", raced)
    _, tree = launch.preloaded(engine)
    assert Path(tree, "etc/ld.so.preload").read_text() == "theirs"
    assert os.listdir(os.path.dirname(tree)) == ["preload"]
