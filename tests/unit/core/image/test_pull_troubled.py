"""Pulls from a registry that breaks off, stalls, lies and hinders: what is resumed, what is asked, what is left."""

from __future__ import annotations

import base64
import functools
import os
import random
import signal
import time
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.errors import DigestMismatch, PodError, RegistryError
from pod.core.image import blobs, layers, layout, pull, store
from pod.core.oci import platform
from pod.core.registry import framing, retry, transport
from tests.support.scripted import Scripted
from tests.unit.core.image.conftest import MANIFEST, Built, Told, archive
from tests.unit.core.image.test_interrupted import hidden, in_child

HOST = platform.host().architecture


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE", 0.02)


@functools.lru_cache
def big(seed: int = 1, size: int = 4_000_000) -> Built:
    """One layer that does not compress: ``size`` bytes and a little."""
    text = random.Random(seed).randbytes(size * 3 // 4)
    return Built(archive(big=base64.b64encode(text).decode(), small="x"), architecture=HOST)


def serve(server: Scripted, built: Built, name: str = "team/app:v1") -> str:
    return server.image(name, built.manifest, built.blobs, MANIFEST)


def layer_of(built: Built) -> str:
    digest: str = built.manifest_document["layers"][0]["digest"]
    return digest


def starts(server: Scripted, digest: str) -> list[str]:
    return [entry["headers"].get("Range", "") for entry in server.requests(digest)]


def test_pull_when_the_transfer_is_cut_then_goes_on_by_range(engine: Engine, server: Scripted) -> None:
    built = big()
    name = serve(server, built)
    server.rules({"path": layer_of(built), "cut": 1_100_000, "times": 2})
    image = pull.pull(engine, name)
    assert starts(server, layer_of(built)) == ["", "bytes=1100000-", "bytes=2200000-"]
    (folder,) = layers.ensure(engine, image)
    assert Path(folder, "diff/small").read_text() == "x"
    assert hidden(engine) == []


@pytest.mark.parametrize("mode", ["ignore", "lie", "refuse"])
def test_pull_when_the_range_is_not_honoured_then_from_the_start(engine: Engine, server: Scripted, mode: str) -> None:
    built = big()
    name = serve(server, built)
    server.rules({"path": layer_of(built), "cut": 1_100_000, "times": 1}, {"path": "/blobs/", "range": mode})
    image = pull.pull(engine, name)
    assert len(layers.ensure(engine, image)) == 1
    assert hidden(engine) == []


def test_pull_when_killed_then_the_next_command_goes_on(engine: Engine, server: Scripted) -> None:
    built = big()
    digest = layer_of(built)
    name = serve(server, built)
    server.rules({"path": digest, "stall": 2_000_000})
    pid = in_child(lambda: pull.pull(Engine(engine.environ, root=engine.paths.root), name))
    deadline = time.monotonic() + 30
    while not any(os.stat(path).st_size >= 2_000_000 for path in hidden(engine) if ".part-" in path):
        assert time.monotonic() < deadline
        time.sleep(0.02)
    os.kill(pid, signal.SIGKILL)
    os.waitpid(pid, 0)
    server.rules()
    server.forget()
    image = pull.pull(engine, name)
    assert starts(server, digest) == ["bytes=2000000-"]
    assert len(layers.ensure(engine, image)) == 1


def test_pull_when_what_the_dead_left_is_wrong_then_once_more_from_the_start(engine: Engine, server: Scripted) -> None:
    built = big()
    digest = layer_of(built)
    name = serve(server, built)
    layout.prepare(engine)
    writer = blobs.Writer(engine, digest, len(built.blobs[digest])).__enter__()
    writer.write(bytes(1_500_000))
    os.close(writer._fd)
    image = pull.pull(engine, name)
    assert starts(server, digest) == ["bytes=1500000-", ""]
    assert len(layers.ensure(engine, image)) == 1
    assert hidden(engine) == []


def test_pull_when_twenty_at_once_then_each_blob_is_fetched_once(engine: Engine, server: Scripted) -> None:
    built = big(size=2_000_000)
    name = serve(server, built)
    assert engine.run_dir
    server.rules({"path": layer_of(built), "rate": 2_000_000})

    def work() -> None:
        mine = Engine(engine.environ, root=engine.paths.root)
        assert len(layers.ensure(mine, pull.pull(mine, name))) == 1
        os._exit(7)

    children = [in_child(work) for _ in range(20)]
    assert [os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in children] == [7] * 20
    for digest in built.blobs:
        assert len(server.requests(digest)) == 1, digest


def test_pull_when_the_one_who_downloads_is_stopped_then_another_goes_ahead(
    engine: Engine, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = big()
    name = serve(server, built)
    assert engine.run_dir
    server.rules({"path": layer_of(built), "stall": 1_000_000, "times": 1})
    pid = in_child(lambda: pull.pull(Engine(engine.environ, root=engine.paths.root), name))
    while not server.requests(layer_of(built)):
        time.sleep(0.02)
    monkeypatch.setattr(blobs.Turn, "STALL", 0.5)
    began = time.monotonic()
    try:
        assert pull.pull(engine, name)
        assert time.monotonic() - began < 20
    finally:
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def test_pull_when_nothing_has_changed_then_one_head(engine: Engine, server: Scripted, told: Told) -> None:
    name = serve(server, big(size=1000))
    pull.pull(engine, name)
    assert [entry["method"] for entry in server.requests()].count("HEAD") == 0
    server.forget()
    told.events.clear()
    pull.pull(engine, name)
    assert [(entry["method"], entry["path"]) for entry in server.requests()] == [("HEAD", "/v2/team/app/manifests/v1")]
    assert told.texts("status", "text") == [f"Image is up to date for {name}"]


@pytest.mark.parametrize(
    "rule", [{"status": 405}, {"status": 404}, {"headers": {"Docker-Content-Digest": None}}], ids=str
)
def test_pull_when_head_does_not_tell_then_get(engine: Engine, server: Scripted, rule: dict[str, object]) -> None:
    name = serve(server, big(size=1000))
    pull.pull(engine, name)
    server.forget()
    server.rules({"method": "HEAD", **rule})
    assert pull.pull(engine, name)
    assert [entry["method"] for entry in server.requests()] == ["HEAD", "GET"]


def test_pull_when_new_then_nothing_is_asked_twice(engine: Engine, server: Scripted) -> None:
    built = Built(archive(a="1"), archive(b="2"), archive(a="1"), architecture=HOST)
    name = serve(server, built)
    auth = {"scheme": "bearer", "realm": f"http://{server.host}/token", "token": "t"}
    server.rules({"path": "/v2/", "auth": auth}, {"path": "/token", "body": '{"token":"t","expires_in":300}'})
    pull.pull(engine, name)
    paths = [entry["path"].partition("?")[0] for entry in server.requests()]
    assert paths.count("/token") == 1
    assert paths.count("/v2/team/app/manifests/v1") == 2  # Once without the token, once with it.
    blob_paths = [path for path in paths if "/blobs/" in path]
    assert len(blob_paths) == len(set(blob_paths)) == len(built.blobs)


def test_pull_when_a_token_ends_in_the_middle_then_one_new_token(engine: Engine, server: Scripted) -> None:
    built = Built(*(archive(**{f"f{n}": str(n)}) for n in range(4)), architecture=HOST)
    name = serve(server, built)
    realm = f"http://{server.host}/token"
    server.rules(
        {"path": "/manifests/", "auth": {"scheme": "bearer", "realm": realm, "token": "first"}},
        {"path": "/blobs/", "auth": {"scheme": "bearer", "realm": realm, "token": "second"}},
        {"path": "/token", "body": '{"token":"first"}', "times": 1},
        {"path": "/token", "body": '{"token":"second"}'},
    )
    assert pull.pull(engine, name)
    assert len(server.requests("/token")) == 2


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_pull_when_a_status_passes_then_tried_again(engine: Engine, server: Scripted, status: int) -> None:
    name = serve(server, big(size=1000))
    server.rules(*({"path": path, "status": status, "times": 2} for path in ("/manifests/", "/blobs/")))
    assert pull.pull(engine, name)


@pytest.mark.parametrize("status", [400, 401, 403, 404, 405, 410, 418, 501])
def test_pull_when_a_status_is_final_then_asked_once(engine: Engine, server: Scripted, status: int) -> None:
    name = serve(server, big(size=1000))
    server.rules({"path": "/manifests/", "status": status})
    with pytest.raises(RegistryError):
        pull.pull(engine, name)
    assert len(server.requests("/manifests/")) == 1


def test_pull_when_told_to_wait_then_waits_that_long(engine: Engine, server: Scripted) -> None:
    name = serve(server, big(size=1000))
    server.rules({"path": "/manifests/", "status": 429, "headers": {"Retry-After": "1"}, "times": 1})
    began = time.monotonic()
    assert pull.pull(engine, name)
    assert 1.0 <= time.monotonic() - began < 10


def test_pull_when_told_to_wait_for_long_then_says_so_at_once(engine: Engine, server: Scripted) -> None:
    name = serve(server, big(size=1000))
    server.rules({"path": "/manifests/", "status": 429, "headers": {"Retry-After": "86400"}})
    began = time.monotonic()
    with pytest.raises(RegistryError, match="toomanyrequests") as caught:
        pull.pull(engine, name)
    assert time.monotonic() - began < 5
    assert "try again in 86400 s" in str(caught.value.hint)
    assert len(server.requests("/manifests/")) == 1


def test_asked_wait_when_date_number_or_nonsense_then_seconds() -> None:
    later = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 30))
    assert 25 < retry.asked_wait(later) <= 30
    assert retry.asked_wait("7") == 7
    for text in ("", "soon", "-5", "Thu, 01 Jan 1970 00:00:00 GMT", "Thu, 99 Foo 1970", "9" * 5000, "²"):
        assert retry.asked_wait(text) in (0.0, 999999999.0)


