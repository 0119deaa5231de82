"""pod.core.registry and the pull against a registry that lies, breaks off, redirects and asks for credentials.

The server here answers from a table, on loopback: the network's edge is what these tests need to bend.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import os
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pod.core.engine import Engine
from pod.core.errors import DigestMismatch, ManifestUnknown, PodError, RegistryError, Unauthorized, Unreachable
from pod.core.image import arrival, blobs, layout, pull, store
from pod.core.oci import image_spec, reference
from pod.core.oci.image_spec import Descriptor
from pod.core.registry import client

MANIFEST = image_spec.OCI_MANIFEST


class Seen:
    """One request as it came."""

    def __init__(self, method: str, path: str, headers: dict[str, str], body: bytes) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = body


Answer = Callable[["Fake", BaseHTTPRequestHandler], None]


class Fake:
    """A registry that answers from ``routes`` (path without query → function) and remembers what came."""

    def __init__(self) -> None:
        self.routes: dict[str, Answer] = {}
        self.seen: list[Seen] = []
        fake = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                length = int(self.headers.get("Content-Length") or 0)
                fake.seen.append(Seen(self.command, self.path, dict(self.headers), self.rfile.read(length)))
                answer = fake.routes.get(self.path.partition("?")[0], not_found)
                answer(fake, self)

            do_POST = do_GET

            def log_message(self, format: str, *args: Any) -> None:
                """Silent."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.host = f"127.0.0.1:{self._server.server_address[1]}"
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def add(self, path: str, data: bytes, content_type: str = "application/octet-stream") -> None:
        self.routes[path] = lambda _fake, handler: send(handler, 200, data, {"Content-Type": content_type})


