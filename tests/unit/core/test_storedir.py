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


@pytest.mark.parametrize("content", ["2\n", "", "x", "-1", "²", "1.5", "99999999999999999999"])
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