@pytest.mark.parametrize(
    ("rule", "error", "words"),
    [
        ({"path": "BLOB", "flip": 100_000}, DigestMismatch, "verify blob"),
        ({"path": "BLOB", "cut": 1_500_000, "range": "refuse"}, RegistryError, "read answer"),
        ({"path": "BLOB", "body": "short"}, DigestMismatch, "wrong size"),
        ({"path": "BLOB", "status": 404}, RegistryError, "not found"),
        ({"path": "BLOB", "status": 503}, RegistryError, "status 503"),
        ({"path": "BLOB", "redirect": "http://192.0.2.1/x"}, RegistryError, "plain http is not allowed"),
        ({"path": "/manifests/", "body": "{}"}, RegistryError, "read manifest"),
        ({"path": "/manifests/", "headers": {"Content-Type": "text/html"}}, RegistryError, "manifest"),
        ({"path": "/manifests/", "cut": 10}, RegistryError, "read answer"),
    ],
    ids=str,
)
def test_pull_when_the_registry_fails_for_good_then_one_line_and_nothing_left(
    engine: Engine, server: Scripted, rule: dict[str, object], error: type[PodError], words: str
) -> None:
    built = big(size=900_000) if rule.get("status") or rule.get("redirect") else big()
    name = serve(server, built)
    server.rules({**rule, "path": str(rule["path"]).replace("BLOB", layer_of(built))})
    began = time.monotonic()
    with pytest.raises(error) as caught:
        pull.pull(engine, name)
    assert time.monotonic() - began < 30
    assert words in caught.value.message
    assert "\n" not in caught.value.message
    assert store.list_images(engine) == []
    left = hidden(engine)
    assert all(".part-" in path and os.stat(path).st_size >= blobs.Writer.KEEP for path in left)
    assert not left or "cut" in rule
    assert not os.path.exists(engine.paths.trash) or os.listdir(engine.paths.trash) == []


