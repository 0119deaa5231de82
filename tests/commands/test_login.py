"""`pod login` and `logout`, and pushes with them: htpasswd, tokens, TLS of an own CA, helpers, a terminal."""

from __future__ import annotations

import base64
import json
import stat
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.registry import login
from pod.core.registry.credentials import Credentials
from tests.support import tools
from tests.support.podcli import Pod
from tests.support.proxy import Proxy
from tests.support.registry import HTPASSWD, Registry
from tests.support.tokens import TokenService

pytestmark = [pytest.mark.alike, pytest.mark.docker_registry]


@pytest.fixture(scope="module")
def shut(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Registry]:
    """A registry for "user", "secret"."""
    base = tmp_path_factory.mktemp("shut")
    (base / "htpasswd").write_text(HTPASSWD)
    with Registry(base / "storage", base / "registry", htpasswd=base / "htpasswd") as running:
        yield running


def config(pod: Pod) -> Path:
    return pod.home / ".docker/config.json"


def auths(pod: Pod) -> dict[str, dict[str, str]]:
    found: dict[str, dict[str, str]] = json.loads(config(pod).read_text())["auths"]
    return found


ENTRY = {"auth": base64.b64encode(b"user:secret").decode()}


def test_login_when_the_registry_takes_it_then_kept_and_pushes_work(fresh_pod: Pod, shut: Registry) -> None:
    pod = fresh_pod
    config(pod).parent.mkdir()
    config(pod).write_text('{"detachKeys": "ctrl-q", "auths": {"other.example": {"auth": "YTpi"}}}')
    target = f"{shut.host}/team/app:v1"
    pod("tag", fresh_pod.image("busybox:latest"), target).ok()
    pod("push", target).failed(1, "unauthorized: authentication required", f"pod login {shut.host}")
    done = pod("login", "-u", "user", "--password-stdin", f"http://{shut.host}/v2/", stdin=b"secret\n")
    assert done.ok() == "Login Succeeded\n"
    assert f"WARNING: Your credentials are stored unencrypted in '{config(pod)}'" in done.err
    assert stat.S_IMODE(config(pod).stat().st_mode) == 0o600
    assert auths(pod) == {"other.example": {"auth": "YTpi"}, shut.host: ENTRY}
    assert json.loads(config(pod).read_text())["detachKeys"] == "ctrl-q"
    assert "v1: digest: sha256:" in pod("push", target).ok()
    pod("rmi", "-f", target).ok()
    pod("pull", target).ok()
    again = pod("login", shut.host).ok()
    assert again == "Authenticating with existing credentials...\nLogin Succeeded\n"
    assert pod("logout", shut.host).ok() == f"Removing login credentials for {shut.host}\n"
    assert auths(pod) == {"other.example": {"auth": "YTpi"}}
    assert pod("logout", shut.host).ok() == f"Not logged in to {shut.host}\n"


def test_login_when_refused_then_nothing_is_kept(offline_pod: Pod, shut: Registry) -> None:
    done = offline_pod("login", "-u", "user", "-p", "wrong", shut.host)
    done.failed(1, f"login attempt to http://{shut.host}/v2/ failed with status: 401")
    assert "WARNING: Using --password via the CLI is insecure. Use --password-stdin." in done.err
    assert not config(offline_pod).exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["-p", "x", "--password-stdin"], "cannot specify both --password and --password-stdin"),
        (["--password-stdin"], "the --password-stdin option requires --username"),
        (["-u", "user"], "cannot perform an interactive login from a non-TTY device"),
        (["-u", "user", "--password-stdin"], "standard input has none"),
        (["-u", "a:b", "-p", "x"], "cannot have a colon"),
    ],
)
def test_login_when_flags_do_not_fit_then_one_line(offline_pod: Pod, words: list[str], said: str) -> None:
    offline_pod("login", *words, "127.0.0.1:1", stdin=b"").failed(1, said)


