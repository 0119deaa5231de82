"""TLS and plain http to hosts that are not loopback: reached through a proxy on loopback that knows their names."""

from __future__ import annotations

import base64
import json
import os
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.errors import RegistryError, Unauthorized, Unreachable
from pod.core.oci import image_spec, reference
from pod.core.registry import client
from pod.core.registry.proxies import is_loopback
from tests.support.proxy import forward, read_head

HOST = "registry.test:5000"
BODY = b'{"schemaVersion":2}'


class Server:
    """A tiny registry, with TLS when it has a certificate; remembers what each request carried as Authorization."""

    def __init__(self, certificate: tuple[Path, Path] | None = None) -> None:
        self.authorizations: list[str | None] = []
        self.challenge = ""
        server = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def do_GET(self) -> None:
                server.authorizations.append(self.headers.get("Authorization"))
                refused = bool(server.challenge) and not self.headers.get("Authorization")
                self.send_response(401 if refused else 200)
                if refused:
                    self.send_header("WWW-Authenticate", server.challenge)
                self.send_header("Content-Type", image_spec.OCI_MANIFEST)
                self.send_header("Content-Length", str(len(BODY)))
                self.end_headers()
                self.wfile.write(BODY)

            def log_message(self, format: str, *args: object) -> None:
                """Silent."""

        class Quiet(ThreadingHTTPServer):
            daemon_threads = True

            def handle_error(self, request: object, client_address: object) -> None:
                """A client that refuses our certificate is what is being tested."""

        self._server = Quiet(("127.0.0.1", 0), Handler)
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(*certificate)
            self._server.socket = context.wrap_socket(
                self._server.socket, server_side=True, do_handshake_on_connect=False
            )
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


class Proxy:
    """CONNECT and absolute requests go to one port whatever the name; remembers the names."""

    def __init__(self, port: int) -> None:
        self.asked: list[str] = []
        self._port = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            threading.Thread(target=self._one, args=(connection,), daemon=True).start()

    def _one(self, connection: socket.socket) -> None:
        with connection:
            head = read_head(connection)
            if head:
                self.asked.append(head.split(b"\r\n", 1)[0].decode())
                forward(connection, head, self._port)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._thread.join()


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("tls")
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    argv += ["-days", "2", "-subj", "/CN=registry.test", "-addext", "subjectAltName=DNS:registry.test"]
    argv += ["-keyout", str(folder / "key"), "-out", str(folder / "crt")]
    subprocess.run(argv, check=True, capture_output=True, timeout=30)
    return folder / "crt", folder / "key"


@pytest.fixture
def tls(certificate: tuple[Path, Path]) -> Iterator[Server]:
    server = Server(certificate)
    yield server
    server.close()


@pytest.fixture
def plain() -> Iterator[Server]:
    server = Server()
    yield server
    server.close()


@pytest.fixture
def proxies() -> Iterator[list[Proxy]]:
    made: list[Proxy] = []
    yield made
    for proxy in made:
        proxy.close()


def engine_for(tmp_path: Path, proxies: list[Proxy], server: Server) -> Engine:
    proxies.append(Proxy(server.port))
    home = tmp_path / "home"
    (home / ".config/pod").mkdir(parents=True)
    url = proxies[-1].url
    environ = {"HOME": str(home), "HTTPS_PROXY": url, "HTTP_PROXY": url, "NO_PROXY": ""}
    return Engine(environ, root=str(tmp_path / "store"))


def insecure(engine: Engine, entry: str) -> None:
    with open(engine.environ["HOME"] + "/.config/pod/pod.toml", "w") as file:
        file.write(f'insecure-registries = ["{entry}"]\n')


def log_in(engine: Engine) -> str:
    os.makedirs(engine.environ["HOME"] + "/.docker")
    encoded = base64.b64encode(b"user:secret").decode()
    with open(engine.environ["HOME"] + "/.docker/config.json", "w") as file:
        json.dump({"auths": {HOST: {"auth": encoded}}}, file)
    return "Basic " + encoded


