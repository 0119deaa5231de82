"""Pushes to a registry that follows a script: what is sent, sent again, gone on with, and given up."""

from __future__ import annotations

import gzip
import json
import os
import random
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pod.core.engine import Engine
from pod.core.errors import NoSuchImage, PodError, RegistryError, StoreCorrupt, Unauthorized
from pod.core.image import pull, push, store
from pod.core.oci import platform
from pod.core.registry import retry, upload
from tests.support.scripted import Scripted
from tests.unit.core.image.conftest import INDEX, MANIFEST, Built, Told, archive, digest, index_of

HOST = platform.host().architecture
SIZE = 3 << 20
PLAIN = "application/vnd.oci.image.layer.v1.tar"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Scripted, Scripted]]:
    """Where from and where to."""
    base = tmp_path_factory.mktemp("servers")
    source, target = Scripted(base / "source"), Scripted(base / "target")
    yield source, target
    source.stop()
    target.stop()


@pytest.fixture(scope="module")
def built() -> Built:
    """An image of a large layer, which does not compress, and a small one."""
    noise = random.Random(7).randbytes(SIZE).decode("latin-1")
    return Built(archive(a="1"), archive(noise=noise), architecture=HOST)


@pytest.fixture(scope="module")
def store_of_module(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    base = tmp_path_factory.mktemp("engine")
    (base / "home").mkdir()
    return {"HOME": str(base / "home"), "POD_RUN_DIR": str(base), "PATH": "/usr/bin:/bin", "POD_ROOT": f"{base}/store"}


@pytest.fixture
def engine(store_of_module: dict[str, str], told: Told) -> Iterator[Engine]:
    """One store for all, names are forgotten with each test."""
    made = Engine(dict(store_of_module), progress=told)
    yield made
    for ref in os.listdir(made.paths.refs):
        if "team" not in ref:
            os.unlink(f"{made.paths.refs}/{ref}")


@pytest.fixture
def server(servers: tuple[Scripted, Scripted]) -> Scripted:
    servers[0].forget()
    return servers[0]


@pytest.fixture
def target(servers: tuple[Scripted, Scripted]) -> Scripted:
    """Where to: empty."""
    servers[1].clear()
    for blob in (servers[1].folder / "blobs/sha256").iterdir():
        blob.unlink()
    return servers[1]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Little files are large here, and nobody pauses for long."""
    monkeypatch.setattr(upload, "SMALL", 1 << 10)
    monkeypatch.setattr(upload, "LEAST", 1 << 18)
    monkeypatch.setattr(retry, "PAUSE", 0.01)


@pytest.fixture
def name(engine: Engine, server: Scripted, target: Scripted, built: Built) -> str:
    """The image in the store, under a name at the target."""
    made = server.image("team/app:v1", built.manifest, built.blobs, MANIFEST)
    pull.pull(engine, made, policy="missing")
    store.tag(engine, made, f"{target.host}/other/app:v1")
    return f"{target.host}/other/app:v1"


def large(built: Built) -> str:
    return str(built.manifest_document["layers"][1]["digest"])


def there(target: Scripted, built: Built) -> bool:
    """Whether the target has each blob, byte by byte, and the manifest."""
    folder = target.folder / "blobs/sha256"
    whole = {**built.blobs, digest(built.manifest): built.manifest}
    return all((folder / name[7:]).read_bytes() == data for name, data in whole.items())


def sent(target: Scripted, method: str) -> list[dict[str, Any]]:
    return [one for one in target.requests() if one["method"] == method]


def test_push_when_new_then_layers_and_manifest_are_there_to_the_byte(
    engine: Engine, target: Scripted, name: str, built: Built, told: Told
) -> None:
    told.events.clear()
    push.push(engine, name)
    assert there(target, built)
    assert told.events[0] == ("pushing", {"name": f"{target.host}/other/app"})
    manifest = built.manifest
    assert told.events[-1] == ("pushed", {"tag": "v1", "digest": digest(manifest), "size": len(manifest)})
    statuses = told.texts("layer", "status")
    assert statuses.count("Preparing") == statuses.count("Pushed") == 2
    assert [one["path"].partition("?")[0].rpartition("/")[2] for one in sent(target, "PUT")][-1] == "v1"
    assert len(sent(target, "PATCH")) == 1
    assert all("Content-Range" not in one["headers"] for one in sent(target, "PATCH"))
    assert store.read_ref(engine, f"{target.host}/other/app@{digest(manifest)}") is not None


def test_push_when_all_is_there_then_nothing_is_sent_but_the_manifest(
    engine: Engine, target: Scripted, name: str, built: Built, told: Told
) -> None:
    push.push(engine, name)
    target.forget()
    told.events.clear()
    push.push(engine, name)
    assert [one["path"] for one in sent(target, "PUT")] == ["/v2/other/app/manifests/v1"]
    assert not sent(target, "POST")
    assert told.texts("layer", "status").count("Layer already exists") == 2


def test_push_when_pulled_from_another_repository_there_then_mounted(
    engine: Engine, target: Scripted, name: str, built: Built, told: Told
) -> None:
    push.push(engine, name)
    store.tag(engine, name, f"{target.host}/third/app:v1")
    target.rules({"method": "HEAD", "path": "/third/", "status": 404})
    target.forget()
    told.events.clear()
    push.push(engine, f"{target.host}/third/app:v1")
    assert not sent(target, "PATCH")
    assert told.texts("layer", "status").count("Mounted from other/app") == 2
    queries = [one["path"].partition("?")[2] for one in sent(target, "POST")]
    assert f"mount={large(built)}&from=other/app" in queries


def test_push_when_a_mount_is_refused_then_uploaded(
    engine: Engine, target: Scripted, name: str, built: Built, told: Told
) -> None:
    push.push(engine, name)
    store.tag(engine, name, f"{target.host}/third/app:v1")
    target.rules({"method": "HEAD", "path": "/third/", "status": 404}, {"path": "?mount=", "status": 403})
    told.events.clear()
    push.push(engine, f"{target.host}/third/app:v1")
    assert told.texts("layer", "status").count("Pushed") == 2


def test_push_when_the_connection_ends_in_the_middle_then_goes_on_there(
    engine: Engine, target: Scripted, name: str, built: Built
) -> None:
    target.rules({"method": "PATCH", "take": 2 << 20, "times": 1})
    push.push(engine, name)
    assert there(target, built)
    first, second = sent(target, "PATCH")
    assert first["length"] == len(built.blobs[large(built)])
    assert second["headers"]["Content-Range"].partition("-")[0] == str(2 << 20)
    assert second["length"] == first["length"] - (2 << 20)


def test_push_when_the_upload_is_forgotten_then_begun_again(
    engine: Engine, target: Scripted, name: str, built: Built
) -> None:
    target.rules({"method": "PATCH", "forget": True, "times": 1})
    push.push(engine, name)
    assert there(target, built)
    assert len(sent(target, "PATCH")) == 2


def test_push_when_every_upload_is_forgotten_then_ends_with_one_error(
    engine: Engine, target: Scripted, name: str
) -> None:
    target.rules({"method": "PATCH", "forget": True})
    with pytest.raises(RegistryError, match="forgot the upload"):
        push.push(engine, name)
    assert len(sent(target, "PATCH")) == retry.ATTEMPTS
    assert not [one for one in sent(target, "PUT") if "/manifests/" in one["path"]]


def test_push_when_the_last_answer_is_lost_then_the_blob_is_found_there(
    engine: Engine, target: Scripted, name: str, built: Built
) -> None:
    target.rules({"method": "PUT", "path": large(built), "status": 502, "times": 1}, {"method": "GET", "status": 404})
    (target.folder / "blobs/sha256" / large(built)[7:]).write_bytes(built.blobs[large(built)])
    target.rules(
        {"method": "HEAD", "path": large(built), "status": 404, "times": 1},
        {"method": "PUT", "path": large(built), "status": 502, "times": 1},
        {"method": "GET", "path": "uploads", "status": 404},
    )
    push.push(engine, name)
    assert len(sent(target, "PATCH")) == 1


def test_push_when_bodies_are_too_large_then_in_pieces(
    engine: Engine, target: Scripted, name: str, built: Built
) -> None:
    target.rules({"method": "PATCH", "most": 1 << 20})
    push.push(engine, name)
    assert there(target, built)
    taken = [one for one in sent(target, "PATCH") if one["length"] <= 1 << 20]
    assert sum(one["length"] for one in taken) == len(built.blobs[large(built)])
    assert all("Content-Range" in one["headers"] for one in taken)


def test_push_when_throttled_then_waits_as_told(engine: Engine, target: Scripted, name: str, built: Built) -> None:
    target.rules({"method": "POST", "status": 429, "headers": {"Retry-After": "1"}, "times": 1})
    begin = time.monotonic()
    push.push(engine, name)
    assert time.monotonic() - begin >= 1
    assert there(target, built)


def test_push_when_throttled_for_long_then_says_how_long(engine: Engine, target: Scripted, name: str) -> None:
    target.rules({"method": "POST", "status": 429, "headers": {"Retry-After": "3600"}})
    with pytest.raises(RegistryError, match="toomanyrequests") as caught:
        push.push(engine, name)
    assert "3600 s" in str(caught.value.hint)


@pytest.mark.parametrize("status", [500, 503])
def test_push_when_the_server_is_in_trouble_for_a_while_then_succeeds(
    engine: Engine, target: Scripted, name: str, built: Built, status: int
) -> None:
    target.rules({"method": "PUT", "status": status, "times": 2}, {"method": "PATCH", "status": status, "times": 1})
    push.push(engine, name)
    assert there(target, built)


def test_push_when_denied_then_one_line_and_no_second_try(engine: Engine, target: Scripted, name: str) -> None:
    target.rules({"method": "POST", "status": 403})
    with pytest.raises(Unauthorized, match="denied: requested access to the resource is denied") as caught:
        push.push(engine, name)
    assert "pod login" in str(caught.value.hint)
    assert len(sent(target, "POST")) == 1


def test_push_when_the_registry_gets_other_bytes_then_says_so(engine: Engine, target: Scripted, name: str) -> None:
    body = '{"errors":[{"code":"DIGEST_INVALID","message":"provided digest did not match"}]}'
    target.rules({"method": "PUT", "path": "uploads", "status": 400, "body": body})
    with pytest.raises(RegistryError, match="DIGEST_INVALID"):
        push.push(engine, name)


def test_push_when_uploads_are_elsewhere_then_credentials_do_not_follow(
    engine: Engine, target: Scripted, server: Scripted, name: str, tmp_path: Path
) -> None:
    engine.environ["DOCKER_CONFIG"] = str(tmp_path)
    login = {"auths": {target.host: {"username": "u", "password": "secret"}}}
    (tmp_path / "config.json").write_text(json.dumps(login))
    elsewhere = f"http://localhost:{server.port}/v2/x/blobs/uploads/{{id}}"
    target.rules(
        {"auth": {"scheme": "basic", "user": "u:secret"}},
        {"method": "POST", "path": "uploads", "location": elsewhere},
    )
    server.forget()
    with pytest.raises(RegistryError, match="forgot the upload"):
        push.push(engine, name)  # The other place knows of no such upload.
    asked = server.requests("uploads")
    assert asked
    assert all("Authorization" not in one["headers"] for one in asked)
    assert any("Authorization" in one["headers"] for one in sent(target, "POST"))


def test_push_when_the_registry_says_it_has_more_than_was_sent_then_asked_again(
    engine: Engine, target: Scripted, name: str, built: Built
) -> None:
    target.rules({"method": "PATCH", "said": 1 << 60})
    push.push(engine, name)
    assert there(target, built)
    assert len(sent(target, "PATCH")) == 1


def test_push_when_the_registry_always_says_it_has_nothing_then_an_end(
    engine: Engine, target: Scripted, name: str
) -> None:
    target.rules({"method": "PATCH", "said": 1}, {"method": "GET", "path": "uploads", "status": 204})
    with pytest.raises(RegistryError, match="from 0 to 0"):
        push.push(engine, name)
    assert len(sent(target, "PATCH")) == retry.ATTEMPTS


def test_push_when_the_index_is_whole_at_the_registry_then_the_index(
    engine: Engine, server: Scripted, target: Scripted, built: Built
) -> None:
    other = Built(archive(b="2"), architecture="s390x")
    raw = index_of(built, other)
    server.image("team/app:x", built.manifest, built.blobs, MANIFEST)
    made = server.image("team/app:multi", raw, {}, INDEX)
    pull.pull(engine, made)
    to = f"{target.host}/other/app:multi"
    store.tag(engine, made, to)
    push.push(engine, to)
    manifests = [one for one in sent(target, "PUT") if "/manifests/" in one["path"]]
    assert [one["headers"]["Content-Type"] for one in manifests] == [MANIFEST]
    target.image("other/app:s390x", other.manifest, other.blobs, MANIFEST)
    target.forget()
    push.push(engine, to)
    manifests = [one for one in sent(target, "PUT") if "/manifests/" in one["path"]]
    assert [one["headers"]["Content-Type"] for one in manifests] == [MANIFEST, INDEX]
    assert (target.folder / "blobs/sha256" / digest(raw)[7:]).read_bytes() == raw
    push.push(engine, to, platform=f"linux/{HOST}")
    with pytest.raises(NoSuchImage, match="s390x"):
        push.push(engine, to, platform="linux/s390x")


def test_push_when_all_tags_then_each_of_that_repository(engine: Engine, target: Scripted, name: str) -> None:
    store.tag(engine, name, f"{target.host}/other/app:v2")
    store.tag(engine, name, f"{target.host}/other/application:v3")
    push.push(engine, f"{target.host}/other/app", all_tags=True)
    tags = [one["path"].rpartition("/")[2] for one in sent(target, "PUT") if "/manifests/" in one["path"]]
    assert tags == ["v1", "v2"]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("HOST/other/app:nope", "An image does not exist locally with the tag: HOST/other/app:nope"),
        ("HOST/other/app@sha256:" + "1" * 64, "cannot push a digest reference"),
        ("UPPER", "must be lowercase"),
    ],
)
def test_push_when_there_is_no_such_name_then_dockers_words(
    engine: Engine, target: Scripted, name: str, text: str, words: str
) -> None:
    with pytest.raises(PodError) as caught:
        push.push(engine, text.replace("HOST", target.host))
    assert words.replace("HOST", target.host) in caught.value.message


def test_push_when_a_layer_is_plain_then_compressed_once_and_not_kept(
    engine: Engine, server: Scripted, target: Scripted, told: Told
) -> None:
    plain = archive(a="1" * 100_000)
    built = Built(plain, architecture=HOST)
    layer = {"mediaType": PLAIN, "digest": digest(plain), "size": len(plain)}
    built.manifest_document["layers"] = [layer]
    built.blobs[digest(plain)] = plain
    made = server.image("team/plain:plain", built.manifest, built.blobs, MANIFEST)
    pull.pull(engine, made)
    to = f"{target.host}/other/plain:v1"
    store.tag(engine, made, to)
    before = sorted(os.listdir(engine.paths.blobs))
    push.push(engine, to)
    (put,) = [one for one in sent(target, "PUT") if one["path"].endswith("/manifests/v1")]
    index = json.loads((target.folder / "index.json").read_text())
    manifest = json.loads((target.folder / "blobs/sha256" / index["manifests"][0]["digest"][7:]).read_bytes())
    (there,) = manifest["layers"]
    assert put["headers"]["Content-Type"] == MANIFEST
    assert there["mediaType"] == PLAIN + "+gzip"
    assert gzip.decompress((target.folder / "blobs/sha256" / there["digest"][7:]).read_bytes()) == plain
    assert manifest["config"]["digest"] == built.id
    assert sorted(os.listdir(engine.paths.blobs)) == before
    told.events.clear()
    push.push(engine, to)
    assert "Layer already exists" in told.texts("layer", "status")
    (target.folder / "blobs/sha256" / there["digest"][7:]).unlink()
    push.push(engine, to)  # Known to the cache, lost by the registry.
    assert (target.folder / "blobs/sha256" / there["digest"][7:]).exists()


def test_push_when_a_plain_layer_is_damaged_then_says_so_and_sends_nothing(
    engine: Engine, server: Scripted, target: Scripted
) -> None:
    plain = archive(b="2" * 1000)
    built = Built(plain, architecture=HOST)
    built.manifest_document["layers"] = [{"mediaType": PLAIN, "digest": digest(plain), "size": len(plain)}]
    built.blobs[digest(plain)] = plain
    made = server.image("team/damaged:damaged", built.manifest, built.blobs, MANIFEST)
    pull.pull(engine, made)
    store.tag(engine, made, f"{target.host}/other/damaged:v1")
    Path(engine.paths.blob(digest(plain))).write_bytes(plain[::-1])
    with pytest.raises(StoreCorrupt, match="its content has changed"):
        push.push(engine, f"{target.host}/other/damaged:v1")
    assert not sent(target, "POST")
