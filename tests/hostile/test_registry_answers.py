"""Registries whose answers never end, never begin, or are none: heads, framing, redirects, pauses they ask for."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.image import pull
from pod.core.registry import framing, retry, transport
from tests.hostile.pulling import image, layer_of, new_engine, refused, serve
from tests.support.scripted import Scripted

pytestmark = [pytest.mark.alike, pytest.mark.pure]

HEAD = "HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + "Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """Seconds become tenths; what is tried again is tried twice."""
    monkeypatch.setattr(retry, "PAUSE", 0.02)
    monkeypatch.setattr(retry, "ATTEMPTS", 2)
    monkeypatch.setattr(framing, "HEAD_TIME", 0.3)
    monkeypatch.setattr(transport, "SLOW_TIME", 0.3)
    monkeypatch.setattr(transport, "READ_TIME", 0.8)
    monkeypatch.setattr(transport, "TIMEOUT", transport.urllib3.Timeout(connect=5.0, read=1.0))


@pytest.mark.parametrize(
    "rule",
    [
        {"raw": HEAD, "again": "X: y\r\n"},
        {"raw": HEAD, "again": "X-Drip: y\r\n", "pause": 0.1},
        {"raw": HEAD + "X: ", "again": "a" * 65536},
        {"raw": HEAD + "X: ", "again": "a", "pause": 0.1},
        {"raw": "", "again": "HTTP/1.1 100 Continue\r\n\r\n"},
        {"raw": "", "again": "H", "pause": 0.1},
    ],
    ids=["lines", "lines-drip", "line", "line-drip", "continue", "status"],
)
def test_registry_when_the_head_never_ends_then_bounded(
    engine: Engine, server: Scripted, rule: dict[str, object]
) -> None:
    name = serve(server)
    server.rules({"path": "/manifests/", **rule})
    refused(engine, name, "connect to registry")


@pytest.mark.parametrize(
    "rule",
    [
        {"raw": CHUNKED, "again": "f"},
        {"raw": CHUNKED, "again": "0", "pause": 0.1},
        {"raw": CHUNKED + "5;", "again": "x", "pause": 0.1},
        {"raw": CHUNKED + "-5\r\nhello\r\n0\r\n\r\n"},
        {"raw": CHUNKED + "0x5\r\nhello\r\n0\r\n\r\n"},
        {"raw": CHUNKED + "ffffffffffffffffff\r\n", "again": "x" * 65536},
        {"raw": CHUNKED + "2\r\n{}\r\n0\r\n", "again": "T: x\r\n"},
        {"raw": CHUNKED + "2\r\n{}\r\n0\r\n", "again": "T: x\r\n", "pause": 0.1},
        {"raw": CHUNKED + "2\r\n{}\r\n0\r\nT:", "again": "x", "pause": 0.1},
    ],
    ids=lambda rule: str(sorted(rule.items()))[-40:],
)
def test_registry_when_the_framing_of_a_body_never_ends_or_lies_then_bounded(
    engine: Engine, server: Scripted, rule: dict[str, object]
) -> None:
    """http.client alone waits as long as bytes of a line come, and takes any number of trailers."""
    name = serve(server)
    server.rules({"path": "/manifests/", **rule})
    refused(engine, name, "read answer")


def test_registry_when_a_good_body_has_trailers_and_extensions_then_taken(engine: Engine, server: Scripted) -> None:
    built = image()
    name = serve(server, built)
    text = built.manifest.decode()
    body = CHUNKED + f"1;a=b\r\n{text[:1]}\r\n{len(text) - 1:X}\r\n{text[1:]}\r\n0\r\nA: b\r\n\r\n"
    server.rules({"path": "/manifests/", "raw": body})
    assert pull.pull(engine, name)


@pytest.mark.parametrize("status", [200, 401, 404, 500])
def test_registry_when_a_body_drips_then_too_slow(engine: Engine, server: Scripted, status: int) -> None:
    """Also bodies that nobody wants: of a challenge, of an error."""
    name = serve(server)
    head = f"HTTP/1.1 {status} X\r\nWWW-Authenticate: Basic realm=x\r\nContent-Length: 60000\r\n\r\n"
    server.rules({"path": "/manifests/", "raw": head, "again": " ", "pause": 0.1})
    refused(engine, name, "")


def test_registry_when_a_document_comes_just_not_too_slowly_then_there_is_an_end(
    engine: Engine, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "SLOWEST", 10)
    name = serve(server)
    head = HEAD + "Content-Length: 4000000\r\n\r\n"
    server.rules({"path": "/manifests/", "raw": head, "again": " " * 100, "pause": 0.05})
    refused(engine, name, "too slow")


@pytest.mark.parametrize(
    "raw",
    [
        "",
        "\0" * 100,
        "SSH-2.0-OpenSSH_9.2\r\n",
        "HTTP/9.9 abc\r\n\r\n",
        "HTTP/1.1 -1 x\r\n\r\n",
        HEAD + "Content-Length: 5, 6\r\n\r\nhello!",
        HEAD + "Content-Length: -1\r\nContent-Type: text/html\r\n\r\nhello",
        HEAD + "Content-Length: 99999999999999999999999\r\n\r\nhello",
        HEAD + "no colon\r\n\r\n",
    ],
)
def test_registry_when_it_does_not_speak_http_then_one_line(engine: Engine, server: Scripted, raw: str) -> None:
    name = serve(server)
    server.rules({"path": "/manifests/", "raw": raw})
    refused(engine, name, "")


@pytest.mark.parametrize("chunked", [False, True])
def test_registry_when_a_manifest_never_ends_then_refused_at_its_limit(
    engine: Engine, server: Scripted, chunked: bool
) -> None:
    name = serve(server)
    piece = " " * 65536
    rule = {"raw": CHUNKED, "again": f"10000\r\n{piece}\r\n"} if chunked else {"raw": HEAD + "\r\n", "again": piece}
    server.rules({"path": "/manifests/", **rule})
    refused(engine, name, "larger than 4194304 bytes", mib=16)


def test_registry_when_a_blob_never_ends_then_refused_at_its_size(engine: Engine, server: Scripted) -> None:
    built = image()
    name = serve(server, built)
    server.rules({"path": layer_of(built), "raw": HEAD + "\r\n", "again": "x" * 65536})
    refused(engine, name, "more than the", mib=8)


def test_registry_when_a_body_is_called_gzip_then_it_is_not_unpacked(engine: Engine, server: Scripted) -> None:
    """A bomb in Content-Encoding: pod asks for identity and takes bytes as they come."""
    import gzip

    name = serve(server)
    (server.folder / "bomb").write_bytes(gzip.compress(bytes(64 << 20)))
    server.rules({"path": "/manifests/", "body": "@bomb", "headers": {"Content-Encoding": "gzip"}})
    refused(engine, name, "read manifest", mib=8)
    assert {entry["headers"].get("Accept-Encoding") for entry in server.requests()} == {"identity"}


@pytest.mark.parametrize(
    "target",
    [
        *("file:///etc/passwd", "ftp://127.0.0.1/x", "gopher:x", "//", "http://", "http://[", "http://[::1", "https:x"),
        *("http://u:p@127.0.0.1/x", "http://127.0.0.1\\@evil.test/x", "http://evil.test\\.127.0.0.1/", "http://a b/"),
        *("http://127.0.0.1:99999/", "http://127.0.0.1:x/", "http://\x1b[31m/x", "http://192.0.2.1/\x1b[31m"),
    ],
)
def test_registry_when_it_redirects_to_what_is_no_place_then_refused(
    engine: Engine, server: Scripted, target: str
) -> None:
    name = serve(server)
    answer = f"HTTP/1.1 307 X\r\nContent-Length: 0\r\nLocation: {target}\r\n\r\n"
    server.rules({"path": "/manifests/", "raw": answer})
    refused(engine, name, "")
    assert len(server.requests()) <= 11


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_registry_when_redirects_never_end_then_eleven_requests(engine: Engine, server: Scripted, status: int) -> None:
    name = serve(server)
    answer = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\nLocation: /manifests/x/more\r\n\r\n"
    server.rules({"path": "/manifests/", "raw": answer})
    refused(engine, name, "more than 10 redirects")
    assert len(server.requests()) == 11


def test_registry_elsewhere_when_it_redirects_to_this_machine_then_nothing_here_is_asked(
    tmp_path: Path, server: Scripted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What listens on loopback often trusts whoever asks it."""
    victim = Scripted(tmp_path / "victim")
    try:
        engine = new_engine(tmp_path, HTTP_PROXY=f"http://{server.host}", HTTPS_PROXY="http://127.0.0.1:1")
        monkeypatch.setattr(transport, "TIMEOUT", transport.urllib3.Timeout(connect=1.0, read=1.0))
        folder = Path(engine.environ["HOME"], ".config/pod")
        folder.mkdir(parents=True)
        (folder / "pod.toml").write_text('insecure-registries = ["registry.test"]\n')
        for address in (f"http://{victim.host}/x", f"https://{victim.host}/x", f"http://localhost:{victim.port}/"):
            monkeypatch.setattr(transport.Transport, "get", plain(transport.Transport.get))
            server.rules({"path": "/manifests/", "redirect": address})
            refused(engine, "registry.test/team/app:v1", "which is this machine")
        assert victim.requests() == []
    finally:
        victim.stop()


