"""Proxies and certificates: pure rules, then a proxy process of ours before registries with TLS, theirs and ours."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.errors import ConfigError, PodError, RegistryError
from pod.core.image import pull
from pod.core.oci import platform
from pod.core.registry import proxies, retry
from tests.support.proxy import Proxy
from tests.support.registry import Registry
from tests.support.scripted import Scripted
from tests.unit.core.image.conftest import MANIFEST, Built, archive

NAME = "registry.test:5000"


@pytest.mark.parametrize(
    ("host", "no_proxy", "used"),
    [
        ("registry.test", "", True),
        ("registry.test", "*", False),
        ("registry.test", "other,.test", False),
        ("registry.test", "test", False),
        ("registry.test", "registry.test", False),
        ("registry.test", ".registry.test", True),
        ("registry.test", "*.test", False),
        ("a.registry.test", "registry.test", False),
        ("aregistry.test", "registry.test", True),
        ("REGISTRY.test:5000", "registry.TEST", False),
        ("registry.test:5000", "registry.test:5000", False),
        ("registry.test:5000", "registry.test:443", True),
        ("registry.test", "registry.test:443", False),
        ("10.1.2.3", "10.0.0.0/8", False),
        ("10.1.2.3:5000", "10.0.0.0/8", False),
        ("11.1.2.3", "10.0.0.0/8", True),
        ("10.1.2.3", "10.1.2.3", False),
        ("10.1.2.3", "1.2.3", True),
        ("[fd00::1]:5000", "fd00::/8", False),
        ("[fd00::1]:5000", "fd00::1", False),
        ("[fd00::1]:5000", "[fd00::1]:5000", False),
        ("[fd00::1]:5000", "[fd00::1]:80", True),
        ("registry.test", "10.0.0.0/99, ,,/", True),
        ("registry.test", "other registry.test", False),
        ("localhost:5000", "", False),
        ("127.0.0.5", "", False),
        ("[::1]:5000", "", False),
    ],
)
def test_proxy_for_when_no_proxy_then_as_everywhere(host: str, no_proxy: str, used: bool) -> None:
    environ = {"HTTPS_PROXY": "http://proxy:3128", "NO_PROXY": no_proxy}
    assert proxies.proxy_for("https", host, environ) == ("http://proxy:3128" if used else "")


@pytest.mark.parametrize(
    ("environ", "http", "https"),
    [
        ({"http_proxy": "a:1"}, "http://a:1", ""),
        ({"HTTPS_PROXY": "a:1", "https_proxy": "b:2"}, "", "http://b:2"),
        ({"ALL_PROXY": "http://a:1"}, "http://a:1", "http://a:1"),
        ({"ALL_PROXY": "http://a:1", "HTTP_PROXY": "https://b:2"}, "https://b:2", "http://a:1"),
        ({"HTTPS_PROXY": "", "ALL_PROXY": ""}, "", ""),
    ],
)
def test_proxy_for_when_several_variables_then_the_nearest(environ: dict[str, str], http: str, https: str) -> None:
    assert proxies.proxy_for("http", "registry.test", environ) == http
    assert proxies.proxy_for("https", "registry.test", environ) == https


@pytest.mark.parametrize("proxy", ["socks5://secret@a:1", "http://", "http://secret@a:x", "http://secret@a:99999", "http://["])
def test_proxy_for_when_it_cannot_be_used_then_one_line_without_the_password(proxy: str) -> None:
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        proxies.proxy_for("https", "registry.test", {"HTTPS_PROXY": proxy})
    assert "secret" not in caught.value.message


class Authority:
    """A CA made by openssl, a certificate for registry.test and one for a client."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._new("ca", "/CN=Test CA", "-x509", "-days", "2")
        for name, subject, extra in (
            ("server", "/CN=registry.test", "subjectAltName=DNS:registry.test"),
            ("client", "/CN=somebody", "extendedKeyUsage=clientAuth"),
        ):
            self._new(name, subject)
            (folder / f"{name}.ext").write_text(extra)
            self._openssl(
                *("x509", "-req", "-in", f"{name}.crt", "-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial"),
                *("-days", "2", "-extfile", f"{name}.ext", "-out", f"{name}.signed"),
            )

    def _new(self, name: str, subject: str, *more: str) -> None:
        key = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-keyout", f"{name}.key")
        self._openssl("req", *key, "-subj", subject, "-out", f"{name}.crt", *more)

    def _openssl(self, *words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=30, cwd=self.folder)

    @property
    def server(self) -> tuple[Path, Path]:
        return self.folder / "server.signed", self.folder / "server.key"

    def install(self, engine: Engine, *, client: bool = False, root: str = "containers") -> Path:
        """certs.d of the user for NAME."""
        folder = Path(engine.environ["HOME"], ".config", root, "certs.d", NAME)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.crt").write_bytes((self.folder / "ca.crt").read_bytes())
        if client:
            (folder / "me.cert").write_bytes((self.folder / "client.signed").read_bytes())
            (folder / "me.key").write_bytes((self.folder / "client.key").read_bytes())
        return folder


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE", 0.02)


@pytest.fixture
def closing() -> Iterator[list[Proxy | Scripted]]:
    made: list[Proxy | Scripted] = []
    yield made
    for one in made:
        if isinstance(one, Proxy):
            one.close()
        else:
            one.stop()