def test_pull_when_the_body_stalls_then_the_attempt_ends_and_the_next_goes_on(
    engine: Engine, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "TIMEOUT", transport.urllib3.Timeout(connect=5.0, read=0.5))
    built = big()
    name = serve(server, built)
    server.rules({"path": layer_of(built), "stall": 1_500_000, "times": 1})
    assert pull.pull(engine, name)
    assert starts(server, layer_of(built)) == ["", "bytes=1500000-"]


def test_pull_when_the_body_trickles_then_too_slow(
    engine: Engine, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "SLOW_TIME", 0.5)
    monkeypatch.setattr(transport, "SLOWEST", 10_000_000)
    built = big()
    server.rules({"path": layer_of(built), "rate": 100_000})
    with pytest.raises(RegistryError, match="too slow"):
        pull.pull(engine, serve(server, built))


def test_pull_when_headers_drip_then_bounded(engine: Engine, server: Scripted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(framing, "HEAD_TIME", 0.5)
    monkeypatch.setattr(transport, "TIMEOUT", transport.urllib3.Timeout(connect=5.0, read=0.5))
    monkeypatch.setattr(retry, "ATTEMPTS", 2)
    server.rules({"path": "/manifests/", "drip": 0.1})  # a hundred lines would end it, too, in ten seconds
    began = time.monotonic()
    with pytest.raises(RegistryError):
        pull.pull(engine, serve(server, big(size=1000)))
    assert time.monotonic() - began < 8


def test_pull_when_chunked_then_the_same(engine: Engine, server: Scripted) -> None:
    server.rules({"path": "/blobs/", "chunked": True})
    assert len(layers.ensure(engine, pull.pull(engine, serve(server, big())))) == 1


def test_pull_when_layers_come_slowly_then_they_are_unpacked_meanwhile(
    engine: Engine, server: Scripted, told: Told
) -> None:
    """The end of a throttled layer is the end of its unpacking: no second pass over it."""
    built = big(size=6_000_000)
    server.rules({"path": layer_of(built), "rate": 6_000_000})
    name = serve(server, built)
    seen: list[bool] = []

    def watch(event: str, fields: object) -> None:
        told(event, fields)  # type: ignore[arg-type]
        if "Downloading" in str(fields):
            folder = engine.paths.layers(engine.idmap.key)
            seen.append(any("big" in names for _, _, names in os.walk(folder)))

    engine.progress = watch
    pull.pull(engine, name)
    assert any(seen), "the first file was not there before the download had ended"
