"""`pod volume create, ls, inspect, rm, prune`: Docker's output, words and exit codes."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator

import pytest

from tests.support.podcli import Pod


@pytest.fixture
def volumes(pod: Pod) -> Iterator[Pod]:
    """The shared store, without the volumes that a test leaves."""
    before = set(os.listdir(pod.root / "volumes")) if (pod.root / "volumes").exists() else set()
    yield pod
    pod.tidy()
    left = [name for name in os.listdir(pod.root / "volumes") if name not in before]
    if left:
        pod("volume", "rm", "-f", *left)


def test_create_prints_the_name_and_inspect_tells_all(volumes: Pod) -> None:
    pod = volumes
    made = pod("volume", "create", "--label", "a=b", "--label", "c", "told").ok()
    assert made == "told\n"
    (document,) = json.loads(pod("volume", "inspect", "told").ok())
    assert document.pop("CreatedAt")
    assert document == {
        "Driver": "local",
        "Labels": {"a": "b", "c": ""},
        "Mountpoint": str(pod.root / "volumes/told/_data"),
        "Name": "told",
        "Options": None,
        "Scope": "local",
    }
    assert pod("volume", "inspect", "-f", "{{.Name}} {{.Labels.a}}", "told").ok() == "told b\n"
    assert pod("inspect", "-f", "{{.Mountpoint}}", "told").ok().endswith("volumes/told/_data\n")
    pod("inspect", "--type", "volume", "nosuch").failed(1, "no such volume")
    pod("volume", "rm", "told").ok()
    seen = pod("events", "--since", "10m", "--until", "0s", "--filter", "volume=told", "--format", "{{.Action}}").ok()
    assert seen.split() == ["create", "destroy"]


def test_create_without_a_name_makes_one_up(volumes: Pod) -> None:
    name = volumes("volume", "create").ok().strip()
    assert len(name) == 64
    assert volumes("volume", "inspect", "-f", '{{json .Labels}}', name).ok() == '{"com.docker.volume.anonymous":""}\n'


def test_create_twice_is_fine_with_the_same_options_only(volumes: Pod) -> None:
    pod = volumes
    options = ("-o", "type=tmpfs", "-o", "device=tmpfs", "-o", "o=size=1m")
    assert pod("volume", "create", "twice").ok() == pod("volume", "create", "twice").ok()
    pod("volume", "create", *options, "twice").failed(1, "volume name must be unique", "other options")
    pod("volume", "create", *options, "twice-tmpfs").ok()
    pod("volume", "create", *options, "twice-tmpfs").ok()
    pod("volume", "create", "twice-tmpfs").failed(1, "other options")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("x",), "too short"),
        (("../up",), "includes invalid characters for a local volume name"),
        (("-d", "rexray", "fine"), 'error looking up volume plugin rexray: plugin "rexray" not found'),
        (("-o", "type=nfs", "-o", "device=:/x", "-o", "o=addr=1.2.3.4", "fine"), "only root may mount that"),
    ],
    ids=["short", "path", "driver", "nfs"],
)
def test_create_when_it_cannot_be_then_it_says_why(volumes: Pod, arguments: tuple[str, ...], words: str) -> None:
    """The rest of them: tests/unit/core/volume/test_store.py."""
    before = sorted(os.listdir(volumes.root / "volumes"))
    volumes("volume", "create", *arguments).failed(1, words)
    assert sorted(os.listdir(volumes.root / "volumes")) == before


def test_ls_shows_dockers_columns_and_filters(volumes: Pod, busybox: str) -> None:
    pod = volumes
    pod("volume", "create", "--label", "kind=shown", "ls-one").ok()
    pod("volume", "create", "--label", "kind=other", "ls-two").ok()
    pod("create", "--name", "user", "-v", "ls-two:/data", busybox, "true").ok()
    table = pod("volume", "ls", "-f", "name=ls-").ok()
    assert table == "DRIVER    VOLUME NAME\nlocal     ls-one\nlocal     ls-two\n"
    assert pod("volume", "ls", "-q", "-f", "label=kind=shown").ok() == "ls-one\n"
    assert pod("volume", "ls", "-q", "-f", "label=kind", "-f", "name=two").ok() == "ls-two\n"
    assert "ls-one\n" in pod("volume", "ls", "-q", "-f", "dangling=true").ok()
    assert "ls-two\n" not in pod("volume", "ls", "-q", "-f", "dangling=1").ok()
    assert "ls-two\n" in pod("volume", "ls", "-q", "-f", "dangling=false").ok()
    assert pod("volume", "ls", "-q", "-f", "driver=nfs").ok() == ""
    assert pod("volume", "ls", "-f", "name=ls-one", "--format", "{{.Name}}: {{.Labels}} {{.Scope}} {{.Size}}").ok() == (
        "ls-one: kind=shown local N/A\n"
    )
    assert pod("volume", "ls", "-f", "name=ls-", "--format", 'table {{.Name}}\t{{.Label "kind"}}').ok() == (
        "VOLUME NAME   kind\nls-one        shown\nls-two        other\n"
    )
    document = json.loads(pod("volume", "ls", "-f", "name=ls-one", "--format", "json").ok())
    assert document["Mountpoint"] == str(pod.root / "volumes/ls-one/_data")
    pod("volume", "ls", "-f", "bogus=1").failed(1, "invalid filter 'bogus'")
    pod("volume", "ls", "-f", "name=[").failed(1, "invalid filter")


def test_inspect_when_one_is_missing_then_the_others_and_status_1(volumes: Pod) -> None:
    volumes("volume", "create", "there").ok()
    result = volumes("volume", "inspect", "nosuch", "there")
    result.failed(1, "get nosuch: no such volume")
    assert [document["Name"] for document in json.loads(result.out)] == ["there"]
    volumes("volume", "inspect", "../volumes/there").failed(1, "no such volume")


def test_rm_takes_several_and_refuses_what_is_used(volumes: Pod, busybox: str) -> None:
    pod = volumes
    for name in ("rm-one", "rm-two", "rm-used"):
        pod("volume", "create", name).ok()
    container = pod("create", "-v", "rm-used:/data", busybox, "true").ok().strip()
    result = pod("volume", "rm", "rm-one", "rm-used", "nosuch", "rm-two")
    assert (result.code, result.out) == (1, "rm-one\nrm-two\n")
    assert f"pod: remove rm-used: volume is in use - [{container}]" in result.err
    assert "pod: get nosuch: no such volume" in result.err
    pod("volume", "rm", "-f", "rm-used").failed(1, "volume is in use")
    assert pod("volume", "rm", "-f", "nosuch").ok() == "nosuch\n"
    pod("rm", container).ok()
    assert pod("volume", "rm", "rm-used").ok() == "rm-used\n"
    assert not (pod.root / "volumes/rm-used").exists()


def test_rm_of_names_with_paths_in_them_finds_nothing(volumes: Pod) -> None:
    for name in ("..", ".", "../containers", "a/b", ""):
        volumes("volume", "rm", name).failed(1, "no such volume")
    assert (volumes.root / "containers").exists()


def test_prune_takes_unused_anonymous_ones_and_with_all_the_named(volumes: Pod, busybox: str) -> None:
    pod = volumes
    pod("volume", "create", "--label", "keep", "prune-named").ok()
    pod("volume", "create", "prune-used").ok()
    nameless = pod("volume", "create").ok().strip()
    (pod.root / "volumes" / nameless / "_data/file").write_bytes(b"x" * 1234)
    pod("create", "-v", "prune-used:/data", "-v", "/anonymous", busybox, "true").ok()
    asked = pod("volume", "prune", stdin=b"n\n").ok()
    assert asked.startswith("WARNING! This will remove anonymous local volumes not used by at least one container.\n")
    assert asked.endswith("Are you sure you want to continue? [y/N] ")
    out = pod("volume", "prune", "-f").ok()
    assert out == f"Deleted Volumes:\n{nameless}\n\nTotal reclaimed space: 1.234kB\n"
    assert pod("volume", "prune", "-f").ok() == "Total reclaimed space: 0B\n"
    out = pod("volume", "prune", "-f", "-a", "--filter", "label!=keep").ok()
    assert "prune-named" not in out
    assert "prune-used" not in out
    assert "prune-named" in pod("volume", "prune", "-f", "--filter", "all=1", "--filter", "label=keep").ok()
    pod("volume", "prune", "-f", "--filter", "until=24h").failed(1, "invalid filter 'until'")
    pod("volume", "prune", "-f", "-a", "--filter", "all=1").failed(1, "conflicting options")


def test_update_is_refused_and_help_lists_the_rest(volumes: Pod) -> None:
    volumes("volume", "update", "x").failed(1, "swarm")
    text = volumes("volume", "--help").ok()
    assert all(f"  {name} " in text for name in ("create", "inspect", "ls", "prune", "rm"))


def test_a_broken_record_hides_no_other_volume_and_can_be_removed(volumes: Pod) -> None:
    pod = volumes
    pod("volume", "create", "broken").ok()
    pod("volume", "create", "whole").ok()
    (pod.root / "volumes/broken/volume.json").write_text("{")
    result = pod("volume", "ls", "-q", "-f", "name=whole")
    assert result.ok() == "whole\n"
    assert "volume.json" in result.err
    pod("volume", "inspect", "broken").failed(1, "volume.json")
    assert pod("volume", "rm", "broken").ok() == "broken\n"
