"""rmi and image prune through the command line: what they say, what they refuse, and what stays."""

from __future__ import annotations

import re

import pytest

from tests.support.podcli import Pod
from tests.support.registry import Registry

pytestmark = [pytest.mark.docker_registry, pytest.mark.image("busybox:latest")]


@pytest.fixture
def image(fresh_pod: Pod) -> str:
    return fresh_pod.image("busybox:latest")


def short_id(pod: Pod, name: str) -> str:
    return pod("images", "-q", name).ok().strip()


def test_rmi_when_a_stopped_container_uses_it_then_conflict_and_forced_the_container_still_starts(
    fresh_pod: Pod, image: str
) -> None:
    container = fresh_pod("create", image, "echo", "alive").ok().strip()
    short = short_id(fresh_pod, image)
    fresh_pod("rmi", image).failed(
        1,
        f'conflict: unable to remove repository reference "{image}" (must force) - container {container[:12]} is '
        f"using its referenced image {short}",
    )
    fresh_pod("rmi", short).failed(1, f"unable to delete {short} (must be forced) - image is being used by stopped")
    assert fresh_pod("rmi", "-f", image).ok().startswith(f"Untagged: {image}\n")
    assert fresh_pod("images", "--format", "{{.Repository}}:{{.Tag}}").ok() == "<none>:<none>\n"
    fresh_pod("rmi", "-f", short).failed(1, "(cannot be forced) - image is being used by stopped container")
    assert fresh_pod("image", "prune", "-af").ok() == "Total reclaimed space: 0B\n"
    assert fresh_pod("start", "-a", container).ok() == "alive\n"
    fresh_pod("rm", container).ok()
    assert f"deleted: sha256:{short}" in fresh_pod("image", "prune", "-f").ok()
    assert fresh_pod("images", "-q").ok() == ""


def test_rmi_when_a_running_container_uses_it_then_never_by_id(fresh_pod: Pod, image: str) -> None:
    fresh_pod("run", "-d", "--name", "runs", "--network", "none", image, "sleep", "1000").ok()
    short = short_id(fresh_pod, image)
    for force in ((), ("-f",)):
        fresh_pod("rmi", *force, short).failed(
            1, f"conflict: unable to delete {short} (cannot be forced) - image is being used by running container"
        )
    fresh_pod("rmi", "-f", image).ok()
    assert fresh_pod("exec", "runs", "echo", "alive").ok() == "alive\n"


def test_rmi_when_by_id_with_two_tags_then_must_be_forced(fresh_pod: Pod, image: str) -> None:
    fresh_pod("tag", image, "mine:1").ok()
    short = short_id(fresh_pod, image)
    fresh_pod("rmi", short).failed(1, f"unable to delete {short} (must be forced) - image is referenced in multiple")
    lines = fresh_pod("rmi", "-f", short).ok().splitlines()
    assert [line for line in lines if line.startswith("Untagged: mine:1")]
    assert [line for line in lines if re.fullmatch(rf"Deleted: sha256:{short}[0-9a-f]{{52}}", line)]


def test_rmi_when_some_fail_then_the_others_go_and_each_error_is_said(fresh_pod: Pod, image: str) -> None:
    fresh_pod("tag", image, "mine:1").ok()
    result = fresh_pod("rmi", "none", "mine:1", "A", "--platform", "linux/s390x")
    assert (result.code, result.out) == (1, "")
    assert result.err.count("pod: ") == 3
    result = fresh_pod("rmi", "none", "mine:1", "A")
    assert (result.code, result.out) == (1, "Untagged: mine:1\n")
    assert "No such image: none:latest" in result.err
    assert "must be lowercase" in result.err
    result = fresh_pod("rmi", "-f", "none")
    assert (result.code, result.out) == (0, "")
    assert "No such image: none:latest" in result.err


def test_rmi_when_a_prefix_fits_two_then_ambiguous(fresh_pod: Pod, image: str) -> None:
    records = fresh_pod.root / "images"
    name = next(records.iterdir())
    twin = name.name[:12] + ("0" if name.name[12] != "0" else "1") + name.name[13:]
    (records / twin).write_text(name.read_text().replace(name.name, twin))
    fresh_pod("rmi", "-f", name.name[:12]).failed(1, "ambiguous")
    assert len(list(records.iterdir())) == 2
    assert f"Deleted: sha256:{twin}" in fresh_pod("rmi", twin[:13]).ok()
    assert fresh_pod("run", "--rm", image, "echo", "x").ok() == "x\n"


def test_image_prune_when_not_forced_then_asks(fresh_pod: Pod, image: str) -> None:
    question = "WARNING! This will remove all images without at least one container associated to them.\n"
    question += "Are you sure you want to continue? [y/N] "
    for answer in (b"n\n", b"", b"yes\n", b"\n"):
        result = fresh_pod("image", "prune", "-a", stdin=answer)
        assert (result.code, result.out, result.err) == (0, question, "")
    assert fresh_pod("images", "-q").ok()
    result = fresh_pod("image", "prune", stdin=b"Y\n")
    assert result.ok() == (
        "WARNING! This will remove all dangling images.\nAre you sure you want to continue? [y/N] "
        "Total reclaimed space: 0B\n"
    )
    lines = fresh_pod("image", "prune", "-a", stdin=b"y\n").ok()[len(question) :].splitlines()
    assert lines[0] == "Deleted Images:"
    assert lines[1] == f"untagged: {image}"
    assert lines[2].startswith("untagged: ")
    assert lines[3].startswith("deleted: sha256:")
    assert lines[-2] == ""
    assert re.fullmatch(r"Total reclaimed space: [0-9.]+[kM]B", lines[-1])
    assert fresh_pod("images", "-q").ok() == ""
    assert not list((fresh_pod.root / "blobs/sha256").iterdir())
    assert not list((fresh_pod.root / "trash").iterdir())


def test_image_prune_when_a_filter_is_wrong_then_said_before_asking(fresh_pod: Pod, registry: Registry) -> None:
    for text, words in (("x=y", "invalid filter 'x'"), ("until=soon", "failed to parse value as time or duration")):
        result = fresh_pod("image", "prune", "--filter", text)
        result.failed(1, words)
        assert result.out == ""
    fresh_pod("image", "prune", "-f", "--filter", "label!=x", "--filter", "until=1h").ok()


def test_rmi_against_runs_then_each_run_works_or_says_there_is_no_image(fresh_pod: Pod, image: str) -> None:
    for _ in range(6):
        runs = [fresh_pod.start("create", image, "echo", "whole") for _ in range(3)]
        rmi = fresh_pod.start("rmi", image)
        for process in runs:
            out, err = process.communicate(timeout=60)
            if process.returncode:
                assert b"No such image" in err or b"connect" in err or b"Pulling from" in err, err
            else:
                assert fresh_pod("start", "-a", out.decode().strip()).ok() == "whole\n"
        rmi.communicate(timeout=60)
        containers = fresh_pod.containers()
        if containers:
            fresh_pod("rm", *containers).ok()
        fresh_pod("pull", "-q", image).ok()