def plain(get: object) -> object:
    """Transport.get of a registry that is known to speak plain http: the proxy of this test carries nothing else."""

    def known(self: transport.Transport, *words: object, **named: object) -> object:
        self._scheme = "http"
        return get(self, *words, **named)  # type: ignore[operator]

    return known


@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize(
    "asked", ["86400", "9" * 4000, "-5", "1e9", "Fri, 31 Dec 9999 23:59:59 GMT", "Thu, 99 Foo 1970", "\xff" * 50]
)
def test_registry_when_it_asks_for_an_absurd_pause_then_nobody_waits_for_it(
    engine: Engine, server: Scripted, status: int, asked: str
) -> None:
    name = serve(server)
    answer = f"HTTP/1.1 {status} X\r\nContent-Length: 0\r\nConnection: close\r\nRetry-After: {asked}\r\n\r\n"
    server.rules({"path": "/manifests/", "raw": answer})
    refused(engine, name, "toomanyrequests" if status == 429 else "status 503", seconds=10)
    assert len(server.requests()) <= 2


def test_registry_when_it_is_busy_for_a_moment_then_waited_for(engine: Engine, server: Scripted) -> None:
    name = serve(server)
    server.rules({"path": "/manifests/", "status": 429, "headers": {"Retry-After": "1"}, "times": 1})
    began = time.monotonic()
    assert pull.pull(engine, name)
    assert time.monotonic() - began >= 1


def test_registry_when_it_speaks_for_a_terminal_then_its_words_are_one_printable_line(
    engine: Engine, server: Scripted
) -> None:
    name = serve(server)
    words = '{"errors":[{"code":"DENIED\\u001b]0;x\\u0007","message":"\\u202eyes\\npod: all is well\\r"}]}'
    server.rules({"path": "/manifests/", "status": 403, "body": words})
    message = refused(engine, name, "DENIED").message
    assert message.isprintable()
    assert "pod: all is well" in message  # as part of a line
