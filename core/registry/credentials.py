"""Who we are at a registry: the auth files of Docker and containers-auth.json(5), and Docker's credential helpers.

    $REGISTRY_AUTH_FILE                                    alone, when set
    $DOCKER_CONFIG/config.json or ~/.docker/config.json    auths, credHelpers, credsStore
    $XDG_RUNTIME_DIR/containers/auth.json, ~/.config/containers/auth.json
"""

from __future__ import annotations

import base64
import binascii
import subprocess

from pod.core import config as configuration
from pod.core import statefile
from pod.core.errors import ConfigError, RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

HELPER_TIMEOUT = 30.0
DOCKER_HUB = "https://index.docker.io/v1/"


class Credentials:
    """``user`` and ``password``, or an identity token (``token``) of an OAuth2 service."""

    __slots__ = ("password", "token", "user")

    def __init__(self, user: str, password: str, token: str = "") -> None:
        self.user = user
        self.password = password
        self.token = token

    def basic(self) -> str:
        """The value of an Authorization header."""
        return "Basic " + base64.b64encode(f"{self.user}:{self.password}".encode()).decode()


def find(host: str, repository: str, environ: Mapping[str, str]) -> Credentials | None:
    """The credentials for ``host`` ("docker.io" is Docker Hub), most specific host/path first; None: anonymous."""
    for path in _files(environ):
        data = configuration.read_file(path, [])
        if not data.strip():
            continue
        try:
            document = statefile.loads(data)
        except ValueError as error:
            raise ConfigError(f"read credentials: {path}: {error}") from None
        if isinstance(document, dict):
            found = _in_document(document, path, host, repository, environ)
            if found is not None:
                return found
    return None


def _files(environ: Mapping[str, str]) -> list[str]:
    explicit = environ.get("REGISTRY_AUTH_FILE")
    if explicit:
        return [explicit]
    home = environ.get("HOME", "")
    docker = environ.get("DOCKER_CONFIG") or (home + "/.docker" if home else "")
    runtime = environ.get("XDG_RUNTIME_DIR", "")
    files = [docker and docker + "/config.json", runtime and runtime + "/containers/auth.json"]
    config_home = configuration.config_home(environ)
    files.append(config_home and config_home + "/containers/auth.json")
    return [path for path in files if path]


def _keys(host: str, repository: str) -> list[str]:
    """What the files may call the registry, most specific first."""
    parts = repository.split("/")
    keys = [f"{host}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    if host == "docker.io":
        return [*keys, "docker.io", DOCKER_HUB, "index.docker.io", "https://index.docker.io"]
    return [*keys, host, f"https://{host}", f"https://{host}/", f"https://{host}/v1/", f"https://{host}/v2/"]


def _in_document(
    document: dict[str, Any], path: str, host: str, repository: str, environ: Mapping[str, str]
) -> Credentials | None:
    helpers = document.get("credHelpers")
    if isinstance(helpers, dict):
        helper = helpers.get(host) or (helpers.get(DOCKER_HUB) if host == "docker.io" else None)
        if isinstance(helper, str) and helper:
            return _from_helper(helper, host, environ)
    auths = document.get("auths")
    if isinstance(auths, dict):
        for key in _keys(host, repository):
            entry = auths.get(key)
            if isinstance(entry, dict) and (entry.get("auth") or entry.get("identitytoken")):
                return _decode(entry, f"{path}: {key}")
    store = document.get("credsStore")
    if isinstance(store, str) and store:
        return _from_helper(store, host, environ)
    return None


def _decode(entry: dict[str, Any], place: str) -> Credentials:
    token = entry.get("identitytoken") or ""
    auth = entry.get("auth") or ""
    if not isinstance(token, str) or not isinstance(auth, str):
        raise ConfigError(f"read credentials: {place}: auth is not a string")
    try:
        user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise ConfigError(f"read credentials: {place}: auth is not base64 of user:password") from None
    if not colon and not token:
        raise ConfigError(f"read credentials: {place}: auth is not user:password")
    return Credentials(user, password.rstrip("\0"), token)


def _from_helper(name: str, host: str, environ: Mapping[str, str]) -> Credentials | None:
    """docker-credential-<name> get (docker-credential-helpers protocol): the server on stdin, JSON on stdout."""
    if "/" in name or name.startswith("."):
        raise ConfigError(f"read credentials: {name}: not the name of a credential helper")
    program = f"docker-credential-{name}"
    server = DOCKER_HUB if host == "docker.io" else host
    try:
        done = subprocess.run(
            [program, "get"], input=server.encode(), capture_output=True, timeout=HELPER_TIMEOUT, env=dict(environ),
            check=False, cwd="/",
        )  # fmt: skip
    except FileNotFoundError:
        raise RegistryError(
            f"ask for credentials: {program}: not found on PATH", hint="install it, or remove it from config.json"
        ) from None
    except (OSError, subprocess.TimeoutExpired) as error:
        raise RegistryError(f"ask for credentials: {program}: {error}") from error
    if done.returncode != 0:
        said = (done.stdout + done.stderr).decode("utf-8", "replace").strip()
        if "credentials not found" in said:
            return None
        raise RegistryError(f"ask for credentials: {program}: {said[:200] or 'failed'}")
    try:
        answer = statefile.loads(done.stdout)
        user, secret = answer["Username"], answer["Secret"]
    except (ValueError, KeyError, TypeError):
        raise RegistryError(f"ask for credentials: {program}: its answer is not what the protocol says") from None
    if user == "<token>":
        return Credentials("", "", secret)
    return Credentials(user, secret)


