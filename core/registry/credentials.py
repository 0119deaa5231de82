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
    for path in files(environ):
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


def files(environ: Mapping[str, str]) -> list[str]:
    """Where logins may be, in the order in which they are looked for."""
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


def keys(host: str, repository: str) -> list[str]:
    """What the files may call the registry, most specific first."""
    parts = repository.split("/")
    keys = [f"{host}/{'/'.join(parts[:count])}" for count in range(len(parts), 0, -1)]
    if host == "docker.io":
        return [*keys, "docker.io", DOCKER_HUB, "index.docker.io", "https://index.docker.io"]
    return [*keys, host, f"https://{host}", f"https://{host}/", f"https://{host}/v1/", f"https://{host}/v2/"]


def _in_document(
    document: dict[str, Any], path: str, host: str, repository: str, environ: Mapping[str, str]
) -> Credentials | None:
    helper = helper_of(document, host, own=True)
    if helper:
        return from_helper(helper, host, environ)
    auths = document.get("auths")
    if isinstance(auths, dict):
        for key in keys(host, repository):
            entry = auths.get(key)
            if isinstance(entry, dict) and any(entry.get(part) for part in ("auth", "identitytoken", "username")):
                return _decode(entry, f"{path}: {key}")
    helper = helper_of(document, host)
    return from_helper(helper, host, environ) if helper else None


def helper_of(document: dict[str, Any], host: str, *, own: bool = False) -> str:
    """The credential helper that a file names for ``host``, "" for none; with ``own`` only one for that host alone."""
    helpers = document.get("credHelpers")
    names = ("docker.io", DOCKER_HUB, "index.docker.io") if host == "docker.io" else (host,)
    for helper in map(helpers.get, names) if isinstance(helpers, dict) else ():
        if isinstance(helper, str) and helper:
            return helper
    store = None if own else document.get("credsStore")
    return store if isinstance(store, str) else ""


def _decode(entry: dict[str, Any], place: str) -> Credentials:
    token, auth, user, password = (entry.get(part) or "" for part in ("identitytoken", "auth", "username", "password"))
    if not all(isinstance(part, str) for part in (token, auth, user, password)):
        raise ConfigError(f"read credentials: {place}: auth is not a string")
    if not auth and user:
        return Credentials(user, password, token)
    try:
        user, colon, password = base64.b64decode(auth, validate=True).decode().partition(":")
    except (binascii.Error, ValueError):
        raise ConfigError(f"read credentials: {place}: auth is not base64 of user:password") from None
    if not colon and not token:
        raise ConfigError(f"read credentials: {place}: auth is not user:password")
    return Credentials(user, password.rstrip("\0"), token)


def from_helper(name: str, host: str, environ: Mapping[str, str]) -> Credentials | None:
    """docker-credential-<name> get (docker-credential-helpers protocol): the server on stdin, JSON on stdout."""
    out = run_helper(name, "get", DOCKER_HUB if host == "docker.io" else host, environ)
    if not out:
        return None
    program = f"docker-credential-{name}"
    try:
        answer = statefile.loads(out)
        user, secret = answer["Username"], answer["Secret"]
        if not isinstance(user, str) or not isinstance(secret, str):
            raise ValueError("not strings")
    except (ValueError, KeyError, TypeError):
        text = f"ask for credentials: {program}: its answer is not what the protocol says"
        raise RegistryError(text, hint=_HELPER) from None
    if user == "<token>":
        return Credentials("", "", secret)
    return Credentials(user, secret)


_HELPER = "~/.docker/config.json names it (credsStore, credHelpers)"


def run_helper(name: str, verb: str, said: str, environ: Mapping[str, str]) -> bytes:
    """What docker-credential-<name> answers to get, store or erase with ``said`` on its standard input; b"" where it
    has nothing of that server. RegistryError where it fails.
    """
    if "/" in name or name.startswith("."):
        raise ConfigError(f"read credentials: {name}: not the name of a credential helper")
    program = f"docker-credential-{name}"
    status, out, errors = _ask(program, verb, said, environ)
    if status != 0:
        text = (out + errors).decode("utf-8", "replace").strip()
        if "credentials not found" in text:
            return b""
        line = next(iter(text.splitlines()), "")
        raise RegistryError(f"ask for credentials: {program}: {line[:200] or 'failed'}", hint=_HELPER)
    return out or b"{}"


def _ask(program: str, verb: str, said: str, environ: Mapping[str, str]) -> tuple[int, bytes, bytes]:
    """(status, output, errors) of a helper; it and what it started end after HELPER_TIMEOUT seconds."""
    import os
    import signal

    try:
        process = subprocess.Popen(
            [program, verb], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=dict(environ),
            cwd="/", start_new_session=True,
        )  # fmt: skip
    except FileNotFoundError:
        raise RegistryError(
            f"ask for credentials: {program}: not found on PATH", hint="install it, or remove it from config.json"
        ) from None
    except OSError as error:
        raise RegistryError(f"ask for credentials: {program}: {error.strerror}", hint=_HELPER) from None
    try:
        out, errors = process.communicate(said.encode(), HELPER_TIMEOUT)
    except subprocess.TimeoutExpired:
        text = f"ask for credentials: {program}: no answer in {HELPER_TIMEOUT:g} s"
        raise RegistryError(text, hint=_HELPER) from None
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
    return process.returncode, out, errors
