"""--mount in Docker's grammar."""

from __future__ import annotations

from typing import Any

import pytest

from pod.cli import flag_values
from pod.core.errors import UsageError
from pod.core.volume import mount_syntax
from pod.core.volume.syntax import VolumeSpec


def parse(text: str) -> VolumeSpec:
    return mount_syntax.parse(flag_values.split_csv(text), "/cwd", flag_values.parse_bytes)


@pytest.mark.parametrize(
    ("words", "reason"),
    [
        ("type=bogus,dst=/x", "mount type unknown"),
        ("bogus", "invalid field 'bogus' must be a key=value pair"),
        ("bogus=1,dst=/x", "unexpected key 'bogus' in 'bogus=1'"),
        ("type=bind,dst=/x", "field Source must not be empty"),
        ("type=bind,src=rel,dst=/x", "mount path must be absolute"),
        ("type=volume,src=name", "field Target must not be empty"),
        ("type=volume,src=name,dst=x", "mount path must be absolute"),
        ("type=volume,src=name,dst=/", "destination can't be '/'"),
        ("type=volume,src=a/b,dst=/x", "includes invalid characters"),
        ("type=volume,src=name,dst=/proc/sys", "inside /proc"),
        ("type=tmpfs,src=x,dst=/x", "field Source must not be specified"),
        ("type=tmpfs,dst=/x,tmpfs-size=big", "invalid value for tmpfs-size: big"),
        ("type=tmpfs,dst=/x,tmpfs-mode=999", "invalid value for tmpfs-mode: 999"),
        ("type=bind,src=/tmp,dst=/x,volume-nocopy", "cannot mix 'volume-*' options with mount type 'bind'"),
        ("type=volume,dst=/x,bind-propagation=rslave", "cannot mix 'bind-*' options with mount type 'volume'"),
        ("type=bind,src=/tmp,dst=/x,bind-propagation=odd", "invalid propagation mode: odd"),
        ("type=bind,src=/tmp,dst=/x,bind-propagation=rshared", "cannot reach the host without root"),
        ("type=bind,src=/tmp,dst=/x,readonly=maybe", "invalid value for readonly: maybe"),
        ("type=bind,src=/tmp,dst=/x,bind-recursive=writable", "requires 'readonly'"),
        ("type=bind,src=/tmp,dst=/x,ro,bind-recursive=readonly", "requires 'bind-propagation=rprivate'"),
        ("type=volume,src=name,dst=/x,volume-subpath=../up", "subpath must be a relative path within the volume"),
        ("type=volume,src=name,dst=/x,volume-subpath=/abs", "subpath must be a relative path within the volume"),
        ("type=volume,dst=/x,volume-subpath=a", "must not set Subpath when using anonymous volumes"),
        ("type=volume,dst=/x,ro", "must not set ReadOnly mode when using anonymous volumes"),
    ],)
def test_parse_when_it_is_none_then_dockers_words(words: str, reason: str) -> None:
    with pytest.raises((ValueError, UsageError)) as failure:
        parse(words)
    assert reason in str(failure.value)


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("dst=/x", {"Type": "volume", "Target": "/x"}),
        ("type=bind,src=/a/../b,dst=/x,ro", {"Type": "bind", "Source": "/b", "Target": "/x", "ReadOnly": True}),
        ("type=bind,src=.,dst=/x", {"Type": "bind", "Source": "/cwd", "Target": "/x"}),
        ("TYPE=Bind,SRC=./a,Destination=/x,ro=false", {"Type": "bind", "Source": "/cwd/a", "Target": "/x"}),
        (
            "type=bind,src=/a,dst=/x,ro,bind-propagation=rprivate,bind-recursive=readonly",
            {
                "Type": "bind", "Source": "/a", "Target": "/x", "ReadOnly": True,
                "BindOptions": {"Propagation": "rprivate", "ReadOnlyForceRecursive": True},
            },
        ),
        (
            "type=bind,src=/a,dst=/x,bind-nonrecursive,bind-create-src,consistency=cached",
            {
                "Type": "bind", "Source": "/a", "Target": "/x", "Consistency": "cached",
                "BindOptions": {"NonRecursive": True, "CreateMountpoint": True},
            },
        ),
        (
            "type=volume,src=n1,dst=/x,volume-nocopy=true,volume-subpath=a/b,volume-opt=o=x=y,volume-driver=local",
            {
                "Type": "volume", "Source": "n1", "Target": "/x",
                "VolumeOptions": {
                    "NoCopy": True, "Subpath": "a/b", "DriverConfig": {"Name": "local", "Options": {"o": "x=y"}},
                },
            },
        ),
        (
            'type=tmpfs,"dst=/x,y",tmpfs-size=1k,tmpfs-mode=0700',
            {"Type": "tmpfs", "Target": "/x,y", "TmpfsOptions": {"SizeBytes": 1024, "Mode": 0o700}},
        ),
        (
            "type=image,src=busybox,dst=/x,image-subpath=bin",
            {"Type": "image", "Source": "busybox", "Target": "/x", "ImageOptions": {"Subpath": "bin"}},
        ),
    ],
)  # fmt: skip
def test_parse_gives_what_dockers_api_has(words: str, expected: dict[str, Any]) -> None:
    assert parse(words).document == expected


def test_parse_says_how_deep_read_only_goes() -> None:
    assert parse("type=bind,src=/a,dst=/x,ro").depth == "below"
    assert parse("type=bind,src=/a,dst=/x,ro,bind-recursive=writable").depth == "top"
    assert parse("type=bind,src=/a,dst=/x,ro,bind-recursive=readonly,bind-propagation=rprivate").depth == "whole"
    assert not parse("type=bind,src=/a,dst=/x,bind-recursive=disabled").recursive
