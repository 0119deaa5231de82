"""pull, images, tag, rmi and image inspect through the command line, against a real registry; Docker's own lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.support.podcli import Pod
from tests.support.registry import Registry

pytestmark = [pytest.mark.docker_registry, pytest.mark.image("busybox:latest")]


def test_pull_when_new_then_dockers_lines(fresh_pod: Pod, registry: Registry) -> None:
    name = registry.name("busybox")
    lines = fresh_pod("pull", name).ok().splitlines()
    assert lines[0] == "Using default tag: latest"
    assert lines[1] == "latest: Pulling from library/busybox"
    assert any(line.endswith(": Pull complete") for line in lines)
    assert lines[-3].startswith("Digest: sha256:")
    assert lines[-2] == f"Status: Downloaded newer image for {name}:latest"
    assert lines[-1] == f"{name}:latest"
    again = fresh_pod("image", "pull", name + ":latest").ok().splitlines()
    assert again[0] == "latest: Pulling from library/busybox"
    assert f"Status: Image is up to date for {name}:latest" in again


def test_pull_when_quiet_then_only_the_name(fresh_pod: Pod, registry: Registry) -> None:
    result = fresh_pod("pull", "-q", registry.name("busybox"))
    assert (result.ok(), result.err) == (registry.name("busybox:latest") + "\n", "")


def test_images_when_pulled_then_table_ids_and_formats(fresh_pod: Pod, registry: Registry) -> None:
    name = registry.name("busybox")
    fresh_pod("pull", "-q", name).ok()
    fresh_pod("tag", name, "mine:1").ok()
    table = fresh_pod("images").ok().splitlines()
    assert table[0].split() == ["REPOSITORY", "TAG", "IMAGE", "ID", "CREATED", "SIZE"]
    assert {tuple(line.split()[:2]) for line in table[1:]} == {(name, "latest"), ("mine", "1")}
    (short,) = set(fresh_pod("images", "-q").ok().split())
    (whole,) = set(fresh_pod("image", "ls", "-q", "--no-trunc").ok().split())
    assert whole.startswith("sha256:" + short)
    assert fresh_pod("images", "--format", "{{.Repository}}:{{.Tag}}", "mine").ok() == "mine:1\n"
    row = json.loads(fresh_pod("images", "--format", "json", "mine").ok())
    assert (row["ID"], row["Tag"]) == (short, "1")
    digests = fresh_pod("images", "--digests", name).ok().splitlines()
    assert digests[0].split()[:3] == ["REPOSITORY", "TAG", "DIGEST"]
    assert digests[1].split()[2].startswith("sha256:")
    assert fresh_pod("images", "--filter", "dangling=true", "-q").ok() == ""


def test_image_inspect_when_by_any_name_then_the_same_document(fresh_pod: Pod, registry: Registry) -> None:
    name = registry.name("busybox")
    fresh_pod("pull", "-q", name).ok()
    (document,) = json.loads(fresh_pod("image", "inspect", name).ok())
    assert document["RepoTags"] == [name + ":latest"]
    image_id = document["Id"]
    for text in (image_id, image_id[7:], image_id[7:19], document["RepoDigests"][0]):
        assert fresh_pod("image", "inspect", "--format", "{{.Id}}", text).ok() == image_id + "\n"
    assert fresh_pod("inspect", "-f", "{{.Os}}/{{.Architecture}}", name).ok().startswith("linux/")


def test_rmi_when_last_name_then_untagged_and_deleted(fresh_pod: Pod, registry: Registry) -> None:
    name = registry.name("busybox")
    fresh_pod("pull", "-q", name).ok()
    fresh_pod("tag", name, "mine:1").ok()
    assert fresh_pod("rmi", "mine:1").ok() == "Untagged: mine:1\n"
    lines = fresh_pod("image", "rm", name).ok().splitlines()
    assert lines[0] == f"Untagged: {name}:latest"
    assert lines[1].startswith(f"Untagged: {name}@sha256:")
    assert all(line.startswith("Deleted: sha256:") for line in lines[2:])
    assert len(lines) >= 4
    assert fresh_pod("images", "-q").ok() == ""
    assert list(Path(fresh_pod.root, "blobs/sha256").iterdir()) == []
    fresh_pod("rmi", name).failed(1, "No such image: " + name)
    fresh_pod("rmi", "-f", name)


def test_rmi_when_one_of_two_is_unknown_then_the_other_goes_and_status_is_1(fresh_pod: Pod, registry: Registry) -> None:
    name = registry.name("busybox")
    fresh_pod("pull", "-q", name).ok()
    result = fresh_pod("rmi", "none", name)
    assert result.code == 1
    assert f"Untagged: {name}:latest" in result.out
    assert "No such image: none" in result.err


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["pull", "Busybox"], 1, "repository name (library/Busybox) must be lowercase"),
        (["pull", ":::"], 1, "invalid reference format"),
        (["pull", "127.0.0.1:1/x"], 1, "127.0.0.1:1: Connection refused"),
        (["pull"], 125, "requires"),
        (["tag", "none", "x"], 1, "No such image: none:latest"),
        (["images", "--filter", "x=y"], 1, "invalid filter"),
        (["rmi"], 125, "requires"),
    ],
)
def test_image_commands_when_wrong_then_one_line_and_a_hint(
    offline_pod: Pod, arguments: list[str], code: int, words: str
) -> None:
    result = offline_pod(*arguments)
    if code == 1:
        result.failed(1, words)
    else:
        assert result.code in (1, 125)
        assert words in result.err


def test_pull_when_tag_unknown_then_nothing_left(fresh_pod: Pod, registry: Registry) -> None:
    error = fresh_pod("pull", registry.name("busybox:none")).failed(1, "manifest unknown")
    assert "hint: " in error
    blobs = Path(fresh_pod.root, "blobs/sha256")
    assert not blobs.exists() or not list(blobs.iterdir())


def test_pull_when_two_at_once_then_both_succeed(fresh_pod: Pod, registry: Registry) -> None:
    name = registry.name("busybox")
    running = [fresh_pod.start("pull", "-q", name) for _ in range(4)]
    for process in running:
        out, err = process.communicate(timeout=60)
        assert process.returncode == 0, err
        assert out.decode() == name + ":latest\n"
    assert len(fresh_pod("images", "-q").ok().split()) == 1
