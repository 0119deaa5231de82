"""images, history and image inspect through the command line: Docker's columns, fields and words."""

from __future__ import annotations

import calendar
import json
import re
import subprocess
import time
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.podcli import Pod
from tests.support.registry import Registry

pytestmark = [pytest.mark.docker_registry, pytest.mark.image("busybox:latest")]


def test_images_when_formatted_then_dockers_fields(fresh_pod: Pod, registry: Registry) -> None:
    name = fresh_pod.image("busybox:latest")
    row = json.loads(fresh_pod("images", "--format", "json").ok())
    assert sorted(row) == [
        "Containers", "CreatedAt", "CreatedSince", "Digest", "ID", "Repository", "SharedSize", "Size", "Tag",
        "UniqueSize", "VirtualSize",
    ]  # fmt: skip
    assert (row["Digest"], row["Containers"], row["SharedSize"]) == ("<none>", "N/A", "N/A")
    assert row["CreatedSince"].endswith(" ago")
    fresh_pod("tag", name, "mine:1").ok()
    other = fresh_pod.image("configured:latest")
    fresh_pod("create", "--name", "user", other).ok()
    text = "{{.Repository}}|{{.Containers}}|{{.SharedSize}}|{{.UniqueSize}}|{{.Digest}}"
    rows = dict(line.split("|", 1) for line in fresh_pod("images", "--format", text).ok().splitlines())
    assert len(rows) == 3
    assert rows["mine"].startswith("0|")
    assert rows["mine"].endswith("|0B|<none>")
    assert rows[other.rpartition(":")[0]].startswith("1|")
    assert "|sha256:" in rows[other.rpartition(":")[0]]
    table = fresh_pod("images", "--format", "table {{.ID}}\\t{{.CreatedAt}}", "--digests", "mine").ok().splitlines()
    assert table[0].split() == ["IMAGE", "ID", "CREATED", "AT", "DIGEST"]
    raw = fresh_pod("images", "--format", "raw", "mine").ok().splitlines()
    assert [line.split(":")[0] for line in raw[:5]] == ["repository", "tag", "image_id", "created_at", "virtual_size"]
    assert fresh_pod("images", "-q", "--format", "x{{.Tag}}", "mine").ok() == "x1\n"


def test_images_and_history_when_in_a_time_zone_then_go_s_times(fresh_pod: Pod, registry: Registry) -> None:
    name = fresh_pod.image("busybox:latest")
    zone = {"TZ": "JST-9"}
    utc = fresh_pod.inspect(name)["Created"]
    seconds = calendar.timegm(time.strptime(utc[:19], "%Y-%m-%dT%H:%M:%S")) + 9 * 3600
    local = time.strftime("%Y-%m-%d %H:%M:%S", time.gmtime(seconds))
    assert fresh_pod("images", "--format", "{{.CreatedAt}}", env=zone).ok() == f"{local} +0900 JST\n"
    assert fresh_pod("images", "--format", "{{.CreatedAt}}", env={"TZ": "UTC"}).ok().endswith(" +0000 UTC\n")
    row = fresh_pod("image", "history", "--format", "{{.CreatedAt}}", name, env=zone).ok().splitlines()[0]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+09:00", row)


def test_images_when_filters_are_combined_then_all_must_hold(fresh_pod: Pod, registry: Registry) -> None:
    name = fresh_pod.image("configured:latest")
    other = fresh_pod.image("busybox:latest")
    fresh_pod("tag", other, "team/busybox:1.36").ok()

    def found(*filters: str) -> list[str]:
        arguments = [word for text in filters for word in ("--filter", text)]
        return fresh_pod("images", "--format", "{{.Repository}}:{{.Tag}}", *arguments).ok().split()

    assert found("label=org.example.purpose=test") == [name]
    assert found("label=org.example.purpose=test", "reference=*/busybox") == []
    assert found("reference=*/busybox:1.*") == ["team/busybox:1.36"]
    assert found("reference=team/*", "reference=*/*/configured") == [name, "team/busybox:1.36"] or found(
        "reference=team/*", "reference=*/*/configured"
    ) == ["team/busybox:1.36", name]
    assert found("dangling=true") == []
    assert set(found("until=0s")) == {name, other, "team/busybox:1.36"}
    assert found("until=2000-01-01") == []
    assert found("before=" + name, "since=" + name) == []


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["images", "--filter", "x=y"], 1, "invalid filter 'x'"),
        (["images", "--filter", "x"], 125, "bad format of filter (expected name=value)"),
        (["images", "--filter", "dangling=maybe"], 1, "invalid filter 'dangling=[maybe]'"),
        (["images", "--filter", "reference=["], 1, "syntax error in pattern"),
        (["images", "o["], 1, "syntax error in pattern"),
        (["images", "--filter", "before=none"], 1, "No such image: none:latest"),
        (["images", "--filter", "until=soon"], 1, "failed to parse value as time or duration"),
        (["images", "a", "b"], 1, "requires at most 1 argument"),
        (["images", "--tree", "-q"], 1, "--quiet is not yet supported with --tree"),
        (["images", "--tree", "--digests"], 1, "--show-digest is not yet supported with --tree"),
        (["images", "--format", "{{.Nothing}}"], 0, ""),
        (["images", "--format", "{{"], 1, "template parsing error"),
        (["history"], 1, "requires exactly 1 argument"),
        (["image", "history", "none"], 1, "No such image: none:latest"),
        (["image", "history", "--platform", "xx/y/z/t", "none"], 125, "invalid platform"),
        (["image", "inspect", "none"], 1, "No such image: none:latest"),
        (["image", "inspect", "--size", "none"], 125, "unknown flag: --size"),
        (["tag", "a:b:c", "d"], 1, 'error parsing reference: "a:b:c" is not a valid repository/tag: invalid reference'),
        (["tag", "a", "A"], 1, 'error parsing reference: "A" is not a valid repository/tag'),
        (["tag", "none", "x@sha256:" + "0" * 64], 1, "No such image"),
        (["tag", "0" * 64, "x"], 1, "No such image: " + "0" * 64),
        (["tag", "a"], 1, "requires exactly 2 arguments"),
        (["image", "nonsense"], 1, "not a pod command"),
    ],
)  # fmt: skip
def test_image_commands_when_wrong_then_dockers_words(
    offline_pod: Pod, arguments: list[str], code: int, words: str
) -> None:
    result = offline_pod(*arguments)
    if code:
        result.failed(code, words)
    else:
        result.ok()


