"""TLS to one host: the system's CAs, SSL_CERT_FILE and SSL_CERT_DIR, and certs.d of Docker and containers-certs.d(5).

    <folder>/<host[:port]>/*.crt             CAs that this host's certificate may be of, besides the system's
                           *.cert and *.key  our certificate there, and its key (without a password)

    folders: ~/.config/containers/certs.d, ~/.config/docker/certs.d, /etc/containers/certs.d, /etc/docker/certs.d
"""

from __future__ import annotations

import os
import ssl

from pod.core import config as configuration
from pod.core.errors import RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

CA_FILES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/ca-bundle.pem",
    "/etc/ssl/cert.pem",
)


def context_for(host: str, environ: Mapping[str, str], *, verify: bool) -> ssl.SSLContext:
    """A client's context for ``host``; unverified where ``verify`` is false. RegistryError names a bad file."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if not verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    else:
        _add_authorities(context, environ)
    for folder in certificate_folders(host, environ):
        _add_certificates(context, folder)
    return context


def _add_authorities(context: ssl.SSLContext, environ: Mapping[str, str]) -> None:
    file, folder = environ.get("SSL_CERT_FILE") or None, environ.get("SSL_CERT_DIR") or None
    if file or folder:
        try:
            context.load_verify_locations(file, folder)
        except (OSError, ssl.SSLError) as error:
            name = "SSL_CERT_FILE" if file else "SSL_CERT_DIR"
            text = f"read certificates: {file or folder}: {_reason(error)}"
            raise RegistryError(text, hint=f"{name} names it") from None
        return
    context.load_default_certs()
    if not context.cert_store_stats()["x509_ca"]:
        for path in CA_FILES:  # A Python built elsewhere looks for its CAs where they are not.
            if os.path.exists(path):
                context.load_verify_locations(path)
                break


def certificate_folders(host: str, environ: Mapping[str, str]) -> list[str]:
    """The folders for ``host`` that exist."""
    if "/" in host or host in (".", ".."):
        return []
    home = configuration.config_home(environ)
    roots = [home and home + "/containers/certs.d", home and home + "/docker/certs.d"]
    roots += ["/etc/containers/certs.d", "/etc/docker/certs.d"]
    return [f"{root}/{host}" for root in roots if root and os.path.isdir(f"{root}/{host}")]


def _add_certificates(context: ssl.SSLContext, folder: str) -> None:
    try:
        names = sorted(os.listdir(folder))
    except OSError as error:
        raise RegistryError(f"read certificates: {folder}: {_reason(error)}") from None
    for name in names:
        path = f"{folder}/{name}"
        try:
            if name.endswith(".crt"):
                context.load_verify_locations(path)
            elif name.endswith(".cert"):
                _add_own(context, path, path[:-5] + ".key", names)
            elif name.endswith(".key") and name[:-4] + ".cert" not in names:
                raise RegistryError(f"read certificates: {path}: there is no certificate {name[:-4]}.cert for this key")
        except (OSError, ssl.SSLError) as error:
            raise RegistryError(f"read certificates: {path}: {_reason(error)}", hint=_PEM) from None


def _add_own(context: ssl.SSLContext, certificate: str, key: str, names: list[str]) -> None:
    if key.rpartition("/")[2] not in names:
        raise RegistryError(f"read certificates: {certificate}: its key {key.rpartition('/')[2]} is missing")

    def no_password() -> str:
        raise RegistryError(f"read certificates: {key}: it has a password", hint="take the password off the key")

    context.load_cert_chain(certificate, key, no_password)


_PEM = "a .crt is a CA, a .cert and the .key of the same name are your own; all in PEM"


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).partition(" (_ssl.c")[0].lower()
