"""Ignore files and their patterns: the rules of moby/patternmatcher."""

from __future__ import annotations

import pytest

from pod.core.builder.ignore import Ignore, read
from pod.core.errors import PodError

MATCHES = [
    ("**", "file", True),
    ("**", "file/", True),
    ("**/", "file", True),
    ("**", "/", True),
    ("**", "dir/file", True),
    ("**/", "dir/file", True),
    ("**/**", "dir/file", True),
    ("dir/**", "dir/file", True),
    ("dir/**", "dir/dir2/file", True),
    ("**/dir2/*", "dir/dir2/file", True),
    ("**/dir2/**", "dir/dir2/dir2/file", True),
    ("**file", "file", True),
    ("**file", "dir/file", True),
    ("**/file", "dir/file", True),
    ("**file", "dir/dir/file", True),
    ("**/file*", "dir/dir/file.txt", True),
    ("**/file*txt", "dir/dir/file.txt", True),
    ("**/file*.txt", "dir/dir/file.txt", True),
    ("**/file*.txt*", "dir/dir/file.txt", True),
    ("**/**/*.txt", "dir/dir/file.txt", True),
    ("**/**/*.txt2", "dir/dir/file.txt", False),
    ("**/*.txt", "file.txt", True),
    ("**/**/*.txt", "file.txt", True),
    ("a**/*.txt", "a/file.txt", True),
    ("a**/*.txt", "a/dir/file.txt", True),
    ("a/*.txt", "a/dir/file.txt", False),
    ("a/*.txt", "a/file.txt", True),
    ("a/*.txt**", "a/file.txt", True),
    ("a[b-d]e", "ae", False),
    ("a[b-d]e", "ace", True),
    ("a[b-d]e", "aae", False),
    ("a[^b-d]e", "aze", True),
    (".*", ".foo", True),
    (".*", "foo", False),
    ("abc.def", "abcdef", False),
    ("abc.def", "abc.def", True),
    ("abc.def", "abcZdef", False),
    ("abc?def", "abcZdef", True),
    ("abc?def", "abcdef", False),
    ("a\\*b", "a*b", True),
    ("a\\", "a", False),
    ("**/foo/bar", "foo/bar", True),
    ("**/foo/bar", "dir/foo/bar", True),
    ("**/foo/bar", "dir/dir2/foo/bar", True),
    ("abc/**", "abc", False),
    ("abc/**", "abc/def", True),
    ("abc/**", "abc/def/ghi", True),
    ("**/.foo", ".foo", True),
    ("**/.foo", "bar.foo", False),
    ("./bar.*", "bar.d", True),
    ("a(b)c/def", "a(b)c/def", True),
    ("a(b)c/def", "a(b)c/xyz", False),
    ("a.|)$(}+{bc", "a.|)$(}+{bc", True),
    (
        "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
        "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl",
        True,
    ),
    ("dist/*.whl", "dist/proxy.py-2.4.0rc3.dev36+g08acad9-py3-none-any.whl", True),
    ("a\\d", "a5", True),
    ("foo\\bar", "foo\\bar", False),
    ("[[:digit:]]x", "7x", True),
    ("a*", "b/a", False),
    ("*/a", "b/a", True),
    ("docs", "docs/README.md", True),
    ("*", "a/b/c", True),
    ("ä?", "äö", True),
]
"""Most of them from patternmatcher's own list of expectations."""


@pytest.mark.parametrize(("pattern", "path", "expected"), MATCHES)
def test_excluded_when_one_pattern_then_as_moby_matches(pattern: str, path: str, expected: bool) -> None:
    if pattern == "a\\":
        with pytest.raises(PodError, match="syntax error in pattern"):
            Ignore([pattern])
        return
    assert Ignore([pattern]).excluded(path) == expected


ORDERS = [
    (["a", "!a/b"], "a/b", False),
    (["a", "!a/b"], "a/c", True),
    (["!a/b", "a"], "a/b", True),
    (["*", "!src", "src/x"], "src/y", False),
    (["*", "!src", "src/x"], "src/x/z", True),
    (["*", "!*.md", "README*"], "a.md", False),
    (["*.md", "!README*.md", "README-secret.md"], "README-secret.md", True),
    (["docs/**", "!docs/keep"], "docs/keep", False),
    (["!x"], "x", False),
    (["a/b"], "a", False),
    (["*", "!b"], "a/b", True),
    (["**", "!**/b"], "a/b", False),
]


@pytest.mark.parametrize(("patterns", "path", "expected"), ORDERS)
def test_excluded_when_later_patterns_take_back_then_the_last_one_wins(
    patterns: list[str], path: str, expected: bool
) -> None:
    assert Ignore(patterns).excluded(path) == expected


def test_may_hold_when_a_folder_is_excluded_then_only_where_something_is_taken_back() -> None:
    assert Ignore(["node", "!node/a/b"]).may_hold("node")
    assert Ignore(["node", "!node/a/b"]).may_hold("node/a")
    assert not Ignore(["node", "!node/a/b"]).may_hold("other")
    assert not Ignore(["node"]).may_hold("node")
    assert Ignore(["node", "!**/b"]).may_hold("node/deep/er")
    assert Ignore(["*", "!src/**"]).may_hold("src")


def test_read_when_lines_are_as_people_write_them_then_cleaned() -> None:
    raw = b"\xef\xbb\xbf# comment\n  # no comment\n\n /abs/path/ \n./x//y/../z\n! /b \n*\r\n/\n!\n"
    assert read(raw) == ["# no comment", "abs/path", "x/z", "!b", "*", "/", "!"]


@pytest.mark.parametrize("pattern", ["!", "[", "[a-", "a[]", "[z-a]", "\\q", "[[:nothing:]]"])
def test_ignore_when_a_pattern_makes_no_sense_then_it_is_named(pattern: str) -> None:
    with pytest.raises(PodError, match="pattern"):
        Ignore([pattern])


def test_read_when_too_large_then_refused() -> None:
    with pytest.raises(PodError, match="bytes"):
        read(b"a\n" * (1 << 20))
    with pytest.raises(PodError, match="more than 10000"):
        Ignore(["a"] * 10001)
    with pytest.raises(PodError, match="characters"):
        Ignore(["a" * 5000])
