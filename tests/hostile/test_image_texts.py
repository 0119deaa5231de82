"""What an image tells of itself (labels, history, author, times, sizes) cannot steer a terminal or end a command."""

from __future__ import annotations

import json
import random
import re
import time
from typing import Any

import pytest

from pod.core.oci import platform
from tests.support.podcli import Pod
from tests.support.registry import Registry
from tests.unit.core.image.conftest import Built, Pusher, archive

pytestmark = [pytest.mark.docker_registry, pytest.mark.alike, pytest.mark.pure]

HOST = platform.host().architecture
EVIL = "\x1b]0;owned\x07\x1b[2J\x9b31m\x7f\u202e\u2028\r\nfake: line\t\x00"
STEERS = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u202a-\u202e\u2028\u2029]")


def steers(text: str) -> bool:
    """Whether anything in the output of a command moves, colours, renames or reverses."""
    return bool(STEERS.search(text.replace("\r\n", "\n")))


def evil_image(pusher: Pusher, **more: Any) -> str:
    config = {"Labels": {EVIL: EVIL, "plain": EVIL}, "Env": ["A=" + EVIL], "Cmd": [EVIL], "User": EVIL}
    steps = [
        {"created": EVIL, "created_by": EVIL * 3, "comment": EVIL, "author": EVIL},
        {"created_by": "x" * 44 + EVIL, "empty_layer": True},
    ]
    document: dict[str, Any] = {"author": EVIL, "created": EVIL, "comment": EVIL, "config": config, "history": steps}
    return pusher.image("team/evil", "v1", Built(archive(one="1"), architecture=HOST, **{**document, **more}))


@pytest.mark.parametrize(
    "arguments",
    [
        ["images"], ["images", "--digests"], ["images", "--tree"], ["images", "--format", "table {{.CreatedAt}}"],
        ["image", "history", "NAME"], ["image", "history", "--no-trunc", "--human=false", "NAME"],
        ["image", "history", "--format", "table {{.CreatedBy}}\t{{.Comment}}", "--no-trunc", "NAME"],
        ["image", "history", "--format", "json", "--no-trunc", "NAME"],
        ["image", "inspect", "NAME"], ["inspect", "NAME"],
        ["images", "--filter", "label=plain", "--format", "json"],
    ],
)  # fmt: skip
def test_image_texts_in_tables_and_documents_are_escaped(
    fresh_pod: Pod, writable_registry: Registry, arguments: list[str]
) -> None:
    name = evil_image(Pusher(writable_registry))
    assert not steers(fresh_pod("pull", name).ok())
    shown = fresh_pod(*(name if word == "NAME" else word for word in arguments)).ok()
    assert shown
    assert not steers(shown)
    if "inspect" in arguments:
        (document,) = json.loads(shown)
        assert document["Author"] == document["Config"]["Labels"][EVIL] == EVIL
    elif arguments[:2] == ["image", "history"] and "json" not in arguments:
        assert len(shown.splitlines()) == 3, "no line is made up"


@pytest.mark.parametrize(
    "arguments",
    [
        ["image", "history", "--no-trunc", "--format", "{{.CreatedBy}}|{{.Comment}}", "NAME"],
        ["image", "inspect", "--format", "{{.Author}}{{range $k, $v := .Config.Labels}}{{$k}}{{$v}}{{end}}", "NAME"],
        ["image", "inspect", "--format", "{{json .}}", "NAME"],
        ["inspect", "--format", "{{.Config.Env}}", "NAME"],
        ["inspect", "--format", "json", "NAME"],
    ],
)
def test_image_texts_through_a_template_are_escaped_on_a_terminal_and_whole_in_a_pipe(
    fresh_pod: Pod, writable_registry: Registry, arguments: list[str]
) -> None:
    name = evil_image(Pusher(writable_registry))
    fresh_pod("pull", "-q", name).ok()
    words = [name if word == "NAME" else word for word in arguments]
    terminal = fresh_pod.terminal(*words, columns=200)
    assert terminal.wait() == 0
    assert b"owned" in terminal.seen
    assert not steers(terminal.seen.decode())
    piped = fresh_pod(*words).ok()
    assert "\\u001b" in piped if "json" in "".join(arguments) else EVIL.replace("\t", " ")[:20] in piped


NONSENSE = [None, 5, -1, 1.5, True, "", "x", [], {}, [None], {"a": None}, ["\x1b[2J"], {"\x1b": []}, 10**400, "\ud800"]


@pytest.mark.parametrize("seed", range(4))
def test_image_documents_of_wrong_kinds_end_in_output_or_one_line(
    fresh_pod: Pod, writable_registry: Registry, seed: int
) -> None:
    chance = random.Random(seed)
    pusher = Pusher(writable_registry)
    installed = 0
    for number in range(6):
        document = {key: chance.choice(NONSENSE) for key in ("author", "comment", "docker_version", "history")}
        inner = {
            key: chance.choice(NONSENSE) for key in ("Labels", "Env", "Cmd", "Entrypoint", "Volumes", "Healthcheck")
        }
        built = Built(archive(one=str(number)), **{"architecture": HOST, "config": inner, **document})
        name = pusher.image("team/odd", f"v{number}", built)
        result = fresh_pod("pull", "-q", name)
        if result.code:
            result.failed(1)
            continue
        installed += 1
        fresh_pod("inspect", "-f", "{{.Config}}", name).ok()
        for arguments in (["image", "history", name], ["image", "inspect", name]):
            assert not steers(fresh_pod(*arguments).ok())
    assert installed
    listing = fresh_pod("images", "--filter", "label=a").ok() + fresh_pod("images", "--tree").ok()
    assert not steers(listing + fresh_pod("images").ok())
    fresh_pod("image", "prune", "-af").ok()
    assert fresh_pod("images", "-q").ok() == ""


def test_image_history_of_a_hundred_thousand_steps_is_bounded(fresh_pod: Pod, writable_registry: Registry) -> None:
    steps = [{"created_by": str(number), "empty_layer": True} for number in range(100000)]
    name = evil_image(Pusher(writable_registry), history=steps)
    result = fresh_pod("pull", "-q", name)
    result.ok()
    start = time.monotonic()
    result = fresh_pod("image", "history", name)
    assert time.monotonic() - start < 10
    assert len(result.ok().splitlines()) == 10001
    assert "only the newest 10000 steps are shown" in result.err