def send(handler: BaseHTTPRequestHandler, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
    handler.send_response(status)
    for key, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
        handler.send_header(key, value)
    handler.end_headers()
    handler.wfile.write(data)


def not_found(_: Fake, handler: BaseHTTPRequestHandler) -> None:
    send(handler, 404, b'{"errors":[{"code":"MANIFEST_UNKNOWN","message":"manifest unknown"}]}')


@pytest.fixture
def fake() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.close()


@pytest.fixture
def second() -> Iterator[Fake]:
    server = Fake()
    yield server
    server.close()


@pytest.fixture
def engine(tmp_path: Path) -> Engine:
    (tmp_path / "home/.docker").mkdir(parents=True)
    environ = {"HOME": str(tmp_path / "home"), "POD_RUN_DIR": str(tmp_path), "PATH": os.environ["PATH"]}
    made = Engine(environ, root=str(tmp_path / "store"))
    layout.prepare(made)
    return made


def digest(data: bytes) -> str:
    return "sha256:" + hashlib.sha256(data).hexdigest()


def log_in(engine: Engine, host: str) -> str:
    """Credentials for ``host`` in the user's file; returns the header that carries them."""
    encoded = base64.b64encode(b"user:secret").decode()
    path = engine.environ["HOME"] + "/.docker/config.json"
    with open(path, "w") as file:
        json.dump({"auths": {host: {"auth": encoded}}}, file)
    return "Basic " + encoded


def connect(engine: Engine, host: str) -> client.Client:
    return client.connect(engine, reference.parse(f"{host}/app:v1"))


def fetch(engine: Engine, host: str, data: bytes, *, size: int | None = None) -> None:
    """One blob through the pull's own way into the store."""
    source = pull.RegistrySource(engine, connect(engine, host))
    descriptor = Descriptor("x", digest(data), len(data) if size is None else size)
    arrival.fetch(engine, source, descriptor, lambda _: None, threading.Event())


def small_manifest() -> bytes:
    config = {"mediaType": image_spec.OCI_CONFIG, "digest": digest(b"{}"), "size": 2}
    return json.dumps({"schemaVersion": 2, "mediaType": MANIFEST, "config": config, "layers": []}).encode()


def test_fetch_when_a_byte_flips_then_mismatch_and_nothing_kept(engine: Engine, fake: Fake) -> None:
    data = os.urandom(100_000)
    fake.add(f"/v2/app/blobs/{digest(data)}", data[:-1] + bytes([data[-1] ^ 1]))
    with pytest.raises(DigestMismatch, match="verify blob"):
        fetch(engine, fake.host, data)
    assert os.listdir(engine.paths.blobs) == []


@pytest.mark.parametrize(("sent", "size"), [(b"abcd", 3), (b"ab", 3), (b"", 3)])
def test_fetch_when_size_lies_then_mismatch(engine: Engine, fake: Fake, sent: bytes, size: int) -> None:
    fake.add(f"/v2/app/blobs/{digest(b'abc')}", sent)
    with pytest.raises(DigestMismatch):
        fetch(engine, fake.host, b"abc", size=size)
    assert os.listdir(engine.paths.blobs) == []


def test_fetch_when_connection_breaks_then_goes_on_where_it_was(engine: Engine, fake: Fake) -> None:
    data = os.urandom(900_000)

    def broken(_: Fake, handler: BaseHTTPRequestHandler) -> None:
        start = int((handler.headers.get("Range") or "bytes=0-").removeprefix("bytes=").rstrip("-"))
        headers = {"Content-Length": str(len(data) - start)}
        if start:
            headers["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        handler.send_response(206 if start else 200)
        for key, value in headers.items():
            handler.send_header(key, value)
        handler.end_headers()
        handler.wfile.write(data[start : start + 400_000])
        handler.close_connection = True

    fake.routes[f"/v2/app/blobs/{digest(data)}"] = broken
    fetch(engine, fake.host, data)
    assert blobs.read(engine, digest(data), 1 << 20) == data
    starts = [seen.headers.get("Range") for seen in fake.seen if "blobs" in seen.path]
    assert len(starts) >= 3
    assert starts[0] is None


def test_fetch_when_resume_is_ignored_then_starts_again(engine: Engine, fake: Fake) -> None:
    data = os.urandom(600_000)
    count = []

    def once_broken(_: Fake, handler: BaseHTTPRequestHandler) -> None:
        count.append(1)
        handler.send_response(200)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data if len(count) > 1 else data[:300_000])
        handler.close_connection = True

    fake.routes[f"/v2/app/blobs/{digest(data)}"] = once_broken
    fetch(engine, fake.host, data)
    assert blobs.read(engine, digest(data), 1 << 20) == data


def test_fetch_when_gzip_encoding_is_claimed_then_bytes_as_sent_count(engine: Engine, fake: Fake) -> None:
    data = gzip.compress(b"x" * 1000)
    headers = {"Content-Encoding": "gzip"}
    fake.routes[f"/v2/app/blobs/{digest(data)}"] = lambda _fake, handler: send(handler, 200, data, headers)
    fetch(engine, fake.host, data)
    assert blobs.read(engine, digest(data), 10_000) == data


def test_manifest_when_larger_than_the_limit_then_refused(engine: Engine, fake: Fake) -> None:
    def endless(_: Fake, handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(200)
        handler.send_header("Connection", "close")
        handler.end_headers()
        handler.close_connection = True
        try:
            for _ in range(1000):
                handler.wfile.write(b" " * 65536)
        except OSError:
            return

    fake.routes["/v2/app/manifests/v1"] = endless
    with pytest.raises(RegistryError, match="larger than"):
        connect(engine, fake.host).manifest("v1")


def test_manifest_when_digest_differs_then_refused(engine: Engine, fake: Fake) -> None:
    wanted = digest(b"other")
    fake.add(f"/v2/app/manifests/{wanted}", small_manifest(), MANIFEST)
    with pytest.raises(DigestMismatch, match="verify manifest"):
        connect(engine, fake.host).manifest(wanted)


@pytest.mark.parametrize(
    ("status", "error"),
    [(401, Unauthorized), (403, Unauthorized), (404, ManifestUnknown), (429, RegistryError), (500, Unreachable),
     (418, RegistryError), (204, RegistryError), (304, RegistryError)],
)  # fmt: skip
def test_manifest_when_status_then_its_error(engine: Engine, fake: Fake, status: int, error: type[PodError]) -> None:
    body = b'{"errors":[{"code":"X","message":"said \\u001b[31mred\\n"}]}' if status not in (204, 304) else b""
    fake.routes["/v2/app/manifests/v1"] = lambda _fake, handler: send(handler, status, body)
    with pytest.raises(error) as caught:
        connect(engine, fake.host).manifest("v1")
    assert caught.value.message.isprintable()


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'{"errors":{}}', b'{"errors":[]}', b'{"errors":[7]}', b"\xff"])
def test_manifest_when_error_body_is_garbage_then_still_an_error(engine: Engine, fake: Fake, body: bytes) -> None:
    fake.routes["/v2/app/manifests/v1"] = lambda _fake, handler: send(handler, 400, body)
    with pytest.raises(RegistryError, match="status 400"):
        connect(engine, fake.host).manifest("v1")


def redirect(target: str) -> Answer:
    return lambda _fake, handler: send(handler, 307, b"", {"Location": target})


