"""Pulling from a registry (distribution-spec v1.1: pull, tags): manifests, blobs, tags of one repository.

:func:`connect` decides where: the mirrors of registries.conf and daemon.json first, then the registry itself, which is
also where :func:`own` leads (pushes: registry/upload). A blob is held against its digest by who writes it down; here
sizes are bounded.
"""

from __future__ import annotations

from pod.core.errors import ManifestUnknown, RegistryError, Unauthorized, Unreachable
from pod.core.oci import digest as digests
from pod.core.oci import image_spec
from pod.core.oci.reference import DEFAULT_DOMAIN, Reference
from pod.core.registry import credentials as logins
from pod.core.registry import registries, retry
from pod.core.registry.auth import Authenticator
from pod.core.registry.proxies import split_host
from pod.core.registry.transport import Body, Origin, Response, Transport

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, TypeVar

    from pod.core.config import Config
    from pod.core.engine import Engine

    Answer = TypeVar("Answer")

HUB = "registry-1.docker.io"
MAX_ERROR = 64 << 10
MAX_TAGS_PAGE = 4 << 20
MAX_TAGS = 100_000
MAX_PAGES = 1000


class Document:
    """A manifest or index as received: its bytes, media type and the digest of those bytes."""

    __slots__ = ("digest", "media_type", "raw")

    def __init__(self, raw: bytes, media_type: str) -> None:
        self.raw = raw
        self.media_type = media_type
        self.digest = digests.of(raw)


class Endpoint:
    """One repository at one registry or mirror. ``lost``: it did not answer, so this command asks it no more."""

    __slots__ = ("_auth", "_transport", "lost", "mirror", "pull_from", "repository", "scopes")

    def __init__(
        self, transport: Transport, auth: Authenticator, repository: str, *, mirror: bool, pull_from: str = "all"
    ) -> None:
        self._transport = transport
        self._auth = auth
        self.repository = repository
        self.mirror = mirror
        self.pull_from = pull_from
        self.lost = False
        self.scopes = [f"repository:{repository}:pull"]
        """What a token is asked for (distribution: docs/spec/auth/scope.md)."""

    @property
    def host(self) -> str:
        return self._transport.origin.host

    def close(self) -> None:
        self._transport.close()

    def serves(self, by_digest: bool) -> bool:
        """Whether this place may be asked (pull-from-mirror)."""
        return self.pull_from == "all" or (self.pull_from == "digest-only") == by_digest

    def request(self, path: str, headers: dict[str, str] | None = None, *, method: str = "GET") -> Response:
        """One request below the repository, logged in as far as the registry asks. The caller closes the answer."""
        return self.exchange(f"/v2/{self.repository}/{path}", headers, method=method)

    def exchange(
        self, target: str, headers: dict[str, str] | None = None, *, method: str = "GET", body: Body | None = None
    ) -> Response:
        """The same for any path of the registry ("/v2/…"), or a URL of its own that it has named."""

        def ask(sent: dict[str, str]) -> Response:
            if target.startswith("/"):
                return self._transport.get(target, {**(headers or {}), **sent}, method=method, body=body)
            return self._transport.go_on(target, {**(headers or {}), **sent}, method=method, body=body)

        sent = self._auth.headers()
        answer = ask(sent)
        if answer.status == 401:
            challenge = answer.headers.get("WWW-Authenticate", "")
            answer.drain()
            if self._auth.answer(challenge, self.scopes, sent.get("Authorization", "")):
                answer = ask(self._auth.headers())
        return answer

    def follow(
        self, location: str, headers: dict[str, str], *, method: str, body: Body | None = None, query: str = ""
    ) -> Response:
        """A request to a URL that an answer has named (:meth:`locate`), with ``query`` added to it.

        Credentials go to the registry's own address alone.
        """
        url, own = self._transport.join(location, "")
        if query:
            url += ("&" if "?" in url else "?") + query
        if own:
            return self.exchange(url, headers, method=method, body=body)
        return self._transport.go_on(url, headers, method=method, body=body)

    def locate(self, answer: Response) -> str:
        """The URL in an answer's Location, "" where there is none. RegistryError where it may not be asked."""
        location = answer.headers.get("Location", "")
        return self._transport.join(answer.url, location)[0] if location else ""


