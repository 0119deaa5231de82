"""Which proxy a request goes through: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY and NO_PROXY, in either case; pure.

NO_PROXY is a list with commas or spaces, as in Docker and Go (golang.org/x/net/http/httpproxy):

    *                    nothing goes through a proxy
    example.com          that host and all below it; .example.com and *.example.com: only those below
    10.0.0.1 ::1         that address                        10.0.0.0/8 fd00::/8   that network
    …:5000               any of the above but networks, on that port alone (IPv6: [::1]:5000)

Loopback never goes through one. Names are compared as they are written: nobody asks the DNS for them.
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

from pod.core.errors import ConfigError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

_PORTS = {"http": "80", "https": "443"}


def split_host(host: str) -> tuple[str, str]:
    """(name in lower case, port or "") of "name:port", "[v6]:port" or "v6"."""
    if host.startswith("["):
        name, _, port = host[1:].partition("]")
        return name.lower(), port.lstrip(":")
    if host.count(":") > 1:
        return host.lower(), ""
    name, _, port = host.partition(":")
    return name.lower(), port


def is_loopback(host: str) -> bool:
    """localhost, 127.0.0.0/8 and ::1, which Docker too lets be plain http."""
    import ipaddress

    name = split_host(host)[0]
    if name == "localhost":
        return True
    try:
        return ipaddress.ip_address(name).is_loopback
    except ValueError:
        return False


def proxy_for(scheme: str, host: str, environ: Mapping[str, str]) -> str:
    """The proxy's URL for ``host`` ("name[:port]"), "" for none. ConfigError for one that cannot be used."""
    if is_loopback(host):
        return ""
    proxy = variable = ""
    for name in ("all_proxy", f"{scheme}_proxy"):
        found = environ.get(name) or environ.get(name.upper())
        if found:
            proxy, variable = found, name.upper()
    if not proxy or _is_exempt(scheme, host, environ.get("no_proxy") or environ.get("NO_PROXY") or ""):
        return ""
    proxy = proxy if "://" in proxy else "http://" + proxy
    _check(proxy, variable)
    return proxy


def _check(proxy: str, variable: str) -> None:
    """ConfigError unless it is the URL of an HTTP proxy; it may hold a password, so it is not shown."""
    scheme = ""
    try:
        parts = urlsplit(proxy)
        if parts.hostname and (parts.port is None or parts.port > 0):
            scheme = parts.scheme
    except ValueError:
        pass
    if not scheme:
        hint = "the form is http://[user:password@]host:port"
        raise ConfigError(f"use proxy: {variable} is not an address", hint=hint)
    if scheme not in ("http", "https"):
        raise ConfigError(f"use proxy: {variable}: pod knows no {scheme} proxies", hint="use an http proxy")


def login(proxy: str) -> str:
    """"user:password" of a proxy's URL, "" where it has none."""
    parts = urlsplit(proxy)
    return f"{unquote(parts.username)}:{unquote(parts.password or '')}" if parts.username else ""


def shown(proxy: str) -> str:
    """host[:port] of a proxy's URL, without what nobody is to see."""
    return urlsplit(proxy).netloc.rpartition("@")[2]


def _is_exempt(scheme: str, host: str, no_proxy: str) -> bool:
    name, port = split_host(host)
    port = port or _PORTS.get(scheme, "")
    return any(_fits(entry.lower(), name, port) for entry in no_proxy.replace(",", " ").split())


def _fits(entry: str, name: str, port: str) -> bool:
    import ipaddress

    if entry == "*":
        return True
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        address = None
    if "/" in entry:
        try:
            return address is not None and address in ipaddress.ip_network(entry, strict=False)
        except ValueError:
            return False
    wanted, wanted_port = split_host(entry)
    if wanted_port and wanted_port != port:
        return False
    if address is not None:
        try:
            return ipaddress.ip_address(wanted) == address
        except ValueError:
            return False
    if wanted.startswith("*."):
        wanted = wanted[1:]
    if wanted.startswith("."):
        return name.endswith(wanted) and len(name) > len(wanted)
    return bool(wanted) and (name == wanted or name.endswith("." + wanted))