def ask(engine: Engine) -> bytes:
    made = client.connect(engine, reference.parse(f"{HOST}/app:v1"))
    try:
        return made.manifest("v1").raw
    finally:
        made.close()


def test_get_when_certificate_is_unknown_then_refused_and_the_line_is_named(
    tmp_path: Path, proxies: list[Proxy], tls: Server
) -> None:
    engine = engine_for(tmp_path, proxies, tls)
    with pytest.raises(Unreachable) as caught:
        ask(engine)
    assert "certificate verify failed" in caught.value.message.lower()
    assert f'insecure-registries = ["{HOST}"]' in str(caught.value.hint)
    assert tls.authorizations == []
    insecure(engine, HOST)
    assert ask(Engine(engine.environ, root=engine.paths.root)) == BODY


def test_get_when_certs_d_has_the_ca_then_verified(
    tmp_path: Path, proxies: list[Proxy], tls: Server, certificate: tuple[Path, Path]
) -> None:
    engine = engine_for(tmp_path, proxies, tls)
    folder = Path(engine.environ["HOME"], ".config/containers/certs.d", HOST)
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_bytes(certificate[0].read_bytes())
    header = log_in(engine)
    tls.challenge = 'Basic realm="x"'
    assert ask(engine) == BODY
    assert tls.authorizations == [None, header]
    assert [line.rpartition(" ")[0] for line in proxies[0].asked] == [f"CONNECT {HOST}"]


def test_get_when_certs_d_is_damaged_then_clear_error(tmp_path: Path, proxies: list[Proxy], tls: Server) -> None:
    engine = engine_for(tmp_path, proxies, tls)
    folder = Path(engine.environ["HOME"], ".config/containers/certs.d", HOST)
    folder.mkdir(parents=True)
    (folder / "ca.crt").write_text("nonsense")
    with pytest.raises(RegistryError, match="read certificates"):
        ask(engine)


def test_get_when_plain_http_and_not_named_then_refused(tmp_path: Path, proxies: list[Proxy], plain: Server) -> None:
    engine = engine_for(tmp_path, proxies, plain)
    with pytest.raises(Unreachable) as caught:
        ask(engine)
    assert f'insecure-registries = ["{HOST}"]' in str(caught.value.hint)
    assert plain.authorizations == []


def test_get_when_plain_http_is_allowed_then_no_password_is_sent(
    tmp_path: Path, proxies: list[Proxy], plain: Server
) -> None:
    engine = engine_for(tmp_path, proxies, plain)
    insecure(engine, "registry.test")
    log_in(engine)
    assert ask(engine) == BODY
    plain.challenge = 'Basic realm="x"'
    with pytest.raises(Unauthorized, match="plain http"):
        ask(Engine(engine.environ, root=engine.paths.root))
    assert set(plain.authorizations) == {None}


@pytest.mark.parametrize(
    ("host", "loopback"),
    [
        ("localhost", True),
        ("LOCALHOST:1", True),
        ("127.9.9.9:5000", True),
        ("[::1]:5000", True),
        ("localhost.evil.com", False),
        ("127.0.0.1.evil.com", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
    ],
)
def test_is_loopback_when_asked_then_only_the_real_one(host: str, loopback: bool) -> None:
    assert is_loopback(host) is loopback


@pytest.mark.parametrize(
    ("entry", "named"), [("10.0.0.0/8", True), ("10.1.2.3:5000", True), ("10.1.2.3", True), ("11.0.0.0/8", False)]
)
def test_named_insecure_when_network_or_host_then_named(tmp_path: Path, entry: str, named: bool) -> None:
    engine = Engine({"HOME": str(tmp_path)}, root=str(tmp_path / "store"))
    engine.config.insecure_registries.append(entry)
    assert client.named_insecure(engine.config, "10.1.2.3:5000") is named
