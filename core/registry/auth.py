"""Answers to WWW-Authenticate: anonymous and Bearer tokens, Basic (distribution: docs/spec/auth/token.md, RFC 7235).

Where credentials may go: to the registry itself, and to a token service ("realm") of the same organisation, that is
with the same host, its parent domain or a sibling below it, or one that pod.toml names in [token-realms]; over https,
or plain http on loopback. Any other realm gets an anonymous request (CVE-2020-15157).
"""

from __future__ import annotations

import threading
from urllib.parse import quote, urlencode, urlsplit

from pod.core import statefile
from pod.core.errors import RegistryError, Unauthorized
from pod.core.registry import retry
from pod.core.registry.proxies import is_loopback, split_host
from pod.core.registry.transport import Response, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from pod.core.registry.credentials import Credentials

MAX_TOKEN_ANSWER = 1 << 18
MAX_CHALLENGE = 8 << 10
_MAX_SCOPES = 16
_SECOND_LEVEL = frozenset(("ac", "co", "com", "edu", "gov", "mil", "ne", "net", "nom", "or", "org", "gob", "go"))
_SHARED = frozenset(("github.io", "amazonaws.com", "azurecr.io", "cloudfront.net", "herokuapp.com", "pages.dev"))


class Challenge:
    """One challenge: ``scheme`` in lower case and its parameters."""

    __slots__ = ("parameters", "scheme")

    def __init__(self, scheme: str, parameters: dict[str, str]) -> None:
        self.scheme = scheme
        self.parameters = parameters


def parse_challenges(header: str) -> list[Challenge]:
    """The challenges of a WWW-Authenticate header; what cannot be read ends the list. Bounded by MAX_CHALLENGE."""
    challenges: list[Challenge] = []
    rest = header[:MAX_CHALLENGE].strip()
    while rest:
        word, rest = _token(rest)
        if not word:
            break
        after = rest.lstrip()
        if after.startswith("=") and challenges:
            value, rest = _value(after[1:].lstrip())
            challenges[-1].parameters.setdefault(word.lower(), value)
        else:
            challenges.append(Challenge(word.lower(), {}))
        rest = rest.lstrip(" \t,")
    return challenges


def _token(text: str) -> tuple[str, str]:
    end = 0
    while end < len(text) and (text[end].isalnum() or text[end] in "!#$%&'*+-.^_`|~"):
        end += 1
    return text[:end], text[end:]


def _value(text: str) -> tuple[str, str]:
    if not text.startswith('"'):
        end = 0
        while end < len(text) and text[end] not in ", \t":
            end += 1
        return text[:end], text[end:]
    value = []
    position = 1
    while position < len(text) and text[position] != '"':
        if text[position] == "\\" and position + 1 < len(text):
            position += 1
        value.append(text[position])
        position += 1
    return "".join(value), text[position + 1 :]


def realm_is_ours(realm: str, registry: str, allowed: str = "") -> bool:
    """Whether the credentials of ``registry`` (host[:port]) may go to the token service at ``realm`` (URL)."""
    try:
        parts = urlsplit(realm)
    except ValueError:
        return False
    if "@" in parts.netloc or "\\" in parts.netloc or not parts.hostname:
        return False
    if parts.scheme != "https" and not (parts.scheme == "http" and is_loopback(parts.netloc)):
        return False
    if allowed and realm.startswith(allowed.rstrip("/")) and realm[len(allowed.rstrip("/")) :][:1] in ("", "/", "?"):
        return True
    ours, theirs = split_host(registry)[0], parts.hostname.lower()
    if ours == theirs:
        return True
    parent = _parent(ours)
    return bool(parent) and (theirs == parent or theirs.endswith("." + parent))


def _parent(host: str) -> str:
    """The domain above ``host`` if one organisation owns it: "example.com" for registry.example.com, else ""."""
    if host.replace(".", "").isdigit() or ":" in host:
        return ""
    parent = host.partition(".")[2]
    labels = parent.split(".")
    if len(labels) < 2 or parent in _SHARED or any(parent.endswith("." + shared) for shared in _SHARED):
        return ""
    if len(labels) == 2 and len(labels[1]) == 2 and (labels[0] in _SECOND_LEVEL or len(labels[0]) == 2):
        return ""
    return parent


