"""system prune: Docker's question, order and answer; and events of all prunes."""

from __future__ import annotations

import json

import pytest

from tests.support.podcli import Pod

pytestmark = [pytest.mark.docker_registry, pytest.mark.image("busybox:latest")]

QUESTION = """WARNING! This will remove:
  - all stopped containers
  - all networks not used by at least one container
%s  - all %s
  - unused build cache

%sAre you sure you want to continue? [y/N] """
VOLUMES = "  - all anonymous volumes not used by at least one container\n"
ALL = "images without at least one container associated to them"


@pytest.fixture
def image(fresh_pod: Pod) -> str:
    return fresh_pod.image("busybox:latest")


def test_system_prune_asks_in_docker_s_words_and_a_no_changes_nothing(fresh_pod: Pod, image: str) -> None:
    fresh_pod("create", "--name", "made", image).ok()
    for flags, volumes, images, filters in (
        ((), "", "dangling images", ""),
        (("-a",), "", ALL, ""),
        (("-a", "--volumes"), VOLUMES, ALL, ""),
        (
            ("--filter", "until=24h", "--filter", "label!=keep"), "", "dangling images",
            "  Items to be pruned will be filtered with:\n  - label!=keep\n  - until=24h\n\n",
        ),
    ):  # fmt: skip
        result = fresh_pod("system", "prune", *flags, stdin=b"n\n")
        assert (result.code, result.out, result.err) == (0, QUESTION % (volumes, images, filters), "")
    assert fresh_pod("ps", "-aq").ok()


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--filter", "x=y"), "invalid filter 'x'"),
        (("--filter", "until=soon"), "invalid filter 'until=soon'"),
        (("--filter", "until=1h", "--filter", "until=2h"), "more than one until filter specified"),
        (("--volumes", "--filter", "until=1h"), 'The "until" filter is not supported with "--volumes"'),
    ],
)
def test_system_prune_refuses_filters_before_it_asks(offline_pod: Pod, flags: tuple[str, ...], words: str) -> None:
    result = offline_pod("system", "prune", *flags)
    result.failed(1, words)
    assert result.out == ""


def test_system_prune_takes_everything_that_nobody_uses_in_docker_s_order(fresh_pod: Pod, image: str) -> None:
    made = fresh_pod("create", "--name", "made", "-v", "/anonymous", "-v", "named:/x", image).ok().strip()
    fresh_pod("network", "create", "alone").ok()
    fresh_pod("network", "create", "used").ok()
    fresh_pod("volume", "create").ok()
    fresh_pod("tag", image, "other:1").ok()
    result = fresh_pod("system", "prune", "-f")
    lines = result.ok().splitlines()
    assert lines[:2] == ["Deleted Containers:", made]
    assert lines[2:6] == ["", "Deleted Networks:", "alone", "used"]
    assert lines[6:] == ["", "Total reclaimed space: 0B"]
    fresh_pod("run", "-d", "--name", "runs", "--network", "none", image, "sleep", "1000").ok()
    lines = fresh_pod("system", "prune", "-af", "--volumes").ok().splitlines()
    assert lines[0] == "Deleted Volumes:"
    assert len(lines[1:-2]) == 2
    assert all(len(line) == 64 for line in lines[1:-2])
    fresh_pod("rm", "-f", "runs").ok()
    lines = fresh_pod("system", "prune", "-af").ok().splitlines()
    assert lines[0] == "Deleted Images:"
    assert {f"untagged: {image}", "untagged: other:1"} < set(lines)
    assert lines[-1].startswith("Total reclaimed space: ")
    assert lines[-1] != "Total reclaimed space: 0B"
    assert fresh_pod("images", "-q").ok() == ""
    assert fresh_pod("volume", "ls", "-q").ok() == "named\n"
    assert not list((fresh_pod.root / "trash").iterdir())


def test_system_prune_reclaims_what_df_said(fresh_pod: Pod, image: str) -> None:
    row = fresh_pod("system", "df", "--format", "{{.Type}}|{{.Reclaimable}}").ok().splitlines()[0]
    said = row.partition("|")[2].partition(" ")[0]
    assert fresh_pod("system", "prune", "-af").ok().splitlines()[-1] == f"Total reclaimed space: {said}"


def test_system_prune_filters_by_label_and_tells_events(fresh_pod: Pod, image: str) -> None:
    kept = fresh_pod("create", "--name", "kept", "-l", "keep=1", image).ok().strip()
    gone = fresh_pod("create", "--name", "gone", "-l", "keep=0", image).ok().strip()
    fresh_pod("network", "create", "--label", "keep=0", "light").ok()
    fresh_pod("network", "create", "heavy").ok()
    done = fresh_pod("system", "prune", "-f", "--volumes", "--filter", "label=keep=0").ok()
    assert done.splitlines()[:5] == ["Deleted Containers:", gone, "", "Deleted Networks:", "light"]
    assert fresh_pod("ps", "-aq", "--no-trunc").ok().strip() == kept
    lines = fresh_pod("events", "--since", "1h", "--until", "0s", "--filter", "event=prune", "--format", "json").ok()
    told = [json.loads(line) for line in lines.splitlines()]
    assert [event["Type"] for event in told] == ["container", "network", "volume", "image"]
    assert all(set(event["Actor"]["Attributes"]) == {"reclaimed"} for event in told)
