"""HTTP to registries: TLS, proxies, redirects, plain http where it is allowed. Knows nothing of manifests.

What is sent (:class:`Body`) can be opened anew: a redirect or a refused token has the request made again.

Kept library: urllib3 (connection reuse, proxies, streaming; pure Python). requests adds layers and size for nothing
that is needed here, http.client alone lacks pooling and proxies.
"""

from __future__ import annotations

import contextlib
import ssl
import threading
import time
from urllib.parse import SplitResult, urljoin, urlsplit

import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import (
    HTTPError,
    InsecureRequestWarning,
    LocationParseError,
    MaxRetryError,
    NameResolutionError,
    ProxyError,
    SSLError,
)

from pod.core.errors import RegistryError, Unreachable
from pod.core.registry import proxies, tls
from pod.core.registry.framing import BoundedHead
from pod.core.registry.proxies import is_loopback
from pod.core.registry.retry import Passing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

MAX_REDIRECTS = 10
TIMEOUT = urllib3.Timeout(connect=15.0, read=30.0)
"""Seconds without an answer to a connection, and without a byte of one."""
UPLOAD_TIMEOUT = urllib3.Timeout(connect=60.0, read=300.0)
"""The same while something is sent: seconds that the other side may take in nothing, and until it has stored it all."""
SLOWEST = 1024
"""Bytes a second over SLOW_TIME seconds; a body that comes slower counts as broken off."""
SLOW_TIME = 30.0
READ_TIME = 300.0
"""Seconds for a whole document (a manifest, a token), however it comes; blobs may take as long as they are not slow."""
CHUNK = 1 << 18
"""Bytes read at once from a body, at most."""
MAX_REST = 1 << 16
"""Bytes of a body that nobody needs, read so that its connection can be used again."""
REDIRECTS = (301, 302, 303, 307, 308)
_SAME_METHOD = (307, 308)
_IN_HOSTS = frozenset("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789.-_:[]")


class Origin:
    """A registry's address: ``host`` is "name[:port]"; ``insecure`` allows unverified TLS and plain http."""

    __slots__ = ("host", "insecure", "named_insecure")

    def __init__(self, host: str, *, insecure: bool) -> None:
        self.host = host
        self.named_insecure = insecure
        self.insecure = insecure or is_loopback(host)


class Body:
    """What a request sends: ``length`` bytes of a media type, from an iterator that ``open`` gives, each time anew."""

    __slots__ = ("length", "media_type", "open")

    def __init__(self, length: int, media_type: str, open: Callable[[], Iterator[bytes]]) -> None:
        self.length = length
        self.media_type = media_type
        self.open = open

    @classmethod
    def of(cls, data: bytes, media_type: str) -> Body:
        """A short one that is at hand."""
        return cls(len(data), media_type, lambda: iter((data,)))


class Response:
    """A final answer (no redirect). ``read`` bounds what it takes; ``stream`` gives chunks; close it in any case."""

    __slots__ = ("_raw", "headers", "status", "url")

    def __init__(self, raw: urllib3.BaseHTTPResponse, url: str) -> None:
        self._raw = raw
        self.status: int = raw.status
        self.headers: Mapping[str, str] = raw.headers
        self.url = url

    def read(self, limit: int) -> bytes:
        """The whole body of at most ``limit`` bytes. RegistryError when larger, Unreachable when it breaks off."""
        parts: list[bytes] = []
        total = 0
        end = time.monotonic() + READ_TIME
        for chunk in self.stream():
            total += len(chunk)
            if time.monotonic() > end:
                self.close()
                raise Passing(f"read answer: {self._place()}: too slow: {total} bytes in {READ_TIME:g} s")
            if total > limit:
                self.close()
                raise RegistryError(f"read answer: {self._place()}: larger than {limit} bytes")
            parts.append(chunk)
        return b"".join(parts)

    def stream(self) -> Iterator[bytes]:
        """The body's bytes as they were sent (no content decoding: digests are over them)."""
        since, count = time.monotonic(), 0
        try:
            while True:
                chunk = self._raw.read1(CHUNK, decode_content=False)
                if not chunk:
                    return
                yield chunk
                count += len(chunk)
                if count >= SLOWEST * SLOW_TIME or time.monotonic() - since > SLOW_TIME:
                    if count < SLOWEST * SLOW_TIME:
                        raise Passing(f"read answer: {self._place()}: too slow: {count} bytes in {SLOW_TIME:g} s")
                    since, count = time.monotonic(), 0
        except (HTTPError, OSError) as error:
            raise Passing(f"read answer: {self._place()}: {_reason(error)}", hint=_NETWORK) from error

    def _place(self) -> str:
        """The URL without its query: that may hold a signature which is as good as a password."""
        return self.url.partition("?")[0]

    def close(self) -> None:
        """Gives the connection up; what was not read is not waited for."""
        self._raw.close()

    def interrupt(self) -> None:
        """Ends a read that another thread is in."""
        with contextlib.suppress(ValueError, OSError, RuntimeError):  # It may have ended by itself meanwhile.
            self._raw.shutdown()

    def drain(self) -> None:
        """Reads a short rest so that the connection can be used again; a long or slow one ends the connection."""
        try:
            self.read(MAX_REST)
            self._raw.release_conn()
        except RegistryError:
            self.close()