def test_blob_when_redirected_to_another_host_then_no_credentials_there(
    engine: Engine, fake: Fake, second: Fake
) -> None:
    header = log_in(engine, fake.host)
    second.add("/data", b"abc")

    def guarded(_: Fake, handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") != header:
            send(handler, 401, b"", {"WWW-Authenticate": 'Basic realm="x"'})
        else:
            send(handler, 302, b"", {"Location": f"http://{second.host}/data"})

    fake.routes[f"/v2/app/blobs/{digest(b'abc')}"] = guarded
    fetch(engine, fake.host, b"abc")
    assert [seen.headers.get("Authorization") for seen in fake.seen] == [None, header]
    assert [seen.headers.get("Authorization") for seen in second.seen] == [None]


@pytest.mark.parametrize(
    "target", ["http://192.0.2.1/x", "file:///etc/passwd", "ftp://127.0.0.1/", "http://u:p@127.0.0.1/", "gopher:x"]
)
def test_blob_when_redirected_to_a_bad_place_then_refused(engine: Engine, fake: Fake, target: str) -> None:
    fake.routes[f"/v2/app/blobs/{digest(b'abc')}"] = redirect(target)
    with pytest.raises(RegistryError):
        fetch(engine, fake.host, b"abc")


def test_blob_when_redirects_never_end_then_refused(engine: Engine, fake: Fake) -> None:
    path = f"/v2/app/blobs/{digest(b'abc')}"
    fake.routes[path] = redirect(path)
    with pytest.raises(RegistryError, match="more than 10 redirects"):
        fetch(engine, fake.host, b"abc")


def token_guard(realm: str, accepted: str) -> Answer:
    def answer(_: Fake, handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") == accepted:
            send(handler, 200, small_manifest(), {"Content-Type": MANIFEST})
        else:
            challenge = f'Bearer realm="{realm}",service="s",scope="repository:app:pull"'
            send(handler, 401, b"{}", {"WWW-Authenticate": challenge})

    return answer


def test_manifest_when_bearer_then_token_with_credentials_to_own_host(engine: Engine, fake: Fake) -> None:
    header = log_in(engine, fake.host)
    fake.routes["/v2/app/manifests/v1"] = token_guard(f"http://{fake.host}/token", "Bearer t0k")
    fake.add("/token", b'{"token":"t0k"}')
    assert connect(engine, fake.host).manifest("v1").raw == small_manifest()
    (asked,) = [seen for seen in fake.seen if seen.path.startswith("/token")]
    assert asked.headers.get("Authorization") == header
    assert "scope=repository%3Aapp%3Apull" in asked.path
    assert "service=s" in asked.path


def test_manifest_when_realm_is_a_stranger_then_no_credentials(engine: Engine, fake: Fake, second: Fake) -> None:
    log_in(engine, fake.host)
    stranger = second.host.replace("127.0.0.1", "localhost")
    fake.routes["/v2/app/manifests/v1"] = token_guard(f"http://{stranger}/token", "Bearer t0k")
    second.add("/token", b'{"access_token":"t0k"}')
    connect(engine, fake.host).manifest("v1")
    assert [seen.headers.get("Authorization") for seen in second.seen] == [None]
    assert "user" not in second.seen[0].path


@pytest.mark.parametrize("realm", ["", "x", "file:///etc/passwd", "http://192.0.2.1/token", "ftp://127.0.0.1/"])
def test_manifest_when_realm_is_bad_then_error(engine: Engine, fake: Fake, realm: str) -> None:
    fake.routes["/v2/app/manifests/v1"] = token_guard(realm, "never")
    with pytest.raises(RegistryError):
        connect(engine, fake.host).manifest("v1")


@pytest.mark.parametrize("body", [b"", b"{}", b"[]", b'{"token":7}', b'{"token":"a\\r\\nX: y"}', b'{"token":"a b"}'])
def test_manifest_when_token_answer_is_bad_then_error(engine: Engine, fake: Fake, body: bytes) -> None:
    fake.routes["/v2/app/manifests/v1"] = token_guard(f"http://{fake.host}/token", "never")
    fake.add("/token", body)
    with pytest.raises(RegistryError, match="has no token"):
        connect(engine, fake.host).manifest("v1")


def test_manifest_when_identity_token_then_posted_and_never_in_an_address(engine: Engine, fake: Fake) -> None:
    path = engine.environ["HOME"] + "/.docker/config.json"
    with open(path, "w") as file:
        json.dump({"auths": {fake.host: {"identitytoken": "long-lived"}}}, file)
    fake.routes["/v2/app/manifests/v1"] = token_guard(f"http://{fake.host}/token", "Bearer t0k")
    fake.add("/token", b'{"access_token":"t0k"}')
    connect(engine, fake.host).manifest("v1")
    (asked,) = [seen for seen in fake.seen if seen.path.startswith("/token")]
    assert asked.method == "POST"
    assert b"refresh_token=long-lived" in asked.body
    assert all("long-lived" not in seen.path for seen in fake.seen)


def test_tags_when_paged_then_followed_and_bad_names_dropped(engine: Engine, fake: Fake) -> None:
    def page(_: Fake, handler: BaseHTTPRequestHandler) -> None:
        last = "last=" in handler.path
        tags = ["c", "../x", 7] if last else ["b", "a"]
        headers = {} if last else {"Link": '</v2/app/tags/list?last=b&n=2>; rel="next"'}
        send(handler, 200, json.dumps({"name": "app", "tags": tags}).encode(), headers)

    fake.routes["/v2/app/tags/list"] = page
    assert connect(engine, fake.host).tags() == ["a", "b", "c"]


def test_tags_when_next_page_is_elsewhere_then_not_followed(engine: Engine, fake: Fake, second: Fake) -> None:
    headers = {"Link": f'<http://{second.host}/v2/other/tags/list?n=1>; rel="next"'}
    fake.routes["/v2/app/tags/list"] = lambda _fake, handler: send(handler, 200, b'{"tags":["a"]}', headers)
    assert connect(engine, fake.host).tags() == ["a"]
    assert second.seen == []


def test_connect_when_mirror_fails_then_the_registry_itself(engine: Engine, fake: Fake, second: Fake) -> None:
    folder = engine.environ["HOME"] + "/.config/containers"
    os.makedirs(folder)
    with open(folder + "/registries.conf", "w") as file:
        file.write(f'[[registry]]\nlocation = "{fake.host}"\n[[registry.mirror]]\nlocation = "{second.host}"\n')
    fake.add("/v2/app/manifests/v1", small_manifest(), MANIFEST)
    assert connect(engine, fake.host).manifest("v1").raw == small_manifest()
    assert len(second.seen) == 1
    second.add("/v2/app/manifests/v1", b"{}", MANIFEST)
    assert connect(engine, fake.host).manifest("v1").raw == b"{}"


def test_connect_when_docker_hub_has_a_mirror_then_asked_first(engine: Engine, second: Fake) -> None:
    folder = engine.environ["HOME"] + "/.config/docker"
    os.makedirs(folder)
    with open(folder + "/daemon.json", "w") as file:
        json.dump({"registry-mirrors": [f"http://{second.host}/"]}, file)
    second.add("/v2/library/app/manifests/v1", small_manifest(), MANIFEST)
    assert client.connect(engine, reference.parse("app:v1")).manifest("v1").raw == small_manifest()


def test_pull_when_manifest_is_also_an_index_then_refused(engine: Engine, fake: Fake) -> None:
    both = {**json.loads(small_manifest()), "manifests": []}
    fake.add("/v2/app/manifests/v1", json.dumps(both).encode(), MANIFEST)
    with pytest.raises(RegistryError, match="CVE-2021-41190"):
        pull.pull(engine, f"{fake.host}/app:v1")
    assert store.list_refs(engine) == []


@pytest.mark.parametrize("basic_first", [True, False])
def test_manifest_when_several_challenges_then_bearer_without_credentials(
    engine: Engine, fake: Fake, basic_first: bool
) -> None:
    bearer, basic = f'Bearer realm="http://{fake.host}/token",service="s"', 'Basic realm="x"'
    header = ", ".join((basic, bearer) if basic_first else (bearer, basic))

    def guarded(_: Fake, handler: BaseHTTPRequestHandler) -> None:
        if handler.headers.get("Authorization") == "Bearer t0k":
            send(handler, 200, small_manifest(), {"Content-Type": MANIFEST})
        else:
            send(handler, 401, b"{}", {"WWW-Authenticate": "Negotiate, " + header})

    fake.routes["/v2/app/manifests/v1"] = guarded
    fake.add("/token", b'{"token":"t0k"}')
    assert connect(engine, fake.host).manifest("v1").raw == small_manifest()


def test_manifest_when_nobody_asks_then_no_helper_is_started(engine: Engine, fake: Fake) -> None:
    with open(engine.environ["HOME"] + "/.docker/config.json", "w") as file:
        json.dump({"credsStore": "none-such"}, file)
    fake.add("/v2/app/manifests/v1", small_manifest(), MANIFEST)
    assert connect(engine, fake.host).manifest("v1").raw == small_manifest()