def test_login_on_a_terminal_asks_and_does_not_show_the_password(offline_pod: Pod, shut: Registry) -> None:
    terminal = offline_pod.terminal("login", shut.host)
    terminal.expect(rb"Username: ")
    terminal.send(b"user\r")
    terminal.expect(rb"Password: ")
    terminal.send(b"secret\r")
    seen = terminal.expect(rb"(?s)(.*)Login Succeeded")
    assert b"secret" not in seen.group(1)
    assert terminal.wait() == 0
    assert auths(offline_pod) == {shut.host: ENTRY}


def test_login_when_a_helper_is_named_then_it_keeps_the_password(
    offline_pod: Pod, shut: Registry, tmp_path: Path
) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text(f'#!/bin/sh\ncat >{tmp_path}/$1; test "$1" != get || cat {tmp_path}/store 2>/dev/null\n')
    helper.chmod(0o755)
    path = {"PATH": f"{tmp_path}:{tools.SEARCH}"}
    config(offline_pod).parent.mkdir()
    config(offline_pod).write_text(json.dumps({"credHelpers": {shut.host: "test"}}))
    done = offline_pod("login", "-u", "user", "--password-stdin", shut.host, stdin=b"secret", env=path)
    assert done.ok() == "Login Succeeded\n"
    assert "unencrypted" not in done.err
    kept = json.loads((tmp_path / "store").read_text())
    assert kept == {"ServerURL": shut.host, "Username": "user", "Secret": "secret"}
    assert auths(offline_pod) == {shut.host: {}}
    assert "secret" not in config(offline_pod).read_text()
    assert offline_pod("logout", shut.host, env=path).ok() == f"Removing login credentials for {shut.host}\n"
    assert (tmp_path / "erase").read_text() == shut.host


def test_login_when_others_are_in_containers_auth_json_then_there(offline_pod: Pod, shut: Registry) -> None:
    path = offline_pod.home / ".config/containers/auth.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"auths": {"other.example": {"auth": "YTpi"}}}')
    offline_pod("login", "-u", "user", "--password-stdin", shut.host, stdin=b"secret").ok()
    assert json.loads(path.read_text())["auths"][shut.host] == ENTRY
    assert not config(offline_pod).exists()


def test_login_when_the_file_is_no_json_then_it_stays_as_it_is(offline_pod: Pod, shut: Registry) -> None:
    config(offline_pod).parent.mkdir()
    config(offline_pod).write_text("{broken")
    offline_pod("login", "-u", "user", "-p", "secret", shut.host).failed(125, str(config(offline_pod)))
    assert config(offline_pod).read_text() == "{broken"


