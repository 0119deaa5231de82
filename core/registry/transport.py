"""HTTP to registries: TLS, proxies, redirects, plain http where it is allowed. Knows nothing of manifests.

Kept library: urllib3 (connection reuse, proxies, streaming; pure Python). requests adds layers and size for nothing
that is needed here, http.client alone lacks pooling and proxies.
"""

from __future__ import annotations

import os
import ssl
from urllib.parse import urljoin, urlsplit

import urllib3
from urllib3.exceptions import HTTPError, InsecureRequestWarning, LocationParseError, MaxRetryError, SSLError

from pod.core.errors import RegistryError, Unreachable

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

MAX_REDIRECTS = 10
TIMEOUT = urllib3.Timeout(connect=15.0, read=60.0)
CHUNK = 1 << 18
"""Bytes read at once from a body."""
MAX_HEADERS = 64 << 10
REDIRECTS = (301, 302, 303, 307, 308)

_CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


class Origin:
    """A registry's address: ``host`` is "name[:port]"; ``insecure`` allows unverified TLS and plain http."""

    __slots__ = ("host", "insecure", "named_insecure")

    def __init__(self, host: str, *, insecure: bool) -> None:
        self.host = host
        self.named_insecure = insecure
        self.insecure = insecure or is_loopback(host)


def host_name(host: str) -> str:
    """The name or address of "name:port" or "[v6]:port", lower case, without port and brackets."""
    if host.startswith("["):
        return host[1:].partition("]")[0].lower()
    return host.partition(":")[0].lower()


def is_loopback(host: str) -> bool:
    """localhost, 127.0.0.0/8 and ::1, which Docker too lets be plain http."""
    import ipaddress

    name = host_name(host)
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


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
        for chunk in self.stream():
            total += len(chunk)
            if total > limit:
                self.close()
                raise RegistryError(f"read answer: {self.url}: larger than {limit} bytes")
            parts.append(chunk)
        return b"".join(parts)

    def stream(self) -> Iterator[bytes]:
        """The body's bytes as they were sent (no content decoding: digests are over them)."""
        try:
            while True:
                chunk = self._raw.read(CHUNK, decode_content=False)
                if not chunk:
                    return
                yield chunk
        except (HTTPError, OSError) as error:
            raise Unreachable(f"read answer: {self.url}: {_reason(error)}") from error

    def close(self) -> None:
        """Gives the connection up; what was not read is not waited for."""
        self._raw.close()

    def interrupt(self) -> None:
        """Ends a read that another thread is in."""
        import contextlib

        with contextlib.suppress(ValueError, OSError, RuntimeError):  # It may have ended by itself meanwhile.
            self._raw.shutdown()

    def drain(self) -> None:
        """Reads a short rest so that the connection can be used again."""
        try:
            self._raw.read(65536, decode_content=False)
            self._raw.release_conn()
        except (HTTPError, OSError):
            self._raw.close()


