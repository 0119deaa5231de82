"""core/image/patterns against the rules of Go's path.Match."""

from __future__ import annotations

import time

import pytest

from pod.core.image.patterns import BadPattern, Pattern
from pod.core.oci import reference as references


@pytest.mark.parametrize(
    ("pattern", "text", "expected"),
    [
        ("abc", "abc", True), ("*", "abc", True), ("*c", "abc", True), ("a*", "a", True), ("a*", "ab/c", False),
        ("a*/b", "abc/b", True), ("a*/b", "a/c/b", False), ("a*b*c*d*e*/f", "axbxcxdxe/f", True),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/f", True), ("a*b*c*d*e*/f", "axbxcxdxe/xxx/f", False),
        ("a*b*c*d*e*/f", "axbxcxdxexxx/fff", False), ("a*b?c*x", "abxbbxdbxebxczzx", True),
        ("a*b?c*x", "abxbbxdbxebxczzy", False), ("ab[c]", "abc", True), ("ab[b-d]", "abc", True),
        ("ab[e-g]", "abc", False), ("ab[^c]", "abc", False), ("ab[^e-g]", "abc", True), ("a\\*b", "a*b", True),
        ("a\\*b", "ab", False), ("a?b", "a☺b", True), ("a[^a]b", "a☺b", True), ("a???b", "a☺b", False),
        ("[a-ζ]*", "α", True), ("*[a-ζ]", "A", False), ("a?b", "a/b", False), ("a*b", "a/b", False),
        ("[\\]a]", "]", True), ("[\\-]", "-", True), ("[x\\-]", "x", True), ("[x\\-]", "z", False),
        ("[\\-x]", "a", False), ("*x", "xxx", True), ("[z-a]", "m", False), ("", "", True), ("", "x", False),
        ("**", "ab", True), ("a]", "a]", True),
    ],
)  # fmt: skip
def test_matches_as_gos_path_match(pattern: str, text: str, expected: bool) -> None:
    assert Pattern(pattern).matches(text) is expected


@pytest.mark.parametrize(
    "pattern", ["[", "[a", "[]a]", "[-]", "[x-]", "[-x]", "[a-b-c]", "[^", "[^bc", "a[", "a\\", "[a-"]
)
def test_pattern_when_gos_bad_pattern_then_refused(pattern: str) -> None:
    with pytest.raises(BadPattern, match="syntax error in pattern"):
        Pattern(pattern)


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("busybox", True), ("busybox:1*", True), ("*:1.36", True), ("library/busybox", False),
        ("docker.io/library/busybox", True), ("docker.io/*/busybox:1.36", True), ("*/*/busybox", False),
    ],
)  # fmt: skip
def test_matches_name_as_people_write_it(pattern: str, expected: bool) -> None:
    assert Pattern(pattern).matches_name(references.parse("busybox:1.36")) is expected


def test_matches_when_many_stars_then_quick() -> None:
    start = time.monotonic()
    assert not Pattern("*a" * 200 + "b").matches("a" * 1000)
    assert time.monotonic() - start < 2
