"""`pod login` and `logout`: a login is tried at the registry, then kept where the others are (registry/credentials).

    $REGISTRY_AUTH_FILE                           where it is set
    $DOCKER_CONFIG/config.json, ~/.docker/…       else; credHelpers and credsStore hand it to a credential helper
    containers' auth.json                         where that one has logins and Docker's file has none

A file is read, changed and replaced under a lock of its folder, whatever else it says; 0600. Logout takes a login out
of all of them: one that is left would still be used.
"""

from __future__ import annotations

import base64
import contextlib
import os

from pod.core import config as configuration
from pod.core import statefile
from pod.core.errors import ConfigError, RegistryError, Unauthorized, UsageError
from pod.core.oci.reference import DEFAULT_DOMAIN, LEGACY_DOMAIN
from pod.core.registry import credentials as logins
from pod.core.registry import registries, retry
from pod.core.registry.auth import Authenticator, parse_challenges, realm_is_ours
from pod.core.registry.client import HUB, named_insecure
from pod.core.registry.credentials import DOCKER_HUB, Credentials
from pod.core.registry.transport import Origin, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from typing import Any

    from pod.core.engine import Engine


def server(text: str) -> str:
    """The registry (host[:port]) that an argument of login means: "docker.io" for none or for an address of the Hub."""
    name = text.strip().rpartition("://")[2].partition("/")[0]
    if not text:
        return DEFAULT_DOMAIN
    if not name or not name.isprintable() or " " in name or "@" in name:
        raise UsageError(f"invalid registry address: {text[:80]}", hint="it looks like registry.example.com:5000")
    return DEFAULT_DOMAIN if name in (DEFAULT_DOMAIN, LEGACY_DOMAIN, HUB) else name


def shown(host: str) -> str:
    """As Docker's messages name it."""
    return DOCKER_HUB if host == DEFAULT_DOMAIN else host


def verify(engine: Engine, host: str, credentials: Credentials) -> None:
    """Returns if the registry takes the login. Unauthorized, Unreachable, RegistryError."""
    address = HUB if host == DEFAULT_DOMAIN else host
    rule = registries.of(engine.config).rule(host)
    insecure = named_insecure(engine.config, address) or (rule is not None and rule.insecure)
    transport = Transport(Origin(address, insecure=insecure), engine.environ)
    try:
        retry.insist(lambda: _try(engine, transport, address, credentials))
    finally:
        transport.close()


def _try(engine: Engine, transport: Transport, address: str, credentials: Credentials) -> None:
    realms = engine.config.token_realms
    auth = Authenticator(transport, lambda: credentials, realms)
    answer = transport.get("/v2/", {})
    answer.drain()
    if answer.status == 401:
        header = answer.headers.get("WWW-Authenticate", "")
        for challenge in parse_challenges(header):
            realm = challenge.parameters.get("realm", "")
            if challenge.scheme == "bearer" and not realm_is_ours(realm, address, realms.get(address, "")):
                place = realm.partition("?")[0][:200]
                raise Unauthorized(
                    f"log in to registry: {address}: its token service is another organisation's: {place}",
                    hint=f'to let it see the password, put into pod.toml: [token-realms] "{address}" = "{place}"',
                )
        if not auth.answer(header, [], ""):
            raise RegistryError(f"log in to registry: {address}: it asks for a login of a kind that pod does not know")
        answer = transport.get("/v2/", auth.headers())
        answer.drain()
    url = f"{transport.scheme}://{address}/v2/"
    if answer.status in (401, 403):
        text = f"login attempt to {url} failed with status: {answer.status}"
        raise Unauthorized(text, hint="check the user and the password")
    if answer.status in retry.STATUSES:
        wait = retry.asked_wait(answer.headers.get("Retry-After", ""))
        raise retry.Passing(f"login attempt to {url} failed with status: {answer.status}", wait=wait)
    if answer.status != 200:
        text = f"login attempt to {url} failed with status: {answer.status}"
        raise RegistryError(text, hint="is there a registry at this address?")


