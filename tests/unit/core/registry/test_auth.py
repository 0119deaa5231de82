"""pod.core.registry.auth: challenges of strangers, and where credentials may go (CVE-2020-15157)."""

from __future__ import annotations

import base64
import json
from pathlib import Path

import pytest

from pod.core.errors import ConfigError, RegistryError
from pod.core.registry import auth, credentials


def test_parse_challenges_when_bearer_then_parameters() -> None:
    (challenge,) = auth.parse_challenges('Bearer realm="https://a/t?x=1,2",service="s \\"q\\"",scope=repository:x:pull')
    assert challenge.scheme == "bearer"
    assert challenge.parameters == {"realm": "https://a/t?x=1,2", "service": 's "q"', "scope": "repository:x:pull"}


def test_parse_challenges_when_several_then_in_order() -> None:
    found = auth.parse_challenges('Negotiate, Basic realm="x", Bearer realm="https://a"')
    assert [challenge.scheme for challenge in found] == ["negotiate", "basic", "bearer"]


@pytest.mark.parametrize("text", ["", ",,,", '"', "Bearer", 'Bearer realm="', "Bearer realm=", "=x", "é" * 50_000])
def test_parse_challenges_when_odd_then_no_failure(text: str) -> None:
    auth.parse_challenges(text)


@pytest.mark.parametrize(
    ("realm", "registry", "ours"),
    [
        ("https://auth.docker.io/token", "registry-1.docker.io", True),
        ("https://gitlab.com/jwt/auth", "registry.gitlab.com", True),
        ("https://registry.example.com/token", "registry.example.com:5000", True),
        ("https://auth.example.com/token", "registry.example.com", True),
        ("https://evil.com/token", "registry.example.com", False),
        ("https://example.com.evil.com/token", "registry.example.com", False),
        ("https://evilexample.com/token", "registry.example.com", False),
        ("http://registry.example.com/token", "registry.example.com", False),
        ("http://127.0.0.1:5001/token", "127.0.0.1:5000", True),
        ("http://localhost:5001/token", "localhost:5000", True),
        ("https://10.0.0.2/token", "10.0.0.1", False),
        ("https://evil.co.uk/token", "shop.co.uk", False),
        ("https://auth.shop.co.uk/token", "registry.shop.co.uk", True),
        ("https://evil.com/token", "example.com", False),
        ("https://user@registry.example.com/", "registry.example.com", False),
        ("https://other.github.io/token", "mine.github.io", False),
        ("https://[::1]/token", "[::1]:5000", True),
        ("ftp://registry.example.com/", "registry.example.com", False),
        ("", "registry.example.com", False),
    ],
)
def test_realm_is_ours_when_asked_then_only_the_same_organisation(realm: str, registry: str, ours: bool) -> None:
    assert auth.realm_is_ours(realm, registry) is ours


def test_realm_is_ours_when_configured_then_that_prefix_only() -> None:
    allowed = "https://login.other.org/tokens"
    assert auth.realm_is_ours("https://login.other.org/tokens?x", "r.example.com", allowed)
    assert not auth.realm_is_ours("https://login.other.org/tokens.evil", "r.example.com", allowed)
    assert not auth.realm_is_ours("https://login.other.org.evil.com/tokens", "r.example.com", allowed)


def encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()


def write(path: Path, document: object) -> dict[str, str]:
    path.write_text(json.dumps(document))
    return {"REGISTRY_AUTH_FILE": str(path), "HOME": str(path.parent)}


def test_find_when_most_specific_key_then_that_one(tmp_path: Path) -> None:
    environ = write(
        tmp_path / "auth.json",
        {"auths": {"r.com": {"auth": encoded("u:p")}, "r.com/team": {"auth": encoded("t:q:r")}}},
    )
    found = credentials.find("r.com", "team/app", environ)
    assert found is not None
    assert (found.user, found.password) == ("t", "q:r")
    other = credentials.find("r.com", "other/app", environ)
    assert other is not None
    assert other.user == "u"
    assert credentials.find("r.com.evil.com", "team/app", environ) is None


