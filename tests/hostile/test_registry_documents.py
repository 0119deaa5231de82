"""Manifests, indexes and configurations that are bombs, ambiguous, or not what they were called."""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.image import pull
from pod.core.registry import retry
from tests.hostile.pulling import HOST, image, refused, serve, serve_document
from tests.support import places
from tests.support.podcli import Pod
from tests.support.scripted import Scripted
from tests.unit.core.image.conftest import CONFIG, INDEX, LAYER, MANIFEST, Built, archive, digest

pytestmark = [pytest.mark.alike, pytest.mark.pure]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE", 0.01)


def manifest(**members: object) -> bytes:
    """That of a good image with other members."""
    return json.dumps({**image().manifest_document, **members}).encode()


@pytest.mark.parametrize("media_type", [MANIFEST, INDEX, "", "application/json"])
def test_registry_when_a_manifest_is_an_index_too_then_refused(
    engine: Engine, server: Scripted, media_type: str
) -> None:
    raw = manifest(manifests=[], mediaType=media_type or MANIFEST)
    refused(engine, serve_document(server, raw, media_type), "")
    assert server.requests("/blobs/") == []


INDEX_BODY = json.dumps({"schemaVersion": 2, "manifests": []}).encode()


@pytest.mark.parametrize(
    ("raw", "media_type"),
    [
        (manifest(), INDEX),
        (manifest(mediaType=INDEX), MANIFEST),
        (INDEX_BODY, MANIFEST),
        (manifest(), "text/html"),
        (manifest(), "application/vnd.docker.distribution.manifest.v1+json"),
        (manifest(schemaVersion=1), MANIFEST),
        (manifest(mediaType="x\n\x1b[31mpod: fine"), MANIFEST),
        (manifest(mediaType=7), MANIFEST),
        (manifest(config={**image().manifest_document["config"], "mediaType": "application/evil\nx"}), MANIFEST),
        (manifest(layers=[{**image().manifest_document["layers"][0], "mediaType": LAYER + "\nx"}]), MANIFEST),
    ],
)
def test_registry_when_a_media_type_is_not_the_bodys_then_refused(
    engine: Engine, server: Scripted, raw: bytes, media_type: str
) -> None:
    assert refused(engine, serve_document(server, raw, media_type), "manifest").message.isprintable()


BOMBS = {
    "deep lists": b'{"schemaVersion":2,"x":' + b"[" * 1_000_000 + b"]" * 1_000_000 + b"}",
    "deep objects": b'{"a":' * 500_000 + b"1" + b"}" * 500_000,
    "many objects": b'{"x":[' + b"{}," * 1_300_000 + b"{}]}",
    "many strings": b'{"x":[' + b'"",' * 1_300_000 + b'""]}',
    "many members": b"{" + b",".join(b'"%d":0' % number for number in range(300_000)) + b"}",
    "one member often": b"{" + b'"a":0,' * 600_000 + b'"a":0}',
    "a number of megabytes": b'{"schemaVersion":' + b"9" * 4_000_000 + b"}",
    "an exponent": b'{"schemaVersion":1e999999999}',
    "quotes": b'{"x":"' + b'\\"' * 2_000_000 + b'"}',
    "backslashes": b'{"x":"' + b"\\\\" * 2_000_000 + b'"}',
    "half a string": b'{"x":"' + b"\\" * 4_000_000,
    "surrogates": b'{"x":"' + b"\\ud800" * 600_000 + b'"}',
    "wrong bytes": b'{"x":"' + b"\xff" * 4_000_000 + b'"}',
    "NaN": b'{"schemaVersion":NaN,"x":-Infinity}',
    "utf-16": '{"schemaVersion":2}'.encode("utf-16"),
    "zeros": bytes(4_000_000),
}


@pytest.mark.parametrize("kind", list(BOMBS))
def test_registry_when_a_manifest_is_a_bomb_then_refused(
    engine: Engine, server: Scripted, kind: str
) -> None:
    refused(engine, serve_document(server, BOMBS[kind]), "read manifest")


@pytest.mark.parametrize("kind", ["deep lists", "many members", "a number of megabytes", "wrong bytes"])
def test_registry_when_a_configuration_is_a_bomb_then_refused(engine: Engine, server: Scripted, kind: str) -> None:
    config = {"mediaType": CONFIG, "digest": server.add(BOMBS[kind]), "size": len(BOMBS[kind])}
    name = serve_document(server, manifest(config=config))
    refused(engine, name, "read image", keeps=True)


def test_registry_when_documents_are_bombs_then_memory_stays_bounded(tmp_path: Path) -> None:
    """All of them in a process that has nothing else."""
    for number, bomb in enumerate(BOMBS.values()):
        (tmp_path / f"{number:02}").write_bytes(bomb)
    script = "import sys; sys.path.insert(0, sys.argv[1])\nfrom pod.core.oci import image_spec\n"
    script += "for name in sys.argv[2:]:\n"
    script += " try: image_spec.load(open(name, 'rb').read(), image_spec.MAX_CONFIG, 'it')\n"
    script += " except image_spec.DocumentError: pass\n"
    script += "print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])"
    words = [str(places.REPOSITORY / "packaging"), *map(str, sorted(tmp_path.iterdir()))]
    command = [sys.executable, "-I", "-c", script, *words]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert int(done.stdout) < 160 << 10