class Client:
    """All places that one name may be fetched from, in the order to try."""

    __slots__ = ("endpoints", "reference")

    def __init__(self, reference: Reference, endpoints: list[Endpoint]) -> None:
        self.reference = reference
        self.endpoints = endpoints

    def close(self) -> None:
        for endpoint in self.endpoints:
            endpoint.close()

    def manifest(self, tag_or_digest: str) -> Document:
        """The manifest or index of a tag or a digest; a digest is verified here, a lying mirror is passed over."""
        by_digest = ":" in tag_or_digest

        def ask(endpoint: Endpoint) -> Document:
            answer = endpoint.request(f"manifests/{tag_or_digest}", {"Accept": ", ".join(image_spec.ACCEPT)})
            try:
                if answer.status != 200:
                    raise self._failure(endpoint, answer, tag_or_digest)
                raw = answer.read(image_spec.MAX_MANIFEST)
            finally:
                answer.close()
            document = Document(raw, answer.headers.get("Content-Type", ""))
            got = digests.of(raw, digests.parse(tag_or_digest)[0]) if by_digest else ""
            if got and got != tag_or_digest:
                raise _mismatch(endpoint.host, tag_or_digest, got)
            return document

        return self._first(ask, by_digest=by_digest)

    def digest_of(self, tag: str) -> str:
        """The digest that a tag leads to, asked by HEAD; "" where the registry does not tell it that way."""

        def ask(endpoint: Endpoint) -> str:
            accept = {"Accept": ", ".join(image_spec.ACCEPT)}
            answer = endpoint.request(f"manifests/{tag}", accept, method="HEAD")
            answer.drain()
            if answer.status in retry.STATUSES:
                raise self._failure(endpoint, answer, tag)
            found = answer.headers.get("Docker-Content-Digest", "") if answer.status == 200 else ""
            try:
                return digests.check(found)
            except digests.DigestError:
                return ""

        return self._first(ask, by_digest=False)

    def blob(self, digest: str, offset: int = 0) -> tuple[Response, bool]:
        """(answer, resumed): the open answer for a blob's bytes, from ``offset`` on where ``resumed`` is true.

        Asked once: Passing where another attempt may do, which is for the caller to count.
        """
        headers = {"Range": f"bytes={offset}-"} if offset else {}

        def ask(endpoint: Endpoint) -> tuple[Response, bool]:
            answer = endpoint.request(f"blobs/{digest}", headers)
            if answer.status == 206 and offset:
                if answer.headers.get("Content-Range", "").startswith(f"bytes {offset}-"):
                    return answer, True
            elif answer.status == 200:
                return answer, False
            if offset and answer.status in (206, 416):
                answer.close()  # It has no such part, or sends another one: then all of it.
                answer = endpoint.request(f"blobs/{digest}")
                if answer.status == 200:
                    return answer, False
            try:
                raise self._failure(endpoint, answer, digest)
            finally:
                answer.close()

        return self._first(ask, by_digest=True, patient=False)

    def tags(self) -> list[str]:
        """Every tag of the repository, sorted; pages are followed (distribution-spec: listing tags)."""

        def ask(endpoint: Endpoint) -> list[str]:
            found: list[str] = []
            path = "tags/list"
            seen = set()
            for _ in range(MAX_PAGES):
                seen.add(path)
                answer = endpoint.request(path)
                try:
                    if answer.status != 200:
                        raise self._failure(endpoint, answer, "")
                    found += _tags_of(answer.read(MAX_TAGS_PAGE), endpoint.host)
                    path = _next_page(answer.headers.get("Link", ""), endpoint.repository)
                finally:
                    answer.close()
                if not path or path in seen or len(found) > MAX_TAGS:
                    break
            return sorted(set(found))

        return self._first(ask, by_digest=False)

    def _first(self, ask: Callable[[Endpoint], Answer], *, by_digest: bool, patient: bool = True) -> Answer:
        """The first answer; a mirror's failure passes to the next, the registry's own is the error.

        With ``patient`` the registry itself is asked again while the failure may pass.
        """
        for endpoint in self.endpoints[:-1]:
            if endpoint.serves(by_digest) and not endpoint.lost:
                try:
                    return ask(endpoint)
                except RegistryError as error:  # Mirrors are there to be missed; the last place's error tells.
                    endpoint.lost = isinstance(error, Unreachable)
        own = self.endpoints[-1]
        return retry.insist(lambda: ask(own)) if patient else ask(own)

    def _failure(self, endpoint: Endpoint, answer: Response, wanted: str) -> RegistryError:
        """The error that a status stands for, in Docker's words where it has some."""
        name = self.reference.familiar_name
        said = error_text(answer)
        place = f"{name}:{wanted}" if wanted and ":" not in wanted else f"{name}@{wanted}" if wanted else name
        if answer.status in (401, 403):
            text = f"pull access denied for {name}, repository does not exist or may require 'docker login'"
            return Unauthorized(f"{text}: {said or 'denied'}", hint=_access_hint(endpoint.host))
        if answer.status == 404:
            if "NAME_UNKNOWN" in said or "name unknown" in said.lower():
                return ManifestUnknown(
                    f"manifest for {place} not found: name unknown: {endpoint.host} has no repository "
                    f"{endpoint.repository}",
                    hint="check the spelling of the name",
                )
            return ManifestUnknown(f"manifest for {place} not found: manifest unknown", hint="check tag and digest")
        if answer.status in retry.STATUSES:
            return _passing(endpoint.host, place, answer, said)
        if answer.status >= 500:
            return Unreachable(f"pull {place}: {endpoint.host}: status {answer.status}: {said or 'server error'}")
        return RegistryError(f"pull {place}: {endpoint.host}: status {answer.status}{': ' + said if said else ''}")