class Transport:
    """Connections to one origin and to where it redirects. Thread-safe, as urllib3's pools are.

    The scheme is found by the first request: https, then http where :class:`Origin` allows it.
    """

    __slots__ = ("_environ", "_lock", "_pools", "_scheme", "agent", "origin")

    def __init__(self, origin: Origin, environ: Mapping[str, str]) -> None:
        self.origin = origin
        self._environ = environ
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}
        self._lock = threading.Lock()
        self._scheme = ""
        self.agent = "pod"

    @property
    def scheme(self) -> str:
        """https or http, once known; "" before."""
        return self._scheme

    def close(self) -> None:
        for pool in self._pools.values():
            pool.clear()

    def get(self, path: str, headers: Mapping[str, str], *, method: str = "GET", body: Body | None = None) -> Response:
        """Requests ``path`` (from "/v2/…") of the origin, following redirects. Unreachable: there is no answer."""
        if self._scheme:
            return self._follow(f"{self._scheme}://{self.origin.host}{path}", headers, method, body)
        try:
            answer = self._follow(f"https://{self.origin.host}{path}", headers, method, body)
        except _NoAnswer as error:
            if not self.origin.insecure or self.origin.host == "" or not error.other_scheme:
                raise self._unreachable(error) from error
            # Credentials wait until the scheme is settled: never over plain http but to loopback.
            kept = dict(headers)
            if not is_loopback(self.origin.host):
                kept.pop("Authorization", None)
            try:
                answer = self._follow(f"http://{self.origin.host}{path}", kept, method, body)
            except _NoAnswer as second:
                raise self._unreachable(second) from second
            self._scheme = "http"
            return answer
        self._scheme = "https"
        return answer

    def go_on(self, url: str, headers: Mapping[str, str], *, method: str, body: Body | None = None) -> Response:
        """Requests a whole URL that the origin has named (:meth:`join`); the caller leaves credentials out where it is
        not the origin's own.
        """
        return self._follow(url, headers, method, body)

    def join(self, base: str, location: str) -> tuple[str, bool]:
        """(URL, whether it is the origin's own) of a Location in an answer to ``base``. RegistryError where it may not
        be asked.
        """
        try:
            parts = urlsplit(urljoin(base, location))
        except ValueError:
            raise self._refused() from None
        if parts.netloc == self.origin.host and parts.scheme == "http" and self._scheme == "https":
            parts = parts._replace(scheme="https")  # A proxy before it speaks TLS, and has not told it so.
        parts = self._parts(parts.geturl())
        return parts.geturl(), (parts.scheme, parts.netloc) == (self._scheme, self.origin.host)

    def request_url(self, url: str, headers: Mapping[str, str], *, form: bytes | None = None) -> Response:
        """GET of a whole URL (a token service), or POST of a form; a POST follows no redirect. Same rules."""
        try:
            if form is None:
                return self._follow(url, headers, "GET")
            body = Body.of(form, "application/x-www-form-urlencoded")
            return self._follow(url, headers, "POST", body, redirects=0)
        except _NoAnswer as error:
            kind = Passing if error.passing else Unreachable
            raise kind(f"request token: {url.partition('?')[0]}: {error.reason}") from error

    def may_be_plain(self, host: str) -> bool:
        """Whether plain http to ``host`` is allowed."""
        return is_loopback(host) or (host == self.origin.host and self.origin.insecure)

    def _follow(
        self,
        url: str,
        headers: Mapping[str, str],
        method: str,
        body: Body | None = None,
        *,
        redirects: int = MAX_REDIRECTS,
    ) -> Response:
        sent = dict(headers)
        if body is not None:
            sent["Content-Type"], sent["Content-Length"] = body.media_type, str(body.length)
        reading = method in ("GET", "HEAD")
        for _ in range(redirects + 1):
            parts = self._parts(url)
            url = parts.geturl()  # without line breaks and tabs
            raw = self._once(method, url, sent, body)
            location = raw.headers.get("Location")
            if raw.status not in (REDIRECTS if reading else _SAME_METHOD) or not location or not redirects:
                return Response(raw, url)
            raw.close()
            try:
                target = urljoin(url, location)
            except ValueError:
                raise self._refused() from None
            new = self._parts(target)
            if (new.scheme, new.netloc) != (parts.scheme, parts.netloc):
                sent.pop("Authorization", None)
            url = target
        raise RegistryError(f"follow redirect: {self.origin.host}: more than {redirects} redirects")

    def _parts(self, url: str) -> SplitResult:
        """The parts of an address that may be asked. RegistryError otherwise, also for one whose host is read in two
        ways: urllib3 ends it at a backslash, urllib.parse does not, and credentials go by its name.
        """
        try:
            parts = urlsplit(url)
        except ValueError:
            raise self._refused() from None
        if parts.scheme not in ("https", "http") or not parts.netloc or not _IN_HOSTS.issuperset(parts.netloc):
            raise self._refused()
        if is_loopback(parts.netloc) and not is_loopback(self.origin.host):
            text = f"follow redirect: {self.origin.host}: to {parts.netloc}, which is this machine"
            raise RegistryError(text, hint="a registry may not have pod ask what listens here")
        if parts.scheme == "http" and not self.may_be_plain(parts.netloc):
            place = parts.geturl().partition("?")[0]
            raise RegistryError(f"follow redirect: {place}: plain http is not allowed for {parts.netloc}")
        return parts

    def _refused(self) -> RegistryError:
        return RegistryError(f"follow redirect: {self.origin.host}: to an address that is not accepted")

    def _once(self, method: str, url: str, headers: Mapping[str, str], body: Body | None) -> urllib3.BaseHTTPResponse:
        parts = urlsplit(url)
        try:
            return self._pool(parts.scheme, parts.netloc).request(
                method,
                url,
                body=None if body is None else body.open(),
                headers={"User-Agent": self.agent, "Accept-Encoding": "identity", **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=UPLOAD_TIMEOUT if method in ("PATCH", "PUT") else TIMEOUT,
            )
        except (HTTPError, OSError, LocationParseError) as error:
            if self._scheme or parts.netloc != self.origin.host:
                kind = Passing if _may_pass(error) else Unreachable
                text = f"connect to registry: {parts.netloc}: {_reason(error)}"
                raise kind(text, hint=_proxy_hint(error) or _NETWORK) from error
            raise _NoAnswer(error) from error

    def _pool(self, scheme: str, host: str) -> urllib3.PoolManager:
        proxy = proxies.proxy_for(scheme, host, self._environ)
        verified = not (self.origin.insecure and host == self.origin.host) and not is_loopback(host)
        with self._lock:
            pool = self._pools.get((proxy, host))  # A host's own CAs and client certificate are for it alone.
            if pool is None:
                pool = self._make_pool(proxy, host, verify=verified)
                self._pools[(proxy, host)] = pool
        return pool

    def _make_pool(self, proxy: str, host: str, *, verify: bool) -> urllib3.PoolManager:
        context = tls.context_for(host, self._environ, verify=verify)
        if not verify:  # The rules above decided so; urllib3 need not say it at each request.
            urllib3.disable_warnings(InsecureRequestWarning)
        pool: urllib3.PoolManager
        if proxy:
            login = proxies.login(proxy)
            headers = urllib3.make_headers(proxy_basic_auth=login) if login else {}
            pool = urllib3.ProxyManager(proxy, ssl_context=context, maxsize=8, proxy_headers=headers)
        else:
            pool = urllib3.PoolManager(ssl_context=context, maxsize=8)
        pool.pool_classes_by_scheme = {"http": _Pool, "https": _SecurePool}
        return pool

    def _unreachable(self, error: _NoAnswer) -> Unreachable:
        hint = _proxy_hint(error.cause) or _NETWORK
        if is_loopback(self.origin.host):
            hint = "is the registry running, and on this port?"
        elif error.tls and not self.origin.named_insecure:
            hint = insecure_hint(self.origin.host)
        kind = Passing if error.passing else Unreachable
        return kind(f"connect to registry: {self.origin.host}: {error.reason}", hint=hint)


class _Connection(BoundedHead, HTTPConnection):
    pass


class _SecureConnection(BoundedHead, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


_NETWORK = "check the name and the network; behind a proxy set HTTPS_PROXY"


def insecure_hint(host: str) -> str:
    """The line to add for a registry without (good) TLS."""
    return (
        "if it speaks plain http or has a certificate of its own, put this line at the top of ~/.config/pod/pod.toml: "
        f'insecure-registries = ["{host}"]'
    )


class _NoAnswer(Exception):
    """The first request to an origin failed: the other scheme may do, or the failure may pass."""

    def __init__(self, cause: BaseException) -> None:
        self.reason = _reason(cause)
        super().__init__(self.reason)
        self.cause = cause
        self.tls = _is_tls(cause)
        self.passing = _may_pass(cause)
        self.other_scheme = not isinstance(_inner(cause), (NameResolutionError, ProxyError))


def _inner(error: BaseException) -> BaseException:
    return error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error


def _is_tls(error: BaseException) -> bool:
    """Whether TLS failed on a host that answers, or nothing listens on the https port."""
    inner = _inner(error)
    return isinstance(inner, (SSLError, ssl.SSLError)) or "refused" in str(inner).lower()


def _may_pass(error: BaseException) -> bool:
    """Whether the same request may succeed a little later: not if a name is unknown or TLS or a proxy says no."""
    inner = _inner(error)
    if isinstance(inner, NameResolutionError):
        return "temporary" in str(inner).lower()
    if isinstance(inner, (SSLError, ssl.SSLError, LocationParseError)):
        return False
    return not (isinstance(inner, ProxyError) and _tunnel_status(inner))


def _tunnel_status(error: BaseException) -> str:
    """The status by which a proxy refused a tunnel, "" where that is not what happened."""
    text = str(getattr(error, "original_error", ""))
    _, found, status = text.partition("Tunnel connection failed: ")
    return status[:3] if found else ""


def _proxy_hint(error: BaseException) -> str:
    inner = _inner(error)
    if not isinstance(inner, ProxyError):
        return ""
    if _tunnel_status(inner) == "407":
        return "the proxy wants a login: HTTPS_PROXY=http://USER:PASSWORD@HOST:PORT"
    return "check HTTPS_PROXY and NO_PROXY: the proxy that they name does not let this through"


def _reason(error: BaseException) -> str:
    """The last cause in one short line, without urllib3's object addresses."""
    if isinstance(error, MaxRetryError) and error.reason is not None:
        error = error.reason
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, OSError) and seen.strerror:
            return seen.strerror.partition(" (_ssl.c")[0]
        seen = seen.__cause__ or seen.__context__
    text = str(error.args[-1] if error.args else error)
    if ">: " in text:
        text = text.partition(">: ")[2]
    return text[:200] or type(error).__name__
