"""Docker's rules of names and slashes, one by one."""

from __future__ import annotations

import pytest

from pod.core.container import cp_paths
from pod.core.errors import PodError


@pytest.mark.parametrize(
    ("argument", "found"),
    [
        ("c:/a", ("c", "/a")),
        ("c:a:b", ("c", "a:b")),
        ("/c:a", ("", "/c:a")),
        ("./c:a", ("", "./c:a")),
        ("a", ("", "a")),
        ("-", ("", "-")),
    ],
)
def test_split_argument_when_a_colon_then_a_container_or_a_path(argument: str, found: tuple[str, str]) -> None:
    assert cp_paths.split_argument(argument) == found


@pytest.mark.parametrize(
    ("path", "found"),
    [
        ("a/b", "/w/a/b"), ("a/", "/w/a/"), ("a/.", "/w/a/."), ("a/./", "/w/a/."), ("/", "/"), (".", "/w/."),
        ("", "/w/."), ("//x//y", "/x/y"), ("../../..", "/"), ("/a/../b/", "/b/"), ("/.", "/."),
    ],
)  # fmt: skip
def test_absolute_when_it_ends_in_slash_or_dot_then_that_stays(path: str, found: str) -> None:
    assert cp_paths.absolute(path, "/w") == found


@pytest.mark.parametrize(
    ("source", "folder", "asked", "exists", "is_folder", "found"),
    [
        ("/s/f", False, "/d", True, True, ("/d", "f")),
        ("/s/f", False, "/d/g", False, False, ("/d", "g")),
        ("/s/f", False, "/g", False, False, ("/", "g")),
        ("/s/f", False, "/d/g", True, False, ("/d", "g")),
        ("/s/t", True, "/d", True, True, ("/d", "t")),
        ("/s/t/", True, "/d", True, True, ("/d", "t")),
        ("/s/t/.", True, "/d", True, True, ("/d", ".")),
        ("/", True, "/d", True, True, ("/d", ".")),
        ("/s/t/.", True, "/d/n", False, False, ("/d", "n")),
        ("/s/t", True, "/d/n/", False, False, ("/d", "n")),
    ],
)
def test_target_when_it_is_there_or_not_then_where_and_under_which_name(
    source: str, folder: bool, asked: str, exists: bool, is_folder: bool, found: tuple[str, str]
) -> None:
    assert cp_paths.target(source, folder, asked, asked, exists, is_folder) == found


@pytest.mark.parametrize(
    ("folder", "asked", "exists", "words"),
    [
        (True, "/f", True, "cannot copy directory"),
        (False, "/n/", False, "no such directory"),
        (False, "/f/", True, "not a directory"),
    ],
)
def test_target_when_it_cannot_be_then_dockers_words(folder: bool, asked: str, exists: bool, words: str) -> None:
    with pytest.raises(PodError, match=words):
        cp_paths.target("/s/x", folder, asked, asked.rstrip("/"), exists, False)
