"""What a known build looks at in a context: everything that a copy of it would show."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable
from pathlib import Path

import pytest

from pod.core.builder import known, known_keep
from pod.core.builder.known import Question


@pytest.fixture
def place(tmp_path: Path) -> Path:
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "b" / "file").write_text("1\n")
    (tmp_path / "a" / "link").symlink_to("b/file")
    (tmp_path / "skipped").mkdir()
    (tmp_path / "skipped" / "file").write_text("1\n")
    return tmp_path


def _retarget(place: Path) -> None:
    (place / "a/link").unlink()
    (place / "a/link").symlink_to("b/elif")


def _rewrite(place: Path) -> None:
    path = place / "a/b/file"
    before = path.stat()
    path.write_text("2\n")
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def _set_attribute(place: Path) -> None:
    try:
        os.setxattr(place / "a", b"user.test", b"1")
    except OSError:
        pytest.skip("capability user-xattrs: this file system has none")


def _to_socket(place: Path) -> None:
    (place / "a/b/file").unlink()
    with socket.socket(socket.AF_UNIX) as one:
        one.bind(str(place / "a/b/file"))


@pytest.mark.parametrize(
    "change",
    [
        _retarget,
        _rewrite,
        _set_attribute,
        _to_socket,
        lambda place: (place / "a/b/file").chmod(0o4755),
        lambda place: (place / "a").chmod(0o711),
        lambda place: (place / "a/b/file").unlink(),
        lambda place: (place / "a/b").rename(place / "a/c"),
        lambda place: (place / "a/b/file").rename(place / "a/file"),
        lambda place: (place / "new").touch(),
        lambda place: (place / "new").mkdir(),
        lambda place: (place / "a/b/hard").hardlink_to(place / "a/b/file") if hasattr(place, "hardlink_to")
        else os.link(place / "a/b/file", place / "a/b/hard"),
    ],
)  # fmt: skip
def test_tree_when_anything_changes_then_it_is_another(place: Path, change: Callable[[Path], object]) -> None:
    before = known.tree(str(place), {"skipped"})
    assert before == known.tree(str(place), {"skipped"})
    change(place)
    assert before != known.tree(str(place), {"skipped"})


def test_tree_when_what_is_skipped_changes_then_it_is_the_same(place: Path) -> None:
    before = known.tree(str(place), {"skipped", "a/b"})
    (place / "skipped" / "more").touch()
    (place / "a" / "b" / "file").write_text("other\n")
    (place / "a" / "passing").touch()
    (place / "a" / "passing").unlink()
    assert before == known.tree(str(place), {"skipped", "a/b"})


def test_tree_of_names_beyond_utf_8_and_with_line_breaks(place: Path) -> None:
    before = known.tree(str(place), set())
    (place / os.fsdecode(b"\xff\xfe\n1 2")).touch()
    assert before != known.tree(str(place), set())


def test_tree_too_large_then_none(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(known, "MAX_ENTRIES", 5)
    assert known.tree(str(place), {"skipped"})
    assert not known.tree(str(place), set())
    deep = place
    for _ in range(known._MAX_DEPTH + 2):
        deep = deep / "d"
        deep.mkdir()
    monkeypatch.undo()
    with pytest.raises(ValueError, match="deep"):
        known.tree(str(place), set())


def test_files_are_told_by_their_bytes_and_links_are_not_followed(place: Path) -> None:
    question = Question(str(place), "", [], [])
    (place / "Dockerfile").write_text("FROM scratch\n")
    before = known.files(question)
    (place / ".dockerignore").write_text("a\n")
    after = known.files(question)
    assert before != after
    (place / ".dockerignore").unlink()
    assert known.files(question) == before
    (place / ".dockerignore").symlink_to("a/b/file")
    with pytest.raises(OSError, match=r"\.dockerignore"):
        known.files(question)
    (place / ".dockerignore").unlink()
    os.mkfifo(place / ".dockerignore")
    with pytest.raises(ValueError, match="plain"):
        known.files(question)
    with pytest.raises(ValueError, match="made up"):
        known.files(Question(str(place), "/proc/self/status", [], []))


def test_question_elsewhere_or_in_other_words_is_another(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    keys = {Question(".", "", [], []).key, Question(".", "x", [], []).key, Question(".", "", [], ["x"]).key}
    monkeypatch.chdir(place)
    keys.add(Question(".", "", [], []).key)
    assert len(keys) == 4
    assert Question(".", "", [], []).key in keys


def test_records_when_there_are_many_then_those_used_last_stay(tmp_path: Path) -> None:
    for number in range(known_keep.MOST + 3):
        path = tmp_path / f"{number}"
        path.touch()
        os.utime(path, (number, number))
    known_keep._prune(str(tmp_path))
    left = sorted(int(path.name) for path in tmp_path.iterdir())
    assert left == list(range(4, known_keep.MOST + 3)), "room for one more"
