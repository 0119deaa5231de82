"""`pod pull` as it is typed: Docker's lines to the letter, exit statuses, one line for each failure, -a -q --policy."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import random
import signal
import subprocess
import time
from pathlib import Path

import pytest

from pod.core.oci import platform
from tests.support.podcli import Pod, until
from tests.support.scripted import Scripted
from tests.unit.core.image.conftest import MANIFEST, Built, archive, digest

HOST = platform.host().architecture


def serve(server: Scripted, tag: str = "v1", *layers: bytes) -> tuple[str, Built]:
    built = Built(*(layers or (archive(a="1"), archive(b="2"))), architecture=HOST)
    return server.image(f"team/app:{tag}", built.manifest, built.blobs, MANIFEST), built


def short(built: Built) -> list[str]:
    return [layer["digest"][7:19] for layer in built.manifest_document["layers"]]


def test_pull_when_new_and_again_then_dockers_lines_to_the_letter(offline_pod: Pod, server: Scripted) -> None:
    name, built = serve(server, "latest")
    bare = name.rpartition(":")[0]
    lines = offline_pod("pull", bare).ok().splitlines()
    assert lines[:2] == ["Using default tag: latest", "latest: Pulling from team/app"]
    assert lines[-3:] == [f"Digest: {digest(built.manifest)}", f"Status: Downloaded newer image for {name}", name]
    middle = lines[2:-3]
    for layer in short(built):
        steps = [line.partition(": ")[2] for line in middle if line.startswith(layer + ": ")]
        assert steps == ["Pulling fs layer", "Verifying Checksum", "Download complete", "Pull complete"]
    assert len(middle) == 8
    assert offline_pod("pull", name).ok().splitlines() == [
        "latest: Pulling from team/app",
        f"Digest: {digest(built.manifest)}",
        f"Status: Image is up to date for {name}",
        name,
    ]


def test_pull_when_a_layer_is_shared_then_already_exists(offline_pod: Pod, server: Scripted) -> None:
    first, built = serve(server, "v1", archive(a="1"))
    second, _ = serve(server, "v2", archive(a="1"), archive(b="2"))
    offline_pod("pull", first).ok()
    assert f"{short(built)[0]}: Already exists" in offline_pod("pull", second).ok().splitlines()


def test_pull_when_by_digest_with_and_without_tag_then_that_image(offline_pod: Pod, server: Scripted) -> None:
    name, built = serve(server)
    bare = name.rpartition(":")[0]
    by_digest = f"{bare}@{digest(built.manifest)}"
    lines = offline_pod("pull", by_digest).ok().splitlines()
    assert lines[0] == f"{by_digest}: Pulling from team/app"
    assert lines[-2:] == [f"Status: Downloaded newer image for {by_digest}", by_digest]
    server.forget()
    assert offline_pod("pull", "-q", by_digest).ok() == by_digest + "\n"
    assert server.requests() == []
    both = offline_pod("pull", f"{name}@{digest(built.manifest)}").ok().splitlines()
    assert both[-2].startswith("Status: Image is up to date for ")


def test_pull_when_all_tags_then_each_and_the_name_last(offline_pod: Pod, server: Scripted) -> None:
    for tag in ("v1", "v2"):
        name, _ = serve(server, tag, archive(tag=tag))
    server.rules({"path": "/tags/list", "body": '{"name":"team/app","tags":["v2","v1"]}'})
    bare = name.rpartition(":")[0]
    lines = offline_pod("pull", "-a", bare).ok().splitlines()
    assert [line for line in lines if "Pulling from" in line] == [f"v{n}: Pulling from team/app" for n in (1, 2)]
    assert lines[-1] == bare
    offline_pod("pull", "-a", name).failed(1, "tag can't be used with --all-tags/-a")


def test_pull_when_policy_then_the_registry_or_the_store(offline_pod: Pod, server: Scripted) -> None:
    name, _ = serve(server)
    offline_pod("pull", "--policy", "never", name).failed(1, "No such image")
    assert server.requests() == []
    offline_pod("pull", "--policy=missing", "-q", name).ok()
    server.forget()
    assert offline_pod("pull", "--policy=missing", "-q", name).ok() == name + "\n"
    assert server.requests() == []
    offline_pod("pull", "--policy", "sometimes", name).failed(125, "invalid pull policy")
    offline_pod("pull", "--disable-content-trust", "-q", "--platform", f"linux/{HOST}", name).ok()


FAILURES: list[tuple[dict[str, object], tuple[str, ...]]] = [
    ({"path": "/manifests/", "status": 404}, ("manifest unknown", "hint:")),
    ({"path": "/manifests/", "status": 403}, ("pull access denied", "hint:")),
    ({"path": "/manifests/", "status": 429, "headers": {"Retry-After": "3600"}}, ("toomanyrequests", "in 3600 s")),
    ({"path": "/manifests/", "body": "nonsense"}, ("read manifest",)),
    ({"path": "LAYER", "flip": 7}, ("verify blob", "hint:")),
    ({"path": "LAYER", "body": "x"}, ("verify blob", "wrong size")),
    ({"path": "LAYER", "status": 404}, ("not found",)),
    ({"path": "LAYER", "redirect": "http://192.0.2.1/x?signature=s3cret"}, ("plain http is not allowed",)),
]  # fmt: skip


@pytest.mark.parametrize(("rule", "words"), FAILURES, ids=[str(number) for number in range(len(FAILURES))])
def test_pull_when_it_fails_then_one_line_status_1_and_nothing_left(
    offline_pod: Pod, server: Scripted, rule: dict[str, object], words: tuple[str, ...]
) -> None:
    name, built = serve(server, "v1", archive(a=random.Random(1).randbytes(60_000).hex()))
    layer = built.manifest_document["layers"][0]["digest"]
    server.rules({**rule, "path": str(rule["path"]).replace("LAYER", layer)})
    said = offline_pod("pull", name).failed(1, *words)
    assert "s3cret" not in said
    assert offline_pod("images", "-q").ok() == ""
    for folder in ("blobs/sha256", "trash", *(f"layers/{key}" for key in _listed(offline_pod.root / "layers"))):
        assert [one for one in _listed(offline_pod.root / folder) if one.startswith(".") or folder == "trash"] == []
    assert not offline_pod.leftovers()


def _listed(folder: Path) -> list[str]:
    return os.listdir(folder) if folder.exists() else []


def test_run_when_the_image_is_missing_and_its_layer_lies_then_125(offline_pod: Pod, server: Scripted) -> None:
    name, built = serve(server)
    server.rules({"path": built.manifest_document["layers"][1]["digest"], "flip": 3})
    offline_pod("run", "--rm", name, "true").failed(125, "verify blob")


def _sizes(parts: Path) -> list[int]:
    found = []
    for path in parts.glob(".part-*"):
        with contextlib.suppress(FileNotFoundError):  # done in this instant
            found.append(path.stat().st_size)
    return found


@pytest.mark.parametrize("group", [False, True], ids=["the process", "its group"])
def test_pull_when_interrupted_while_it_waits_then_130_at_once_and_the_next_goes_on(
    offline_pod: Pod, server: Scripted, group: bool
) -> None:
    text = base64.b64encode(random.Random(1).randbytes(3_000_000)).decode()
    name, built = serve(server, "v1", archive(a=text))
    layer = built.manifest_document["layers"][0]["digest"]
    server.rules({"path": layer, "stall": 2_000_000, "times": 1})
    argv = offline_pod.argv("pull", name)
    with subprocess.Popen(
        argv, env=offline_pod.environ(), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, start_new_session=True
    ) as process:
        parts = offline_pod.root / "blobs/sha256"
        until(lambda: 2_000_000 in _sizes(parts), 30, "the part")
        began = time.monotonic()
        (os.killpg if group else os.kill)(process.pid, signal.SIGINT)
        _, said = process.communicate(timeout=30)
    assert (process.returncode, said) == (130, b"")
    assert time.monotonic() - began < 10
    assert not offline_pod.leftovers()
    assert [path.stat().st_size for path in parts.glob(".*")] == [2_000_000]
    assert _listed(offline_pod.root / "trash") == []
    server.forget()
    offline_pod("pull", name).ok()
    assert [entry["headers"].get("Range") for entry in server.requests(layer)] == ["bytes=2000000-"]


def test_pull_when_blobs_lie_elsewhere_then_no_credential_goes_there(
    offline_pod: Pod, server: Scripted, tmp_path: Path
) -> None:
    """A password for the registry, a token by it, a redirect to a store of another host: who saw what."""
    name, built = serve(server)
    elsewhere = Scripted(tmp_path / "elsewhere")
    try:
        for data in built.blobs.values():
            elsewhere.add(data)
        auth = {"scheme": "bearer", "realm": f"http://{server.host}/token", "token": "t0k"}
        foreign = elsewhere.host.replace("127.0.0.1", "localhost")
        server.rules(
            {"path": "/v2/", "auth": auth},
            {"path": "/blobs/", "redirect": f"http://{foreign}{{path}}?signature=s"},
            {"path": "/token", "body": '{"token":"t0k"}'},
        )
        folder = offline_pod.home / ".docker"
        folder.mkdir()
        secret = base64.b64encode(b"user:secret").decode()
        (folder / "config.json").write_text(json.dumps({"auths": {server.host: {"auth": secret}}}))
        offline_pod("pull", name).ok()
        assert [entry["headers"]["Authorization"] for entry in server.requests("/token")] == ["Basic " + secret]
        assert {entry["headers"].get("Authorization") for entry in server.requests("/v2/")} == {None, "Bearer t0k"}
        assert len(elsewhere.requests()) == len(built.blobs)
        seen = json.dumps(elsewhere.requests())
        assert not any(word in seen for word in ("uthorization", secret, "t0k", "user", "Cookie"))
    finally:
        elsewhere.stop()
