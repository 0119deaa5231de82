"""Credentials go to the host they belong to, over TLS or on loopback, and nowhere else (CVE-2020-15157)."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.errors import PodError, Unauthorized
from pod.core.image import pull
from pod.core.registry import retry, transport
from tests.hostile.pulling import image, layer_of, log_in, new_engine, refused, serve
from tests.support.scripted import Scripted

pytestmark = [pytest.mark.alike, pytest.mark.pure]

TOKEN = '{"token":"t0k"}'


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Scripted]:
    """Another host: the same address under another name, which is all that credentials go by."""
    made = Scripted(tmp_path / "other")
    made.host = f"localhost:{made.port}"
    yield made
    made.stop()


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE", 0.01)


def seen(server: Scripted) -> set[str]:
    """Every Authorization that came, and every address and body: a password may hide there too."""
    texts = json.dumps([(entry["path"], entry["body"]) for entry in server.requests()])
    assert "secret" not in texts
    assert "dXNlcjpzZWNyZXQ" not in texts
    return {entry["headers"].get("Authorization", "") for entry in server.requests()}


def basic(header: str) -> dict[str, object]:
    return {"auth": {"scheme": "basic", "user": "user:secret"}} if header else {}


@pytest.mark.parametrize("path", ["/manifests/", "/blobs/"])
def test_credentials_when_redirected_to_another_host_then_they_stay(
    engine: Engine, server: Scripted, other: Scripted, path: str
) -> None:
    built = image()
    name = serve(server, built)
    serve(other, built)
    header = log_in(engine, server.host)
    server.rules({"path": "/v2/", **basic(header)}, {"path": path, "redirect": f"http://{other.host}{{path}}"})
    assert pull.pull(engine, name)
    assert header in seen(server)
    assert seen(other) == {""}


def test_credentials_when_redirected_away_and_back_then_they_were_not_there(
    engine: Engine, server: Scripted, other: Scripted
) -> None:
    built = image()
    name = serve(server, built)
    header = log_in(engine, server.host)
    back = f"http://{server.host}/back"
    server.rules(
        {"path": layer_of(built), **basic(header), "redirect": f"http://{other.host}/away"},
        {"path": "/back", "file": layer_of(built)[7:]},
        {"path": "/manifests/", **basic(header)},
        {"path": built.id, **basic(header)},
    )
    other.rules({"path": "/away", "redirect": back})
    assert pull.pull(engine, name)
    assert seen(other) == {""}
    assert [entry["headers"].get("Authorization") for entry in server.requests("/back")] == [None]


@pytest.mark.parametrize("port", ["same host", "other port"])
def test_credentials_when_redirected_within_the_host_then_the_port_counts(
    engine: Engine, server: Scripted, tmp_path: Path, port: str
) -> None:
    built = image()
    name = serve(server, built)
    header = log_in(engine, server.host)
    second = Scripted(tmp_path / "second")
    try:
        serve(second, built)
        target = server if port == "same host" else second
        server.rules(
            {"path": "/v2/team/app/manifests", **basic(header), "redirect": f"http://{target.host}/v2/x/manifests/v1"},
            {"path": "/v2/", **basic(header)},
        )
        assert pull.pull(engine, name)
        assert header in seen(server)
        assert seen(second) <= {""}
    finally:
        second.stop()


REALMS = [
    *("http://localhost:{port}/token", "http://127.0.0.1\\@localhost:{port}/token", "http://user@127.0.0.1:{port}/token"),
    *("http://localhost:{port}\\.127.0.0.1/token", "HTTP://LOCALHOST:{port}/token", "http://localhost:{port}/127.0.0.1"),
    *("http://localhost:{port}#@127.0.0.1/", "http://localhost:{port}?@127.0.0.1/", "http://[::ffff:7f00:1]:{port}/token"),
    *("http://127.0.0.1\t.localhost:{port}/", "https://localhost:{port}/token", "//localhost:{port}/token", "http://["),
]


@pytest.mark.parametrize("realm", REALMS)
def test_credentials_when_the_realm_is_elsewhere_then_they_stay(
    engine: Engine, server: Scripted, other: Scripted, realm: str
) -> None:
    """However the address is written; an anonymous token is asked for, or none."""
    name = serve(server)
    log_in(engine, server.host)
    challenge = f'Bearer realm="{realm.format(port=other.port)}",service="s"'
    server.rules({"path": "/v2/", "auth": {"scheme": "bearer", "token": "t0k", "header": challenge}})
    other.rules({"path": "", "body": TOKEN})
    with contextlib.suppress(PodError):
        pull.pull(engine, name)
    assert seen(other) <= {""}
    assert "user" not in json.dumps([entry["path"] for entry in other.requests()])
    assert all("Basic" not in found for found in seen(server))


def test_credentials_when_the_token_service_redirects_then_they_stay(
    engine: Engine, server: Scripted, other: Scripted
) -> None:
    name = serve(server)
    header = log_in(engine, server.host)
    realm = {"scheme": "bearer", "realm": f"http://{server.host}/token", "token": "t0k"}
    server.rules({"path": "/v2/", "auth": realm}, {"path": "/token", "redirect": f"http://{other.host}/token"})
    other.rules({"path": "/token", "body": TOKEN})
    assert pull.pull(engine, name)
    assert header in seen(server)
    assert seen(other) == {""}


def test_credentials_when_an_identity_token_would_be_redirected_then_not_followed(
    engine: Engine, server: Scripted, other: Scripted
) -> None:
    path = Path(engine.environ["HOME"], ".docker/config.json")
    path.write_text(json.dumps({"auths": {server.host: {"identitytoken": "long-lived"}}}))
    name = serve(server)
    realm = {"scheme": "bearer", "realm": f"http://{server.host}/token", "token": "t0k"}
    server.rules({"path": "/v2/", "auth": realm}, {"path": "/token", "redirect": f"http://{other.host}/token"})
    refused(engine, name, "status 307")
    assert other.requests() == []
    assert all("long-lived" not in entry["path"] for entry in server.requests())


def test_credentials_when_a_mirror_asks_for_them_then_it_gets_its_own(
    engine: Engine, server: Scripted, other: Scripted
) -> None:
    built = image()
    name = serve(server, built)
    log_in(engine, server.host)
    folder = Path(engine.environ["HOME"], ".config/containers")
    folder.mkdir(parents=True)
    mirror = f'[[registry.mirror]]\nlocation = "{other.host}"\n'
    (folder / "registries.conf").write_text(f'[[registry]]\nlocation = "{server.host}"\n{mirror}')
    other.rules({"path": "/v2/", **basic("x")})
    assert pull.pull(engine, name)
    assert seen(other) == {""}


def test_credentials_when_every_answer_is_401_then_two_requests_and_an_end(engine: Engine, server: Scripted) -> None:
    name = serve(server)
    header = log_in(engine, server.host)
    server.rules({"path": "/v2/", "auth": {"scheme": "basic", "user": "other:one"}})
    assert isinstance(refused(engine, name, "pull access denied"), Unauthorized)
    assert [entry["headers"].get("Authorization") for entry in server.requests()] == [None, header]


def test_credentials_when_every_token_is_refused_then_two_requests_and_an_end(
    engine: Engine, server: Scripted
) -> None:
    name = serve(server)
    realm = {"scheme": "bearer", "realm": f"http://{server.host}/token", "token": "never"}
    server.rules({"path": "/v2/", "auth": realm}, {"path": "/token", "body": TOKEN})
    refused(engine, name, "pull access denied")
    assert len(server.requests("/v2/")) == 2
    assert len(server.requests("/token")) == 1


@pytest.mark.parametrize(
    "body",
    ["", "[]", '{"token":7}', '{"token":"a\\r\\nX-Evil: 1"}', '{"token":"' + "x" * 300_000 + '"}', "[" * 100_000],
)
def test_credentials_when_the_token_is_none_then_one_line_and_no_header_of_theirs(
    engine: Engine, server: Scripted, body: str
) -> None:
    name = serve(server)
    (server.folder / "token").write_text(body)
    realm = {"scheme": "bearer", "realm": f"http://{server.host}/token", "token": "never"}
    server.rules({"path": "/v2/", "auth": realm}, {"path": "/token", "body": "@token"})
    refused(engine, name, "")
    assert all("X-Evil" not in entry["headers"] for entry in server.requests())


def test_credentials_when_the_registry_speaks_plain_http_then_not_sent(
    tmp_path: Path, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Named insecure, behind a proxy that sees everything: the registry asks for the password and does not get it."""
    engine = new_engine(tmp_path, HTTP_PROXY=f"http://{server.host}", HTTPS_PROXY="http://127.0.0.1:1")
    monkeypatch.setattr(transport, "TIMEOUT", transport.urllib3.Timeout(connect=1.0, read=1.0))
    monkeypatch.setattr(transport.Transport, "scheme", property(lambda self: "http"))
    monkeypatch.setattr(transport.Transport, "get", downgraded(transport.Transport.get))
    folder = Path(engine.environ["HOME"], ".config/pod")
    folder.mkdir(parents=True)
    (folder / "pod.toml").write_text('insecure-registries = ["registry.test"]\n')
    header = log_in(engine, "registry.test")
    server.rules({"path": "/v2/", **basic(header)})
    refused(engine, "registry.test/team/app:v1", "where pod sends no password")
    assert seen(server) == {""}
    realm = {"scheme": "bearer", "realm": "http://registry.test/token", "token": "t0k"}
    server.rules({"path": "/v2/", "auth": realm}, {"path": "/token", "body": TOKEN})
    refused(engine, "registry.test/team/app:v1", "")
    assert seen(server) <= {""}


def downgraded(get: object) -> object:
    """Transport.get once https has not answered: the proxy of this test carries plain http alone."""

    def known(self: transport.Transport, *words: object, **named: object) -> object:
        self._scheme = "http"
        return get(self, *words, **named)  # type: ignore[operator]

    return known
