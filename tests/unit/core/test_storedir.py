"""The store's folders, marker and version; paths and the engine that carries them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pod.core import paths, storedir
from pod.core.engine import Engine
from pod.core.errors import HostUnsupported, StoreCorrupt
from pod.core.notices import once


def test_prepare_makes_private_folders_and_can_be_repeated(tmp_path: Path) -> None:
    made = paths.Paths(str(tmp_path / "a/b/store"))
    for _ in range(2):
        storedir.prepare(made)
    assert Path(made.version).read_text() == f"{paths.STORE_FORMAT}\n"
    for name in ("", "blobs/sha256", "refs", "images", "layers", "containers", "names", "volumes", "cache", "trash"):
        assert os.stat(f"{made.root}/{name}").st_mode == 0o40700, name


@pytest.mark.parametrize("content", ["2\n", "\n", "x", "-1", "²", "1.5", "99999999999999999999"])
def test_prepare_when_the_format_is_unknown_then_store_corrupt(tmp_path: Path, content: str) -> None:
    made = paths.Paths(str(tmp_path))
    Path(made.version).write_text(content)
    with pytest.raises(StoreCorrupt, match="its format is"):
        storedir.prepare(made)


@pytest.mark.not_root
@pytest.mark.parametrize("root", ["/proc/pod", "/root/pod", "/etc/passwd/pod", "/nowhere/pod", "/dev/null"])
def test_prepare_when_the_store_cannot_be_written_then_the_hint_names_pod_root(root: str) -> None:
    with pytest.raises(HostUnsupported, match=f"make the store: {root}") as caught:
        storedir.prepare(paths.Paths(root))
    assert "POD_ROOT" in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({"POD_ROOT": "/p", "XDG_DATA_HOME": "/x", "HOME": "/tmp"}, "/p"),
        ({"POD_ROOT": "/p/../q/"}, "/q"),
        ({"XDG_DATA_HOME": "/x", "HOME": "/tmp"}, "/x/pod"),
        ({"XDG_DATA_HOME": "relative", "HOME": "/tmp"}, "/tmp/.local/share/pod"),
        ({"HOME": "/tmp"}, "/tmp/.local/share/pod"),
        ({"HOME": "/nowhere"}, f"/var/tmp/pod-{os.getuid()}/data"),
        ({"HOME": "relative"}, f"/var/tmp/pod-{os.getuid()}/data"),
        ({}, f"/var/tmp/pod-{os.getuid()}/data"),
    ],
)
def test_data_root_by_environment(environ: dict[str, str], expected: str) -> None:
    assert paths.data_root(environ) == expected


@pytest.mark.parametrize("name", ["a", "docker.io/library/x:1", "h:5000/a@sha256:0", "%2F", "%252F/:@%", "a%"])
def test_escape_is_one_file_name_and_reversible(name: str) -> None:
    escaped = paths.escape(name)
    assert "/" not in escaped
    assert paths.unescape(escaped) == name


def test_engine_when_a_root_is_given_then_it_wins(tmp_path: Path) -> None:
    assert Engine({"POD_ROOT": "/p"}, root=str(tmp_path)).paths.root == str(tmp_path)
    assert Engine({"POD_ROOT": "/p"}).paths.root == "/p"


def test_engine_makes_nothing_until_asked(tmp_path: Path) -> None:
    Engine({"HOME": str(tmp_path)})
    assert os.listdir(tmp_path) == []


def test_once_says_a_topic_once(tmp_path: Path) -> None:
    told: list[str] = []
    engine = Engine({}, root=str(tmp_path), progress=lambda event, fields: told.append(fields["text"]))
    os.mkdir(engine.paths.cache)
    for topic in ("a", "a", "b"):
        once(engine, topic, topic)
    assert told == ["a", "b"]


def test_once_when_the_cache_cannot_be_written_then_it_is_said_again(tmp_path: Path) -> None:
    told: list[str] = []
    engine = Engine({}, root=str(tmp_path), progress=lambda event, fields: told.append(fields["text"]))
    for _ in range(2):
        once(engine, "a", "a")
    assert told == ["a", "a"]


@pytest.fixture
def everyones(tmp_path: Path) -> Path:
    """A folder like /tmp."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    folder.chmod(0o1777)
    return folder


@pytest.mark.parametrize("deep", ["pod-1/data", "pod-1/a/b/store", "pod-1"])
def test_check_place_when_a_stranger_made_it_then_refused_and_nothing_made(
    everyones: Path, monkeypatch: pytest.MonkeyPatch, deep: str
) -> None:
    (everyones / "pod-1").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    engine = Engine({"POD_ROOT": f"{everyones}/{deep}", "HOME": "/nowhere"})
    with pytest.raises(HostUnsupported, match="others can change what lies there") as caught:
        storedir.prepare(engine.paths)
    assert "POD_ROOT" in (caught.value.hint or "")
    assert list((everyones / "pod-1").iterdir()) == []


def test_check_place_when_a_strangers_link_leads_to_ours_then_refused(
    everyones: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine").mkdir()
    (everyones / "pod-1").symlink_to(tmp_path / "mine")
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(HostUnsupported):
        paths.check_place(f"{everyones}/pod-1/data")


def test_check_place_when_somebody_is_quicker_then_refused(everyones: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was there when the place was looked at."""
    engine = Engine({"POD_ROOT": f"{everyones}/pod-1/data"})
    found = engine.paths
    (everyones / "pod-1").mkdir()
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(HostUnsupported, match="others can change"):
        storedir.prepare(found)
    assert not Path(found.version).exists()


def test_check_place_when_everyone_writes_to_the_store_then_ours_is_shut_and_others_refused(
    everyones: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paths.check_place(str(everyones))
    assert everyones.stat().st_mode & 0o7777 == 0o700
    everyones.chmod(0o1777)
    monkeypatch.setattr(os, "geteuid", lambda: 4242)
    with pytest.raises(HostUnsupported):
        paths.check_place(str(everyones))


@pytest.mark.parametrize("way", ["", "missing/too", "mine", "mine/store", "link/store"])
def test_check_place_when_it_is_ours_then_fine(everyones: Path, way: str) -> None:
    (everyones / "mine").mkdir()
    (everyones / "link").symlink_to(everyones / "mine")
    paths.check_place(f"{everyones}/{way}" if way else str(everyones / "mine"))