def keep(engine: Engine, host: str, credentials: Credentials) -> tuple[str, str]:
    """(file, credential helper or "") that has the login from now on. ConfigError for a file that cannot be read."""
    environ = engine.environ
    path, dockers = _where(environ)
    if not path:
        raise ConfigError("keep login: there is no home", hint="set HOME, or DOCKER_CONFIG")
    with _changing(path) as document:
        helper = logins.helper_of(document, host)
        key = shown(host) if dockers else host
        auths = document.setdefault("auths", {})
        if not isinstance(auths, dict):
            raise ConfigError(f"keep login: {path}: auths is not an object")
        if helper:
            said = {"ServerURL": shown(host), "Username": credentials.user, "Secret": credentials.password}
            if credentials.token:
                said.update(Username="<token>", Secret=credentials.token)
            logins.run_helper(helper, "store", statefile.dumps(said), environ)
            auths[key] = {}  # As Docker does, for those who list what there is.
        else:
            pair = f"{credentials.user}:{credentials.password}".encode()
            auths[key] = {"auth": base64.b64encode(pair).decode()}
    return path, helper


def forget(engine: Engine, host: str) -> bool:
    """Takes the login for ``host`` out of every file and helper; whether there was any."""
    found = False
    for path in logins.files(engine.environ):
        if not configuration.read_file(path, []).strip():
            continue
        document = _read(path)
        helper = logins.helper_of(document, host)
        if helper and logins.from_helper(helper, host, engine.environ) is not None:
            logins.run_helper(helper, "erase", shown(host), engine.environ)
            found = True
        if not _entries(document, host):
            continue
        with _changing(path) as changed:
            for key in _entries(changed, host):
                found = found or bool(changed["auths"].pop(key)) or not helper
    return found


def _entries(document: dict[str, Any], host: str) -> list[str]:
    auths = document.get("auths")
    return [key for key in logins.keys(host, "") if isinstance(auths, dict) and key in auths]


def _where(environ: Mapping[str, str]) -> tuple[str, bool]:
    """(file, whether it is Docker's) that a new login belongs into."""
    paths = logins.files(environ)
    if environ.get("REGISTRY_AUTH_FILE") or not paths:
        return (paths[0] if paths else ""), False
    home = environ.get("DOCKER_CONFIG") or environ.get("HOME")
    if not home:
        return paths[0], False
    if _has_logins(paths[0]):
        return paths[0], True
    for path in paths[1:]:
        if _has_logins(path):
            return path, False
    return paths[0], True


def _has_logins(path: str) -> bool:
    data = configuration.read_file(path, [])
    document = _read(path) if data.strip() else {}
    return any(document.get(key) for key in ("auths", "credHelpers", "credsStore"))


def _read(path: str) -> dict[str, Any]:
    import json

    data = configuration.read_file(path, [])
    try:
        document = json.loads(data) if data.strip() else {}
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"read credentials: {path}: {error}", hint="repair or remove the file") from None
    if not isinstance(document, dict):
        raise ConfigError(f"read credentials: {path}: not a JSON object", hint="repair or remove the file")
    return document


@contextlib.contextmanager
def _changing(path: str) -> Iterator[dict[str, Any]]:
    """The document of ``path``, replaced by what it became; one changes it at a time. A link stays one."""
    import fcntl
    import json

    path = os.path.realpath(path)
    folder = os.path.dirname(path)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError as error:
        raise ConfigError(f"keep login: {folder}: {error.strerror}") from None
    try:
        with contextlib.suppress(OSError):  # Without locks here: who replaces it last has the say.
            fcntl.flock(fd, fcntl.LOCK_EX)
        document = _read(path)
        yield document
        text = json.dumps(document, indent="\t", ensure_ascii=False) + "\n"
        try:
            statefile.write_bytes(path, text.encode(), sync=True, mode=0o600)
        except OSError as error:
            raise ConfigError(f"keep login: {path}: {error.strerror}") from None
    finally:
        os.close(fd)