class Transport:
    """Connections to one origin and to where it redirects. Thread-safe, as urllib3's pools are.

    The scheme is found by the first request: https, then http where :class:`Origin` allows it.
    """

    __slots__ = ("_environ", "_pools", "_scheme", "agent", "origin")

    def __init__(self, origin: Origin, environ: Mapping[str, str]) -> None:
        self.origin = origin
        self._environ = environ
        self._pools: dict[tuple[str, str], urllib3.PoolManager] = {}
        self._scheme = ""
        self.agent = "pod"

    @property
    def scheme(self) -> str:
        """https or http, once known; "" before."""
        return self._scheme

    def close(self) -> None:
        for pool in self._pools.values():
            pool.clear()

    def get(self, path: str, headers: Mapping[str, str], *, method: str = "GET") -> Response:
        """Requests ``path`` (from "/v2/…") of the origin, following redirects. Unreachable: there is no answer."""
        if self._scheme:
            return self._follow(f"{self._scheme}://{self.origin.host}{path}", headers, method)
        try:
            answer = self._follow(f"https://{self.origin.host}{path}", headers, method)
        except _NoAnswer as error:
            if not self.origin.insecure or self.origin.host == "":
                raise self._unreachable(error) from error
            # Credentials wait until the scheme is settled: never over plain http but to loopback.
            kept = dict(headers)
            if not is_loopback(self.origin.host):
                kept.pop("Authorization", None)
            try:
                answer = self._follow(f"http://{self.origin.host}{path}", kept, method)
            except _NoAnswer as second:
                raise self._unreachable(second) from second
            self._scheme = "http"
            return answer
        self._scheme = "https"
        return answer

    def request_url(self, url: str, headers: Mapping[str, str], *, form: bytes | None = None) -> Response:
        """GET of a whole URL (a token service), or POST of a form; a POST follows no redirect. Same rules."""
        try:
            return self._follow(url, headers, "GET" if form is None else "POST", form)
        except _NoAnswer as error:
            raise Unreachable(f"request token: {url.partition('?')[0]}: {error.reason}") from error

    def may_be_plain(self, host: str) -> bool:
        """Whether plain http to ``host`` is allowed."""
        return is_loopback(host) or (host == self.origin.host and self.origin.insecure)

    def _follow(self, url: str, headers: Mapping[str, str], method: str, form: bytes | None = None) -> Response:
        sent = dict(headers)
        if form is not None:
            sent["Content-Type"] = "application/x-www-form-urlencoded"
        for _ in range(MAX_REDIRECTS + 1):
            parts = urlsplit(url)
            if parts.scheme == "http" and not self.may_be_plain(parts.netloc):
                raise RegistryError(f"follow redirect: {url}: plain http is not allowed for {parts.netloc}")
            raw = self._once(method, url, sent, form)
            location = raw.headers.get("Location")
            if raw.status not in REDIRECTS or not location or form is not None:
                return Response(raw, url)
            raw.close()
            target = urljoin(url, location)
            new = urlsplit(target)
            if new.scheme not in ("https", "http") or not new.netloc or "@" in new.netloc:
                raise RegistryError(f"follow redirect: {self.origin.host}: to an address that is not accepted")
            if (new.scheme, new.netloc) != (parts.scheme, parts.netloc):
                sent.pop("Authorization", None)
            url = target
        raise RegistryError(f"follow redirect: {self.origin.host}: more than {MAX_REDIRECTS} redirects")

    def _once(
        self, method: str, url: str, headers: Mapping[str, str], form: bytes | None
    ) -> urllib3.BaseHTTPResponse:
        parts = urlsplit(url)
        try:
            return self._pool(parts.scheme, parts.netloc).request(
                method,
                url,
                body=form,
                headers={"User-Agent": self.agent, "Accept-Encoding": "identity", **headers},
                redirect=False,
                retries=False,
                preload_content=False,
                timeout=TIMEOUT,
            )
        except (HTTPError, OSError, LocationParseError) as error:
            if self._scheme or parts.netloc != self.origin.host:
                raise Unreachable(f"connect to registry: {parts.netloc}: {_reason(error)}", hint=_NETWORK) from error
            raise _NoAnswer(parts.scheme, _reason(error), tls=_is_tls(error)) from error

    def _pool(self, scheme: str, host: str) -> urllib3.PoolManager:
        proxy = proxy_for(scheme, host, self._environ)
        verified = not (self.origin.insecure and host == self.origin.host) and not is_loopback(host)
        pool = self._pools.get((proxy, host))  # A host's own CAs and client certificate are for it alone.
        if pool is None:
            context = tls_context(host, self._environ, verify=verified)
            if not verified:  # The rules above decided so; urllib3 need not say it at each request.
                urllib3.disable_warnings(InsecureRequestWarning)
            if proxy:
                pool = urllib3.ProxyManager(proxy, ssl_context=context, maxsize=8, proxy_headers=_proxy_auth(proxy))
            else:
                pool = urllib3.PoolManager(ssl_context=context, maxsize=8)
            self._pools[(proxy, host)] = pool
        return pool

    def _unreachable(self, error: _NoAnswer) -> Unreachable:
        hint = _NETWORK
        if is_loopback(self.origin.host):
            hint = "is the registry running, and on this port?"
        elif error.tls and not self.origin.named_insecure:
            hint = insecure_hint(self.origin.host)
        return Unreachable(f"connect to registry: {self.origin.host}: {error.reason}", hint=hint)