@pytest.mark.parametrize("what", ["manifest", "config"])
def test_registry_when_a_document_is_ten_gigabytes_then_refused_by_its_size(
    engine: Engine, server: Scripted, what: str
) -> None:
    """Once announced by a header that lies, once by a descriptor."""
    if what == "manifest":
        name = serve(server)
        head = f"HTTP/1.1 200 OK\r\nContent-Length: {10 << 30}\r\n\r\n"
        server.rules({"path": "/manifests/", "raw": head, "again": " " * 65536})
        refused(engine, name, "larger than")
    else:
        config = {**image().manifest_document["config"], "size": 10 << 30}
        refused(engine, serve_document(server, manifest(config=config)), "config is larger than")
        assert server.requests("/blobs/") == []


@pytest.mark.parametrize("count", [501, 10_000])
def test_registry_when_an_image_has_thousands_of_layers_then_refused(
    engine: Engine, server: Scripted, count: int
) -> None:
    layer = image().manifest_document["layers"][0]
    refused(engine, serve_document(server, manifest(layers=[layer] * count)), f"{count} layers are more than the 500")
    assert server.requests("/blobs/") == []


def test_registry_when_an_index_has_thousands_of_manifests_then_refused(engine: Engine, server: Scripted) -> None:
    entry = {"mediaType": MANIFEST, "digest": "sha256:" + "0" * 64, "size": 1, "platform": image().platform}
    raw = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry] * 1001}).encode()
    refused(engine, serve_document(server, raw, INDEX), "1001 manifests are more than")


def test_registry_when_an_index_leads_to_an_index_or_to_itself_then_refused(engine: Engine, server: Scripted) -> None:
    inner = INDEX_BODY
    server.add(inner)
    entry = {"mediaType": MANIFEST, "digest": digest(inner), "size": len(inner), "platform": image().platform}
    raw = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
    refused(engine, serve_document(server, raw, INDEX), "", keeps=True)


@pytest.mark.parametrize("by", [-1, 1])
def test_registry_when_an_index_lies_about_a_size_then_refused(engine: Engine, server: Scripted, by: int) -> None:
    built = image()
    server.add(built.manifest)
    size = len(built.manifest) + by
    entry = {"mediaType": MANIFEST, "digest": digest(built.manifest), "size": size, "platform": built.platform}
    raw = json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": [entry]}).encode()
    refused(engine, serve_document(server, raw, INDEX), "bytes instead of the")


@pytest.mark.parametrize("algorithm", ["sha256", "sha512"])
def test_registry_when_a_digest_was_asked_for_then_another_manifest_is_refused(
    engine: Engine, server: Scripted, algorithm: str
) -> None:
    built = image()
    serve(server, built)
    right = f"{algorithm}:{hashlib.new(algorithm, built.manifest).hexdigest()}"
    wrong = f"{algorithm}:{hashlib.new(algorithm, b'other').hexdigest()}"
    server.rules({"path": "/manifests/", "body": built.manifest.decode(), "headers": {"Content-Type": MANIFEST}})
    refused(engine, f"{server.host}/team/app@{wrong}", "verify manifest")
    if algorithm == "sha512":
        assert pull.pull(engine, f"{server.host}/team/app@{right}")


@pytest.mark.parametrize(
    "members",
    [
        {"os": "linux\npod: fine"},
        {"os": "\x1b[31m"},
        {"os": "windows"},
        {"architecture": "x" * 5000},
        {"architecture": 7},
        {"config": []},
        {"rootfs": {"type": "layers", "diff_ids": ["sha256:../../x"]}},
        {"rootfs": {"type": "layers", "diff_ids": []}},
        {"rootfs": {"type": "other"}},
        {"rootfs": []},
    ],
    ids=str,
)
def test_registry_when_a_configuration_is_not_what_one_is_then_one_printable_line(
    engine: Engine, server: Scripted, members: dict[str, object]
) -> None:
    built = Built(archive(a="1"), architecture=HOST)
    raw = json.dumps({**built.document, **members}).encode()
    config = {"mediaType": CONFIG, "digest": server.add(raw), "size": len(raw)}
    name = serve_document(server, manifest(config=config))
    assert refused(engine, name, "image", keeps=True).message.isprintable()


def test_registry_when_it_lies_then_the_command_line_says_one_line_and_lists_nothing(
    offline_pod: Pod, server: Scripted
) -> None:
    """Once as it is typed: status 1, no traceback, nothing in `images`, and a run says it with 125."""
    name = serve_document(server, BOMBS["deep lists"])
    offline_pod("pull", name).failed(1, "read manifest", "nested deeper")
    offline_pod("run", "--rm", name, "true").failed(125, "nested deeper")
    assert len(offline_pod("images", "-a").ok().splitlines()) == 1
    server.rules({"path": "/manifests/", "raw": "HTTP/1.1 307 X\r\nLocation: http://\x1b[31m\r\n\r\n"})
    assert "\x1b" not in offline_pod("pull", name).failed(1, "follow redirect")
