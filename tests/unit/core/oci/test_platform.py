"""pod.core.oci.platform."""

from __future__ import annotations

import os

import pytest

from pod.core.errors import UsageError
from pod.core.oci import platform
from pod.core.oci.platform import Platform


@pytest.mark.parametrize(
    ("text", "normal"),
    [
        ("linux/amd64", "linux/amd64"),
        ("linux/x86_64", "linux/amd64"),
        ("Linux/AMD64", "linux/amd64"),
        ("linux/aarch64", "linux/arm64"),
        ("linux/arm64/v8", "linux/arm64"),
        ("linux/arm64/8", "linux/arm64"),
        ("linux/arm", "linux/arm/v7"),
        ("linux/arm/v6", "linux/arm/v6"),
        ("linux/armhf", "linux/arm/v7"),
        ("linux/armel", "linux/arm/v6"),
        ("linux/i386", "linux/386"),
        ("arm64", "linux/arm64"),
        ("windows/amd64", "windows/amd64"),
    ],
)
def test_parse_when_valid_then_normalised(text: str, normal: str) -> None:
    assert str(platform.parse(text)) == normal


@pytest.mark.parametrize("text", ["", "/", "linux/", "a/b/c/d", "linux/a b", "nonsense", "linux/amd64/\n", "x" * 200])
def test_parse_when_invalid_then_usage_error(text: str) -> None:
    with pytest.raises(UsageError, match="invalid platform"):
        platform.parse(text)


@pytest.mark.parametrize(
    ("wanted", "offered", "rank"),
    [
        (("linux", "arm", "v7"), ("linux", "arm", "v7"), 0),
        (("linux", "arm", "v7"), ("linux", "arm", "v6"), 10),
        (("linux", "arm", "v6"), ("linux", "arm", "v7"), None),
        (("linux", "amd64", ""), ("linux", "amd64", "v3"), None),
        (("linux", "amd64", "v3"), ("linux", "amd64", ""), 20),
        (("linux", "amd64", ""), ("linux", "arm64", ""), None),
        (("linux", "arm64", ""), ("linux", "arm64", "v8"), 0),
        (("linux", "arm64", ""), ("linux", "arm64", "v9.2"), None),
        (("linux", "amd64", ""), ("windows", "amd64", ""), None),
        (("linux", "arm", "v7"), ("linux", "arm", "vx"), None),
    ],
)
def test_rank_when_offered_then_best_is_lowest(
    wanted: tuple[str, str, str], offered: tuple[str, str, str], rank: int | None
) -> None:
    assert Platform(*wanted).rank(Platform(*offered)) == rank


def test_host_when_asked_then_is_the_kernels_architecture() -> None:
    names = {"x86_64": "amd64", "aarch64": "arm64"}
    machine = os.uname().machine
    assert platform.host().architecture == names.get(machine, machine)
