"""The groups image and system: what --help and completion offer, and what is refused by name."""

from __future__ import annotations

import pytest

from tests.support.podcli import Pod

pytestmark = pytest.mark.alike

GROUPS = {
    "image": {"history", "import", "inspect", "load", "ls", "prune", "pull", "push", "rm", "save", "tag"},
    "system": {"autostart", "df", "events", "gc", "info", "prune", "reset"},
}


@pytest.mark.parametrize("group", GROUPS)
def test_group_offers_its_commands_in_help_and_completion(offline_pod: Pod, group: str) -> None:
    shown = offline_pod(group, "--help").ok().partition("Commands:\n")[2]
    listed = {line.split()[0] for line in shown.splitlines() if line.startswith("  ")}
    assert GROUPS[group] <= listed
    offered = {line.partition("\t")[0] for line in offline_pod("__complete", "--", group, "").ok().splitlines()}
    assert offered == listed
    for name in GROUPS[group]:
        assert offline_pod(group, name, "--help").ok().startswith("Usage:  pod ")


def test_filters_and_flags_of_the_prunes_are_completed(offline_pod: Pod) -> None:
    for words in (("image", "prune"), ("container", "prune"), ("network", "prune"), ("system", "prune")):
        offered = offline_pod("__complete", "--", *words, "--filter", "").ok().split()
        assert set(offered) == {"label=", "label!=", "until="}, words
        assert "--force" in offline_pod("__complete", "--", *words, "--f").ok()


@pytest.mark.parametrize("name", ["sign", "verify"])
def test_signatures_are_refused_with_what_does_it(offline_pod: Pod, name: str) -> None:
    offline_pod("image", name, "busybox").failed(1, f"'image {name}' is not in pod", "cosign")
