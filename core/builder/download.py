"""Files of the web for ADD and contexts, into a folder of the build's own, by the rules of registries."""

from __future__ import annotations

import os

from pod.core import statefile
from pod.core.errors import PodError, RegistryError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from pod.core.engine import Engine

MODE = 0o600
UNNAMED = "__unnamed__"
"""What a file is called whose address has no path; as buildkit."""


def is_url(text: str) -> bool:
    return text.startswith(("http://", "https://"))


def host_of(url: str) -> str:
    """The host of an address that may be asked; PodError for one that has none, or a password."""
    from urllib.parse import urlsplit

    try:
        host = urlsplit(url).netloc
    except ValueError:
        host = ""
    if not host or "@" in host or any(ord(character) < 33 for character in url):
        raise PodError(f"{shown(url)}: not an address that is accepted", hint="https://host/path, without a password")
    return host


def shown(url: str) -> str:
    """Without what may be a secret: the query, and who asks."""
    scheme, separator, rest = url.partition("?")[0].partition("://")
    before, slash, path = rest.partition("/")
    return scheme + separator + before.rpartition("@")[2] + slash + path


def file_name(url: str) -> str:
    """What the file of ``url`` is called: the last name of its path."""
    from urllib.parse import unquote, urlsplit

    host_of(url)
    name = unquote(urlsplit(url).path.rstrip("/").rpartition("/")[2], errors="surrogateescape")
    if name in ("", ".", ".."):
        return UNNAMED
    if "/" in name or "\0" in name or len(os.fsencode(name)) > 255:
        raise PodError(f"{shown(url)}: the name of its file is not one")
    return name


def check_digest(text: str) -> None:
    """PodError for what --checksum does not take."""
    from pod.core.oci import digest

    try:
        if digest.parse(text)[0] != "sha256":
            raise digest.DigestError("not sha256")
    except digest.DigestError:
        raise PodError(f"invalid checksum digest format: {text!r}", hint="sha256: and 64 hex digits") from None


def fetch(engine: Engine, url: str, path: str, *, checksum: str = "") -> str:
    """Writes what ``url`` gives to the new file ``path`` (0600, its time the Last-Modified); "sha256:…" of it.

    PodError where it cannot be had, or is not what ``checksum`` says; the file is gone then.
    """
    import hashlib

    from pod.core.registry.client import named_insecure
    from pod.core.registry.transport import Origin, Transport

    host = host_of(url)
    plain = url.startswith("http://")  # who writes that wants it
    transport = Transport(Origin(host, insecure=plain or named_insecure(engine.config, host)), engine.environ)
    done = False
    sha = hashlib.sha256()
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, MODE)
    try:
        answer = transport.request_url(url, {})
        try:
            if answer.status != 200:
                raise RegistryError(f"{shown(url)}: invalid response status {answer.status}")
            for chunk in answer.stream():
                sha.update(chunk)
                statefile.put(file, chunk)
            modified = _seconds(answer.headers.get("Last-Modified", ""))
        finally:
            answer.close()
        found = "sha256:" + sha.hexdigest()
        if checksum and found != checksum:
            raise PodError(f"{shown(url)}: digest mismatch {found}: {checksum}", hint="the file is not the one meant")
        os.fchmod(file, MODE)
        if modified is not None:
            os.utime(file, (modified, modified))
        done = True
        return found
    except RegistryError as error:
        text = error.message.removeprefix("request token: ")
        raise PodError(f"fetch {text}", hint=error.hint) from None
    except OSError as error:
        raise PodError(f"fetch {shown(url)}: {(error.strerror or 'failed').lower()}") from None
    finally:
        os.close(file)
        transport.close()
        if not done:
            os.unlink(path)


def _seconds(text: str) -> int | None:
    """A Last-Modified in seconds of 1970; None for none that makes sense."""
    from email.utils import parsedate_to_datetime

    try:
        seconds = int(parsedate_to_datetime(text).timestamp())
    except (ValueError, TypeError, OverflowError, IndexError):
        return None
    return seconds if 0 <= seconds < 1 << 33 else None