_NETWORK = "check the name and the network; behind a proxy set HTTPS_PROXY"


def insecure_hint(host: str) -> str:
    """The line to add for a registry without (good) TLS."""
    return (
        "if it speaks plain http or has a certificate of its own, put this line at the top of ~/.config/pod/pod.toml: "
        f'insecure-registries = ["{host}"]'
    )


class _NoAnswer(Exception):
    def __init__(self, scheme: str, reason: str, *, tls: bool) -> None:
        super().__init__(reason)
        self.scheme = scheme
        self.reason = reason
        self.tls = tls


def _is_tls(error: BaseException) -> bool:
    """Whether TLS failed on a host that answers, or nothing listens on the https port."""
    inner = error.reason if isinstance(error, MaxRetryError) and error.reason is not None else error
    return isinstance(inner, (SSLError, ssl.SSLError)) or "refused" in str(inner).lower()


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


def proxy_for(scheme: str, host: str, environ: Mapping[str, str]) -> str:
    """The proxy's URL for ``host``, "" for none; loopback never has one, NO_PROXY as everywhere."""
    import urllib.request

    if is_loopback(host):
        return ""
    proxy = environ.get(f"{scheme}_proxy") or environ.get(f"{scheme.upper()}_PROXY") or ""
    if not proxy:
        return ""
    no_proxy = environ.get("no_proxy") or environ.get("NO_PROXY") or ""
    if no_proxy and urllib.request.proxy_bypass_environment(host, {"no": no_proxy}):  # type: ignore[attr-defined]
        return ""
    return proxy if "://" in proxy else "http://" + proxy


def _proxy_auth(proxy: str) -> dict[str, str]:
    from urllib.parse import unquote

    user = urlsplit(proxy)
    if not user.username:
        return {}
    return urllib3.make_headers(proxy_basic_auth=f"{unquote(user.username)}:{unquote(user.password or '')}")


def certificate_folders(host: str, environ: Mapping[str, str]) -> list[str]:
    """certs.d folders of Docker and of containers-certs.d(5) that exist for ``host``."""
    home = environ.get("XDG_CONFIG_HOME") or (environ["HOME"] + "/.config" if environ.get("HOME") else "")
    roots = [home and home + "/containers/certs.d", home and home + "/docker/certs.d"]
    roots += ["/etc/containers/certs.d", "/etc/docker/certs.d"]
    folders = (f"{root}/{host}" for root in roots if root)
    return [folder for folder in folders if "/" not in host and host not in (".", "..") and os.path.isdir(folder)]


def tls_context(host: str, environ: Mapping[str, str], *, verify: bool) -> ssl.SSLContext:
    """A client context with the system's CAs and those of certs.d/<host>; unverified where ``verify`` is false."""
    context = ssl.create_default_context(cafile=environ.get("SSL_CERT_FILE") or None)
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif not environ.get("SSL_CERT_FILE") and not context.cert_store_stats()["x509_ca"]:
        for path in _CA_FILES:  # A Python built elsewhere looks for its CAs where they are not.
            if os.path.exists(path):
                context.load_verify_locations(path)
                break
    for folder in certificate_folders(host, environ):
        _add_certificates(context, folder)
    return context


def _add_certificates(context: ssl.SSLContext, folder: str) -> None:
    try:
        for name in sorted(os.listdir(folder)):
            if name.endswith(".crt"):
                context.load_verify_locations(f"{folder}/{name}")
            elif name.endswith(".cert"):
                context.load_cert_chain(f"{folder}/{name}", f"{folder}/{name[:-5]}.key")
    except OSError as error:
        raise RegistryError(f"read certificates: {folder}: {_reason(error)}") from error
