"""What RUN sees of the host's certificates where those are not everyone's: a proxy that opens TLS, a mirror.

The bundle and a file for apt lie in a read-only folder that is in no layer; variables name it that are in no history
and no cache key, and never take the place of the image's or the Dockerfile's own.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

TARGET = "/run/pod-host-certificates"
_VARIABLES = (
    "SSL_CERT_FILE", "CURL_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "PIP_CERT", "NODE_EXTRA_CA_CERTS", "GIT_SSL_CAINFO",
)  # fmt: skip
_ADDED = ("/usr/local/share/ca-certificates", "/etc/pki/ca-trust/source/anchors", "/etc/pki/trust/anchors")
"""Where administrators put authorities of their own: update-ca-certificates(8), update-ca-trust(8), SUSE's."""
_MOST = 8 << 20
"""Bytes of a bundle; what is larger is none."""


def bundle(environ: Mapping[str, str]) -> bytes:
    """The host's authorities, PEM; b"" where they are what every system has, or cannot be read."""
    named = environ.get("SSL_CERT_FILE")
    if not named and not any(_has_files(folder) for folder in _ADDED):
        return b""
    from pod.core.registry import tls  # with ssl: for a step that runs alone

    for path in [named] if named else tls.CA_FILES:
        try:
            with open(path, "rb") as file:
                content = file.read(_MOST + 1)
        except OSError:
            continue
        return content if b"-----BEGIN" in content and len(content) <= _MOST else b""
    return b""


def _has_files(folder: str) -> bool:
    try:
        return any(not name.startswith(".") for name in os.listdir(folder))
    except OSError:
        return False


def write(folder: str, content: bytes) -> None:
    """Makes ``folder``, for :data:`TARGET`."""
    os.mkdir(folder, 0o755)
    for name, text in (("ca.pem", content), ("apt.conf", f'Acquire::https::CAInfo "{TARGET}/ca.pem";\n'.encode())):
        with open(f"{folder}/{name}", "xb") as file:
            file.write(text)
            os.fchmod(file.fileno(), 0o644)
    os.chmod(folder, 0o755)


def variables(environment: Iterable[str]) -> list[str]:
    """NAME=VALUE for a process that has ``environment``."""
    has = {entry.partition("=")[0] for entry in environment}
    wanted = {**dict.fromkeys(_VARIABLES, TARGET + "/ca.pem"), "APT_CONFIG": TARGET + "/apt.conf"}
    return [f"{name}={value}" for name, value in wanted.items() if name not in has]