def test_find_when_docker_hub_then_its_old_key(tmp_path: Path) -> None:
    environ = write(tmp_path / "auth.json", {"auths": {credentials.DOCKER_HUB: {"auth": encoded("u:p")}}})
    found = credentials.find("docker.io", "library/x", environ)
    assert found is not None
    assert found.basic() == "Basic " + encoded("u:p")


@pytest.mark.parametrize("auth_text", ["%%%", encoded("nocolon"), "/w=="])
def test_find_when_auth_is_garbage_then_error_names_the_place(tmp_path: Path, auth_text: str) -> None:
    environ = write(tmp_path / "auth.json", {"auths": {"r.com": {"auth": auth_text}}})
    with pytest.raises(ConfigError, match=r"auth\.json: r\.com"):
        credentials.find("r.com", "x", environ)


def test_find_when_helper_then_asked_on_stdin(tmp_path: Path) -> None:
    helper = tmp_path / "docker-credential-test"
    helper.write_text('#!/bin/sh\nread -r s\nprintf \'{"Username":"u","Secret":"for %s"}\' "$s"\n')
    helper.chmod(0o755)
    environ = write(tmp_path / "auth.json", {"credHelpers": {"r.com": "test"}})
    found = credentials.find("r.com", "x", {**environ, "PATH": f"{tmp_path}:/usr/bin:/bin"})
    assert found is not None
    assert (found.user, found.password) == ("u", "for r.com")


def test_find_when_helper_is_missing_then_error(tmp_path: Path) -> None:
    environ = write(tmp_path / "auth.json", {"credsStore": "none-such"})
    with pytest.raises(RegistryError, match="docker-credential-none-such: not found"):
        credentials.find("r.com", "x", {**environ, "PATH": str(tmp_path)})


def test_find_when_helper_name_is_a_path_then_refused(tmp_path: Path) -> None:
    environ = write(tmp_path / "auth.json", {"credsStore": "../../bin/sh"})
    with pytest.raises(ConfigError, match="not the name"):
        credentials.find("r.com", "x", environ)


def test_find_when_user_and_password_are_plain_then_used(tmp_path: Path) -> None:
    environ = write(tmp_path / "auth.json", {"auths": {"r.com": {"username": "u", "password": "p"}}})
    found = credentials.find("r.com", "x", environ)
    assert found is not None
    assert (found.user, found.password) == ("u", "p")


def helper(tmp_path: Path, script: str) -> dict[str, str]:
    """The environment with a credential helper for everything."""
    path = tmp_path / "docker-credential-test"
    path.write_text("#!/bin/sh\n" + script)
    path.chmod(0o755)
    environ = write(tmp_path / "auth.json", {"credsStore": "test"})
    return {**environ, "PATH": f"{tmp_path}:/usr/bin:/bin"}


def test_find_when_helper_has_nothing_then_anonymous(tmp_path: Path) -> None:
    environ = helper(tmp_path, "echo 'credentials not found in native keychain'; exit 1\n")
    assert credentials.find("r.com", "x", environ) is None


def test_find_when_helper_gives_an_identity_token_then_a_token(tmp_path: Path) -> None:
    found = credentials.find("r.com", "x", helper(tmp_path, 'echo \'{"Username":"<token>","Secret":"t"}\'\n'))
    assert found is not None
    assert (found.user, found.token) == ("", "t")


@pytest.mark.parametrize(
    ("script", "words"),
    [
        ("echo first; echo second; exit 2", "docker-credential-test: first"),
        ("echo '{}'", "not what the protocol says"),
        ('echo \'{"Username":7,"Secret":null}\'', "not what the protocol says"),
        ("echo nonsense", "not what the protocol says"),
        ("sleep 60 & wait", "no answer in 0.3 s"),
    ],
)
def test_find_when_helper_fails_then_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, words: str
) -> None:
    monkeypatch.setattr(credentials, "HELPER_TIMEOUT", 0.3 if "sleep" in script else 20.0)
    with pytest.raises(RegistryError, match=words) as caught:
        credentials.find("r.com", "x", helper(tmp_path, script + "\n"))
    assert "\n" not in caught.value.message
    assert caught.value.hint
