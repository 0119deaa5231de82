"""rename and update: what is changed of a container after its creation, also while it runs."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.podcli import Pod, until


def names(pod: Pod) -> list[str]:
    return pod("ps", "-a", "--format", "{{.Names}}").ok().split()


def record(pod: Pod) -> Path:
    return next(iter((pod.root / "containers").glob("*")))


def test_rename_is_silent_and_the_old_name_is_free(pod: Pod, busybox: str, sleeper: str) -> None:
    assert pod("rename", sleeper, "other").ok() == ""
    assert names(pod) == ["other"]
    assert pod.inspect("other")["Name"] == "/other"
    pod("inspect", sleeper).failed(1, "No such object")
    pod("create", "--name", sleeper, busybox, "true").ok()
    pod("container", "rename", "other", "third").ok()
    assert sorted(names(pod)) == sorted(["third", sleeper])


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("sleeper", "sleeper"), "Renaming a container with the same name as its current name"),
        (("sleeper", ""), "Neither old nor new names may be empty"),
        (("", "x1"), "Neither old nor new names may be empty"),
        (("sleeper", "taken"), 'Conflict. The container name "/taken" is already in use by container'),
        (("nobody", "x1"), "No such container: nobody"),
        (("sleeper", "a/b"), "Invalid container name (a/b)"),
        (("sleeper", "-x"), "Invalid container name"),
    ],
)
def test_rename_that_cannot_be_changes_nothing(
    pod: Pod, busybox: str, sleeper: str, words: tuple[str, str], said: str
) -> None:
    pod("create", "--name", "taken", busybox, "true").ok()
    before = sorted(names(pod)), sorted(path.name for path in (pod.root / "names").iterdir())
    done = pod("rename", "--", *words)
    assert done.code == 1, done
    assert said in done.err
    assert before == (sorted(names(pod)), sorted(path.name for path in (pod.root / "names").iterdir()))


def test_renamed_container_with_rm_takes_its_new_name_along(pod: Pod, busybox: str) -> None:
    script = "until [ -e /go ]; do sleep 0.05; done"
    pod("run", "-d", "--rm", "--name", "old", "--network", "none", busybox, "sh", "-c", script).ok()
    pod("rename", "old", "new").ok()
    pod("create", "--name", "old", busybox, "true").ok()
    pod("exec", "new", "touch", "/go").ok()
    until(lambda: names(pod) == ["old"], 20, "--rm")
    assert [path.name for path in (pod.root / "names").iterdir()] == ["old"]


def test_rename_killed_half_way_heals(pod: Pod, busybox: str) -> None:
    pod("create", "--name", "old", busybox, "true").ok()
    folder = record(pod)
    # Killed before the record was written: a second name leads to the container.
    half = pod.root / "names" / "half"
    half.write_text(folder.name + "\n")
    os.utime(half, (1, 1))
    assert names(pod) == ["old"]
    assert not half.exists()
    # Killed before the old name was released.
    (folder / "changes.json").write_text(json.dumps({"version": 1, "Name": "/new"}, separators=(",", ":")))
    (pod.root / "names" / "new").write_text(folder.name + "\n")
    os.utime(pod.root / "names" / "old", (1, 1))
    assert names(pod) == ["new"]
    assert [path.name for path in (pod.root / "names").iterdir()] == ["new"]
    pod("create", "--name", "old", busybox, "true").ok()


def test_update_wants_a_flag_and_a_good_one(pod: Pod, sleeper: str) -> None:
    pod("update", sleeper).failed(1, "you must provide one or more flags when using this command")
    pod("update", "--restart", "sometimes", sleeper).failed(1, "invalid restart policy: unknown policy 'sometimes'")
    pod("update", "--memory", "1g", sleeper).failed(1, "--memory: it was started without what could")
    pod("update", "--memory", "1m", sleeper).failed(1, "Minimum memory limit allowed is 6MB")
    pod("update", "--restart", "always", "nobody").failed(1, "No such container: nobody")
    assert pod.inspect(sleeper)["HostConfig"]["RestartPolicy"]["Name"] == "no"


def test_update_of_one_with_rm_is_refused(pod: Pod, busybox: str) -> None:
    pod("run", "-d", "--rm", "--name", "brief", "--network", "none", busybox, "sleep", "1000").ok()
    pod("update", "--restart", "always", "brief").failed(
        1, "Restart policy cannot be updated because AutoRemove is enabled for the container"
    )
    assert pod("update", "--restart", "no", "brief").ok() == "brief\n"


def test_update_and_rename_live_side_by_side(pod: Pod, busybox: str) -> None:
    pod("create", "--name", "one", "--restart", "always", busybox, "sleep", "1000").ok()
    pod("rename", "one", "two").ok()
    pod("update", "--restart", "on-failure:4", "two").ok()
    pod("rename", "two", "three").ok()
    document = pod.inspect("three")
    assert document["HostConfig"]["RestartPolicy"] == {"Name": "on-failure", "MaximumRetryCount": 4}
    pod("start", "three").ok()
    assert pod.state("three")["Running"]


@pytest.mark.parametrize("text", ["{", "[]", '{"version":1,"Name":7}', '{"version":1,"Name":"x"}'])
def test_damaged_changes_are_told_and_hide_no_other(pod: Pod, busybox: str, text: str) -> None:
    pod("create", "--name", "bad", busybox, "true").ok()
    (record(pod) / "changes.json").write_text(text)
    pod("create", "--name", "good", busybox, "true").ok()
    assert names(pod) == ["good"]
    pod("inspect", "bad").failed(1, "changes.json")
    pod("rm", "-f", "bad").ok()
    assert names(pod) == ["good"]