class Authenticator:
    """Headers for one registry and repository; tokens are kept for its life (one command), or until they are refused.

    ``find`` gives the credentials; it is asked at the first challenge, for it may start a helper. Thread-safe: who is
    refused with a token that another thread has replaced meanwhile takes the new one.
    """

    __slots__ = ("_find", "_found", "_header", "_known", "_lock", "_realms", "_transport")

    def __init__(self, transport: Transport, find: Callable[[], Credentials | None], realms: Mapping[str, str]) -> None:
        self._transport = transport
        self._find = find
        self._found: Credentials | None = None
        self._known = False
        self._realms = realms
        self._header = ""
        self._lock = threading.Lock()

    @property
    def _credentials(self) -> Credentials | None:
        if not self._known:
            self._found = self._find()
            self._known = True
        return self._found

    def headers(self) -> dict[str, str]:
        """What to send with a request; empty before the first challenge."""
        if self._header and self._transport.scheme == "http" and not is_loopback(self._transport.origin.host):
            # A token that stands for no credentials harms nobody; anything else stays here.
            return {} if self._credentials is not None else {"Authorization": self._header}
        return {"Authorization": self._header} if self._header else {}

    def answer(self, challenge_header: str, scopes: list[str], sent: str) -> bool:
        """Takes a 401's challenge to a request with the Authorization ``sent``; False where there is no (other) answer.

        Of several challenges a Bearer's goes first: it may do without credentials, and sends them to fewer places. A
        token is asked for all of ``scopes`` and, in other repositories, for what the challenge names.
        """
        with self._lock:
            if self._header != sent:
                return True  # Another thread has answered it meanwhile.
            challenges = parse_challenges(challenge_header)
            for challenge in challenges:
                if challenge.scheme == "bearer":
                    self._header = "Bearer " + self._token(challenge, scopes)
                    return True
            if any(challenge.scheme == "basic" for challenge in challenges):
                credentials = self._credentials
                if credentials is None or not credentials.user or sent.startswith("Basic "):
                    return False
                self._refuse_plain()
                self._header = credentials.basic()
                return True
            return False

    def _refuse_plain(self) -> None:
        host = self._transport.origin.host
        if self._transport.scheme == "http" and not is_loopback(host):
            raise Unauthorized(
                f"log in to registry: {host}: it speaks plain http, where pod sends no password",
                hint="give the registry TLS",
            )

    def _token(self, challenge: Challenge, scopes: list[str]) -> str:
        realm = challenge.parameters.get("realm", "")
        try:
            parts = urlsplit(realm)
        except ValueError:
            parts = urlsplit("")
        if parts.scheme not in ("https", "http") or not parts.netloc:
            raise RegistryError(f"request token: {self._transport.origin.host}: its realm is not an address")
        query = [("scope", scope) for scope in _wanted(challenge.parameters.get("scope", ""), scopes)]
        if challenge.parameters.get("service"):
            query.append(("service", challenge.parameters["service"]))
        answer = self._ask(realm, "&" if parts.query else "?", query)
        try:
            body = answer.read(MAX_TOKEN_ANSWER)
        finally:
            answer.close()
        if answer.status in (401, 403):
            host = self._transport.origin.host
            raise Unauthorized(f"log in to registry: {host}: its token service refused", hint=_LOGIN)
        if answer.status in retry.STATUSES:
            wait = retry.asked_wait(answer.headers.get("Retry-After", ""))
            raise retry.Passing(f"request token: {parts.netloc}: status {answer.status}", hint=_LATER, wait=wait)
        if answer.status != 200:
            raise RegistryError(f"request token: {parts.netloc}: status {answer.status}")
        return _token_of(body, parts.netloc)

    def _ask(self, realm: str, joint: str, query: list[tuple[str, str]]) -> Response:
        credentials = self._credentials
        host = self._transport.origin.host
        if credentials is not None and not realm_is_ours(realm, host, self._realms.get(host, "")):
            credentials = None
        if credentials is not None and credentials.token:
            # docs/spec/auth/oauth.md: an identity token is exchanged by POST, never put into an address.
            # There the scopes are one parameter.
            scope = " ".join(value for key, value in query if key == "scope")
            form = {**dict(query), "scope": scope, "grant_type": "refresh_token", "refresh_token": credentials.token}
            form["client_id"] = "pod"
            if not scope:
                del form["scope"]
            return self._transport.request_url(realm, {}, form=urlencode(form).encode())
        headers = {}
        if credentials is not None and credentials.user:
            headers["Authorization"] = credentials.basic()
            query = [*query, ("account", credentials.user)]
        asked = joint + urlencode(query, quote_via=quote) if query else ""
        return self._transport.request_url(realm + asked, headers)


_LATER = "try again later"
_LOGIN = "check the user and the password: pod login"


def _wanted(challenge: str, scopes: list[str]) -> list[str]:
    """Ours, where there are several or they say more than pulling; else what the challenge names, if it does."""
    named = challenge.split()[:_MAX_SCOPES]
    if len(scopes) == 1 and scopes[0].endswith(":pull"):
        return named or scopes
    known = {scope.rpartition(":")[0] for scope in scopes}
    return scopes + [scope for scope in named if scope.rpartition(":")[0] not in known]


def _token_of(body: bytes, host: str) -> str:
    try:
        document = statefile.loads(body)
    except ValueError:
        document = None
    token = None
    if isinstance(document, dict):
        token = document.get("token") or document.get("access_token")
    if not isinstance(token, str) or not token.isascii() or not token.isprintable() or " " in token:
        raise RegistryError(f"request token: {host}: its answer has no token")
    return token