def engine_behind(tmp_path: Path, proxy: str, **environ: str) -> Engine:
    (tmp_path / "home").mkdir(exist_ok=True)
    base = {"HOME": str(tmp_path / "home"), "POD_RUN_DIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    return Engine({**base, "HTTPS_PROXY": proxy, "HTTP_PROXY": proxy, **environ}, root=str(tmp_path / "store"))


def served(
    tmp_path: Path, authority: Authority, closing: list[Proxy | Scripted], *, login: str = "", clients: bool = False
) -> tuple[Scripted, Proxy]:
    """A registry with TLS, named registry.test, that has team/app:v1; and a proxy before it."""
    options = ["--client-ca", str(authority.folder / "ca.crt")] if clients else []
    server = Scripted(tmp_path / "served", "--tls", *map(str, authority.server), *options)
    closing.append(server)
    built = Built(archive(a="1"), architecture=platform.host().architecture)
    server.image("team/app:v1", built.manifest, built.blobs, MANIFEST)
    proxy = Proxy(server.port, tmp_path / "proxy", login)
    closing.append(proxy)
    return server, proxy


def test_pull_when_the_proxy_wants_a_login_then_it_gets_that_and_the_registry_does_not(
    tmp_path: Path, authority: Authority, closing: list[Proxy | Scripted]
) -> None:
    server, proxy = served(tmp_path, authority, closing, login="us@er:pa/ss")
    engine = engine_behind(tmp_path, f"http://us%40er:pa%2Fss@{proxy.address}")
    authority.install(engine)
    assert pull.pull(engine, f"{NAME}/team/app:v1")
    assert proxy.heads
    assert all("proxy-authorization: basic" in head.lower() for head in proxy.heads)
    assert all("proxy-authorization" not in str(entry["headers"]).lower() for entry in server.requests())


def test_pull_when_the_proxy_login_is_missing_then_one_line_and_a_hint(
    tmp_path: Path, authority: Authority, closing: list[Proxy | Scripted]
) -> None:
    server, proxy = served(tmp_path, authority, closing, login="user:password")
    engine = engine_behind(tmp_path, f"http://{proxy.address}")
    with pytest.raises(RegistryError, match="407") as caught:
        pull.pull(engine, f"{NAME}/team/app:v1")
    assert "HTTPS_PROXY=http://USER:PASSWORD@" in str(caught.value.hint)
    assert len(proxy.heads) == 1
    assert server.requests() == []


def test_pull_when_plain_http_through_a_proxy_then_absolute_requests(
    tmp_path: Path, closing: list[Proxy | Scripted]
) -> None:
    server = Scripted(tmp_path / "served")
    closing.append(server)
    built = Built(archive(a="1"), architecture=platform.host().architecture)
    server.image("team/app:v1", built.manifest, built.blobs, MANIFEST)
    proxy = Proxy(server.port, tmp_path / "proxy", "u:p")
    closing.append(proxy)
    engine = engine_behind(tmp_path, proxy.url)
    engine.config.insecure_registries.append(NAME)
    assert pull.pull(engine, f"{NAME}/team/app:v1")
    plain = [head for head in proxy.heads if not head.startswith("CONNECT")]
    assert plain
    assert all(head.startswith(f"GET http://{NAME}/v2/") for head in plain)


def test_pull_when_the_ca_is_named_by_the_environment_then_verified(
    tmp_path: Path, authority: Authority, closing: list[Proxy | Scripted]
) -> None:
    _, proxy = served(tmp_path, authority, closing)
    engine = engine_behind(tmp_path, proxy.url, SSL_CERT_FILE=str(authority.folder / "ca.crt"))
    assert pull.pull(engine, f"{NAME}/team/app:v1")
    bad = engine_behind(tmp_path, proxy.url, SSL_CERT_FILE=str(tmp_path / "none"))
    with pytest.raises(RegistryError, match=r"read certificates: .*none"):
        pull.pull(bad, f"{NAME}/team/app:v1")


@pytest.mark.parametrize("root", ["containers", "docker"])
def test_pull_when_the_registry_wants_a_certificate_then_ours_of_certs_d(
    tmp_path: Path, authority: Authority, closing: list[Proxy | Scripted], root: str
) -> None:
    _, proxy = served(tmp_path, authority, closing, clients=True)
    engine = engine_behind(tmp_path, proxy.url)
    folder = authority.install(engine)
    with pytest.raises(PodError):
        pull.pull(engine, f"{NAME}/team/app:v1")
    (folder / "ca.crt").unlink()
    authority.install(engine, client=True, root=root)
    assert pull.pull(Engine(engine.environ, root=engine.paths.root), f"{NAME}/team/app:v1")


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ("rm me.key", "its key me.key is missing"),
        ("rm me.cert", "there is no certificate me.cert"),
        ("echo x > me.key", "me.cert"),
        ("openssl ec -aes128 -passout pass:abcd -in me.key -out e.key; mv e.key me.key", "it has a password"),
    ],
)
def test_pull_when_our_certificate_is_incomplete_then_the_file_is_named(
    tmp_path: Path, authority: Authority, change: str, words: str
) -> None:
    engine = engine_behind(tmp_path, "")
    folder = authority.install(engine, client=True)
    subprocess.run(["/bin/sh", "-c", change], cwd=folder, check=True, capture_output=True, timeout=30)
    with pytest.raises(RegistryError, match=words) as caught:
        pull.pull(engine, f"{NAME}/team/app:v1")
    assert "\n" not in caught.value.message


@pytest.mark.docker_registry
def test_pull_when_debians_registry_has_tls_then_through_a_tunnel(
    tmp_path: Path, authority: Authority, closing: list[Proxy | Scripted]
) -> None:
    with Registry(tmp_path / "storage", tmp_path / "registry", certificate=authority.server) as registry:
        proxy = Proxy(registry.port, tmp_path / "proxy")
        closing.append(proxy)
        engine = engine_behind(tmp_path, proxy.url)
        authority.install(engine)
        with pytest.raises(RegistryError, match="not found"):
            pull.pull(engine, f"{NAME}/team/app:v1")
    assert {head.split()[0] for head in proxy.heads} == {"CONNECT"}