def test_logins_of_many_at_once_are_all_kept(tmp_path: Path) -> None:
    real = tmp_path / "real.json"
    (tmp_path / "config.json").symlink_to(real)

    def keep(number: int) -> None:
        engine = Engine({"HOME": str(tmp_path), "DOCKER_CONFIG": str(tmp_path)}, root=str(tmp_path / "store"))
        login.keep(engine, f"host{number}.example", Credentials("user", "secret"))

    threads = [threading.Thread(target=keep, args=(number,)) for number in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(json.loads(real.read_text())["auths"]) == 16
    assert (tmp_path / "config.json").is_symlink()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["config.json", "real.json"]


def test_push_with_tokens_asks_for_what_it_needs_and_is_denied_what_it_may_not(fresh_pod: Pod, tmp_path: Path) -> None:
    rights = {"": {"*": ""}, "writer:w": {"*": "pull,push"}, "reader:r": {"*": "pull"}}
    service = TokenService(tmp_path, rights)
    try:
        with Registry(tmp_path / "storage", tmp_path / "registry", tokens=service) as registry:
            target = f"{registry.host}/team/app:v1"
            fresh_pod("tag", fresh_pod.image("busybox:latest"), target).ok()
            fresh_pod("push", target).failed(1, "unauthorized")
            fresh_pod("login", "-u", "writer", "-p", "wrong", registry.host).failed(1, "refused")
            fresh_pod("login", "-u", "writer", "--password-stdin", registry.host, stdin=b"w").ok()
            service.asked.clear()
            fresh_pod("push", target).ok()
            assert [query.get("scope") for query in service.asked] == [["repository:team/app:pull,push"]]
            other = f"{registry.host}/other/app:v1"
            fresh_pod("tag", fresh_pod.image("busybox:latest"), other).ok()
            service.asked.clear()
            assert "Mounted from team/app" in fresh_pod("push", other).ok()
            asked = [["repository:other/app:pull,push", "repository:team/app:pull"]]
            assert [query.get("scope") for query in service.asked] == asked
            fresh_pod("login", "-u", "reader", "--password-stdin", registry.host, stdin=b"r").ok()
            third = f"{registry.host}/third/app:v1"
            fresh_pod("tag", fresh_pod.image("busybox:latest"), third).ok()
            fresh_pod("push", third).failed(1, "third/app", "pod login")
    finally:
        service.stop()


def certificate(folder: Path) -> tuple[Path, Path, Path]:
    """(CA, certificate of registry.test by it, key)."""

    def run(*words: str) -> None:
        subprocess.run(["openssl", *words], check=True, capture_output=True, timeout=60, cwd=folder)

    ec = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")
    run("req", "-x509", *ec, "-days", "2", "-subj", "/CN=own CA", "-keyout", "ca.key", "-out", "ca.crt")
    run("req", *ec, "-subj", "/CN=registry.test", "-keyout", "key", "-out", "csr")
    (folder / "san").write_text("subjectAltName=DNS:registry.test\n")
    signing = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-days", "2", "-extfile", "san")
    run("x509", "-req", "-in", "csr", "-out", "crt", *signing)
    return folder / "ca.crt", folder / "crt", folder / "key"


def test_push_and_pull_with_tls_of_an_own_ca_and_a_password(fresh_pod: Pod, tmp_path: Path) -> None:
    authority, own, key = certificate(tmp_path)
    (tmp_path / "htpasswd").write_text(HTPASSWD)
    target = "registry.test/team/app:v1"
    with Registry(
        tmp_path / "storage", tmp_path / "registry", htpasswd=tmp_path / "htpasswd", certificate=(own, key)
    ) as registry:
        proxy = Proxy(registry.port, tmp_path)
        via = {"HTTPS_PROXY": proxy.url, "HTTP_PROXY": proxy.url}
        try:
            fresh_pod("tag", fresh_pod.image("busybox:latest"), target).ok()
            words = ("login", "-u", "user", "--password-stdin", "registry.test")
            fresh_pod(*words, stdin=b"secret", env=via).failed(1, "certificate", "insecure-registries")
            folder = fresh_pod.home / ".config/docker/certs.d/registry.test"
            folder.mkdir(parents=True)
            (folder / "ca.crt").write_bytes(authority.read_bytes())
            fresh_pod(*words, stdin=b"secret", env=via).ok()
            fresh_pod("push", target, env=via).ok()
            fresh_pod("rmi", "-f", target).ok()
            fresh_pod("pull", target, env=via).ok()
        finally:
            proxy.close()


def test_push_when_insecure_by_configuration_only_then_plain_and_without_a_password(
    fresh_pod: Pod, tmp_path: Path, writable_registry: Registry
) -> None:
    proxy = Proxy(writable_registry.port, tmp_path)
    via = {"HTTPS_PROXY": proxy.url, "HTTP_PROXY": proxy.url}
    try:
        target = "registry.test/team/app:v1"
        fresh_pod("tag", fresh_pod.image("busybox:latest"), target).ok()
        fresh_pod("push", target, env=via).failed(1, "registry.test", "insecure-registries")
        toml = fresh_pod.home / ".config/pod/pod.toml"
        toml.parent.mkdir(parents=True)
        toml.write_text('insecure-registries = ["registry.test"]\n')
        config(fresh_pod).parent.mkdir()
        config(fresh_pod).write_text(json.dumps({"auths": {"registry.test": ENTRY}}))
        fresh_pod("push", target, env=via).ok()
        assert not [head for head in proxy.heads if "authorization" in head.lower()]
    finally:
        proxy.close()
