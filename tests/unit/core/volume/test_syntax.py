"""-v in Docker's grammar."""

from __future__ import annotations

import pytest

from pod.core.errors import UsageError
from pod.core.volume import syntax


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("/a", ("volume", "", "/a", "")),
        ("/a:/b", ("bind", "/a", "/b", "")),
        ("/a:/b:ro", ("bind", "/a", "/b", "ro")),
        ("/a:/b:rslave,z,cached", ("bind", "/a", "/b", "rslave,z,cached")),
        ("name:/b", ("volume", "name", "/b", "")),
        ("name:/b:nocopy,ro", ("volume", "name", "/b", "nocopy,ro")),
        ("./x:/b", ("bind", "/cwd/x", "/b", "")),
        ("..:/b", ("bind", "/", "/b", "")),
        (".:/b", ("bind", "/cwd", "/b", "")),
        ("/a//b/../c/:/x/./y//", ("bind", "/a/c", "/x/y", "")),
        ("/a:/../../b", ("bind", "/a", "/b", "")),
        ("/proc:/proc", ("bind", "/proc", "/proc", "")),
        ("/lxcfs:/proc/meminfo:ro", ("bind", "/lxcfs", "/proc/meminfo", "ro")),
        ("/a:/processes", ("bind", "/a", "/processes", "")),
    ],
)
def test_parse_volume_when_dockers_form(text: str, expected: tuple[str, str, str, str]) -> None:
    spec = syntax.parse_volume(text, "/cwd")
    assert (spec.kind, spec.source, spec.target, spec.mode) == expected
    assert spec.read_only == ("ro" in expected[3])
    assert spec.copy == ("nocopy" not in expected[3])


@pytest.mark.parametrize(
    "text",
    [
        "", ":", "/a:", ":/a", "/a:ro", "/a:/b:ro,rw", "/a:/b:z,Z", "/a:/b:rshared", "n:/b:rslave", "/a:/b:copy",
        "/a:/b:ro:x", "/a::/b", "a", "a:b", "/a:b:ro", "/a:/b:bogus", "/a:/b:shared", "/",
        "/a:/",
        "/a:/..", "n/x:/b", "-n:/b", "n:/b", "/a:/b:ro,,", "~/x:/b", "/a:/proc", "/a:/proc/sys", "v:/proc", "ä:/b",
        "/proc:/proc/self", "/a:/./proc/../proc/1", "x" * 256 + ":/b",
    ],
)  # fmt: skip
def test_parse_volume_when_it_is_none_then_usage_error(text: str) -> None:
    with pytest.raises(UsageError):
        syntax.parse_volume(text, "/cwd")


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        *(("", "/"), ("/", "/"), ("/..", "/"), ("/.", "/"), ("/a/../../b", "/b")),
        *(("x", "/x"), ("../x", "/x"), ("//a//", "/a")),
    ],
)
def test_clean_is_gos(path: str, expected: str) -> None:
    assert syntax.clean(path) == expected