def test_images_when_as_a_tree_then_names_platform_and_use(fresh_pod: Pod, registry: Registry) -> None:
    name = fresh_pod.image("busybox:latest")
    fresh_pod("tag", name, "mine:1").ok()
    fresh_pod("create", name).ok()
    result = fresh_pod("images", "--tree")
    lines = result.ok().splitlines()
    assert "experimental" in result.err
    assert lines[0].split() == ["IMAGE", "ID", "DISK", "USAGE", "CONTENT", "SIZE", "USED"]
    assert lines[1] == name
    assert lines[2].split()[0] == "mine:1"
    assert lines[2].split()[-1] == "✔"
    assert lines[3].startswith("└─ linux/")


def test_history_when_asked_then_dockers_columns_and_sizes(fresh_pod: Pod, registry: Registry) -> None:
    name = fresh_pod.image("configured:latest")
    document = fresh_pod.inspect(name)
    lines = fresh_pod("history", name).ok().splitlines()
    assert lines[0].split() == ["IMAGE", "CREATED", "CREATED", "BY", "SIZE", "COMMENT"]
    assert lines[1].startswith(document["Id"][7:19])
    assert all(line.startswith("<missing>") for line in lines[2:])
    whole = fresh_pod("image", "history", "--no-trunc", "-q", name).ok().splitlines()
    assert whole[0] == document["Id"]
    rows = [
        json.loads(line)
        for line in fresh_pod("image", "history", "--human=false", "--no-trunc", "--format", "json", name)
        .ok()
        .splitlines()
    ]
    assert sorted(rows[0]) == ["Comment", "CreatedAt", "CreatedBy", "CreatedSince", "ID", "Size"]
    assert sum(int(row["Size"]) for row in rows) == document["Size"]
    assert fresh_pod("image", "history", "--format", "{{.Tags}}", name).code == 1
    fresh_pod("image", "history", "--platform", "linux/s390x", name).failed(1, "does not match the specified platform")
    assert fresh_pod("image", "history", "-q", "--platform", document["Os"] + "/" + document["Architecture"], name).ok()


@pytest.mark.skopeo
@pytest.mark.image("configured:latest")
def test_image_inspect_when_skopeo_reads_the_same_then_equal(fresh_pod: Pod, registry: Registry) -> None:
    name = fresh_pod.image("configured:latest")
    where = f"oci:{fresh_pod.root}:{name}"
    config = json.loads(_skopeo("inspect", "--config", where))
    seen = json.loads(_skopeo("inspect", where))
    document = fresh_pod.inspect(name)
    assert document["RootFS"]["Layers"] == config["rootfs"]["diff_ids"]
    assert (document["Architecture"], document["Os"]) == (config["architecture"], config["os"])
    assert document["Created"] == config["created"] == seen["Created"]
    assert document["Author"] == config.get("author", "")
    for key in ("User", "Env", "Entrypoint", "Cmd", "WorkingDir", "Labels", "StopSignal", "Volumes", "ExposedPorts"):
        assert document["Config"][key] == config["config"][key], key
    assert seen["Digest"] == document["Descriptor"]["digest"]
    text = "{{.CreatedBy}}|{{.Comment}}"
    steps = fresh_pod("image", "history", "--no-trunc", "--format", text, name).ok().splitlines()
    told = [f"{step.get('created_by', '')}|{step.get('comment', '')}" for step in reversed(config["history"])]
    assert steps == told
    assert fresh_pod("image", "inspect", "--platform", f"linux/{config['architecture']}", name).ok()
    refused = fresh_pod("image", "inspect", "--platform", "linux/s390x", name)
    assert (refused.out, refused.code) == ("[]\n", 1)


def _skopeo(*arguments: str) -> str:
    program = tools.find("skopeo")
    assert program is not None
    return subprocess.run([program, *arguments], capture_output=True, check=True, text=True, cwd=Path("/")).stdout


def test_image_group_when_asked_for_help_then_dockers_page(offline_pod: Pod) -> None:
    page = offline_pod("image", "--help").ok()
    assert page.startswith("Usage:  pod image COMMAND\n\nManage images\n\nCommands:\n  build     Build an image")
    assert page.endswith("Run 'pod image COMMAND --help' for more information on a command.\n")
    listed = [line.split()[0] for line in page.splitlines() if line.startswith("  ")]
    verbs = "build history import inspect load ls prune pull push rm save tag"
    assert listed == verbs.split()
    for name in listed:
        shown = offline_pod("image", name, "--help").ok()
        assert "Usage:  pod image " + name in shown
    assert "Aliases:\n  pod image ls, pod image list, pod images\n" in offline_pod("images", "--help").ok()