def _passing(host: str, place: str, answer: Response, said: str) -> retry.Passing:
    """A status that may be another one a little later."""
    wait = retry.asked_wait(answer.headers.get("Retry-After", ""))
    if answer.status == 429:
        return retry.Passing(
            f"pull {place}: {host}: toomanyrequests: {said or 'too many requests'}",
            hint=f"try again {f'in {wait:.0f} s' if wait else 'later'}, or log in",
            wait=wait,
        )
    text = f"pull {place}: {host}: status {answer.status}: {said or 'server error'}"
    return retry.Passing(text, hint="try again later: the registry, or what is before it, is in trouble", wait=wait)


def _access_hint(host: str) -> str:
    return f"check the name; for a private repository: pod login {'' if host == HUB else host}".rstrip()


def _mismatch(host: str, wanted: str, got: str) -> RegistryError:
    from pod.core.errors import DigestMismatch

    return DigestMismatch(
        f"verify manifest: {host}: it has the digest {got}, not {wanted}", hint="nothing of it was kept"
    )


def error_text(answer: Response) -> str:
    """The registry's own words (distribution-spec: error codes), one short line of printable text."""
    from pod.core import statefile

    try:
        body = answer.read(MAX_ERROR)
        first = statefile.loads(body)["errors"][0]
        text = f"{first.get('code', '')}: {first.get('message', '')}"
    except (RegistryError, ValueError, KeyError, IndexError, TypeError, AttributeError):
        return ""
    return "".join(character if character.isprintable() else " " for character in text)[:200].strip(": ")


def _tags_of(body: bytes, host: str) -> list[str]:
    from pod.core.oci import reference as references

    try:
        value: Any = image_spec.load(body, MAX_TAGS_PAGE, "tag list").get("tags") or []
    except image_spec.DocumentError as error:
        raise RegistryError(f"list tags: {host}: {error}") from None
    if not isinstance(value, list):
        raise RegistryError(f"list tags: {host}: tags is not a list")
    return [tag for tag in value if isinstance(tag, str) and references.valid_tag(tag)]


def _next_page(link: str, repository: str) -> str:
    """What a Link: <…>; rel="next" header leads to below our own repository, "" at the end."""
    target = link.partition("<")[2].partition(">")[0]
    marker = f"/v2/{repository}/tags/list?"
    if 'rel="next"' not in link or marker not in target:
        return ""
    return "tags/list?" + target.partition(marker)[2]


def connect(engine: Engine, reference: Reference) -> Client:
    """The places for ``reference``: its mirrors, then its registry. RegistryError where registries.conf blocks it."""
    config = engine.config
    rules = registries.of(config)
    rule = rules.rule(reference.name)
    places: list[tuple[str, bool, str]] = []
    if rule is not None:
        for mirror in rule.mirrors:
            name = rule.rewrite(reference.name, mirror.location)
            places.append((name, mirror.insecure, mirror.pull_from))
    if reference.domain == DEFAULT_DOMAIN:
        for url in config.registry_mirrors:
            scheme, _, rest = url.rpartition("://")
            places.append((f"{rest.rstrip('/')}/{reference.path}", scheme == "http", "all"))
    own = rule.rewrite(reference.name, rule.location) if rule is not None else reference.name
    places.append((own, rule is not None and rule.insecure, "all"))
    last = len(places) - 1
    endpoints = [
        _endpoint(engine, config, place, insecure, pull_from, number < last)
        for number, (place, insecure, pull_from) in enumerate(places)
    ]
    return Client(reference, endpoints)


def own(engine: Engine, reference: Reference) -> Endpoint:
    """The registry of ``reference`` itself, without its mirrors. RegistryError where registries.conf blocks it."""
    rule = registries.of(engine.config).rule(reference.name)
    name = rule.rewrite(reference.name, rule.location) if rule is not None else reference.name
    return _endpoint(engine, engine.config, name, rule is not None and rule.insecure, "all", False)


def _endpoint(engine: Engine, config: Config, name: str, insecure: bool, pull_from: str, mirror: bool) -> Endpoint:
    domain, _, repository = name.partition("/")
    host = HUB if domain in (DEFAULT_DOMAIN, "index.docker.io") else domain
    insecure = insecure or named_insecure(config, host)
    transport = Transport(Origin(host, insecure=insecure), engine.environ)
    auth = Authenticator(transport, lambda: logins.find(domain, repository, engine.environ), config.token_realms)
    return Endpoint(transport, auth, repository, mirror=mirror, pull_from=pull_from)


def named_insecure(config: Config, host: str) -> bool:
    """Whether daemon.json's or pod.toml's insecure-registries has the host, its name or a network of its address."""
    import ipaddress

    name = split_host(host)[0]
    for entry in config.insecure_registries:
        entry = entry.rpartition("://")[2].rstrip("/")
        if entry in (host, name):
            return True
        if "/" in entry:
            try:
                if ipaddress.ip_address(name) in ipaddress.ip_network(entry, strict=False):
                    return True
            except ValueError:
                continue  # A name is in no network, and a path is none.
    return False
