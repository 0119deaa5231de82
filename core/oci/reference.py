"""Image references, read and normalised as Docker does (distribution/reference: grammar and ParseNormalizedNamed).

    reference := [domain "/"] path [":" tag] ["@" digest]
    domain    := host [":" port]                     "localhost", or has a dot, a colon or an upper case letter
    path      := component ["/" component]*          component := [a-z0-9]+ ((\\. | _ | __ | -+) [a-z0-9]+)*
    tag       := [A-Za-z0-9_][A-Za-z0-9_.-]{0,127}

``busybox`` is ``docker.io/library/busybox:latest``; the short form is called familiar, the long one canonical.
"""

from __future__ import annotations

from pod.core.errors import InvalidReference
from pod.core.oci import digest as digests

DEFAULT_DOMAIN = "docker.io"
LEGACY_DOMAIN = "index.docker.io"
OFFICIAL = "library/"
DEFAULT_TAG = "latest"
MAX_PATH = 255
MAX_TEXT = 1024
"""Characters; no valid reference is longer (255 of path, 255 of domain, 128 of tag, 135 of digest)."""

_LOWER = frozenset("abcdefghijklmnopqrstuvwxyz0123456789")
_ALNUM = frozenset("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789")
_TAG_FIRST = _ALNUM | {"_"}
_TAG = _TAG_FIRST | {".", "-"}
_DIGITS = frozenset("0123456789")
_IPV6 = frozenset("0123456789abcdefABCDEF:")

_HINT = "a name looks like busybox, debian:12, registry.example.com:5000/team/app:1.0 or name@sha256:…"


class Reference:
    """A parsed reference. ``tag`` and ``digest`` are "" where the text had none."""

    __slots__ = ("digest", "domain", "path", "tag")

    def __init__(self, domain: str, path: str, tag: str = "", digest: str = "") -> None:
        self.domain = domain
        self.path = path
        self.tag = tag
        self.digest = digest

    @property
    def name(self) -> str:
        """Domain and path: "docker.io/library/busybox"."""
        return self.domain + "/" + self.path

    @property
    def familiar_name(self) -> str:
        """The name as people write it: "busybox"."""
        if self.domain != DEFAULT_DOMAIN:
            return self.domain + "/" + self.path
        if self.path.startswith(OFFICIAL) and "/" not in self.path[len(OFFICIAL) :]:
            return self.path[len(OFFICIAL) :]
        return self.path

    def _suffix(self) -> str:
        return (":" + self.tag if self.tag else "") + ("@" + self.digest if self.digest else "")

    def familiar(self) -> str:
        """The short form with tag and digest: "busybox:latest"."""
        return self.familiar_name + self._suffix()

    def canonical(self) -> str:
        """The long form with tag and digest: "docker.io/library/busybox:latest"."""
        return self.name + self._suffix()

    def with_default_tag(self) -> Reference:
        """Itself, or with the tag "latest" where there is neither tag nor digest."""
        if self.tag or self.digest:
            return self
        return Reference(self.domain, self.path, DEFAULT_TAG)

    def with_tag(self, tag: str) -> Reference:
        """The same name with another tag and no digest."""
        return Reference(self.domain, self.path, tag)

    def with_digest(self, digest: str) -> Reference:
        """The same name with a digest and no tag: how a pulled manifest is remembered."""
        return Reference(self.domain, self.path, "", digest)

    def __repr__(self) -> str:
        return f"Reference({self.canonical()!r})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Reference) and self.canonical() == other.canonical()

    def __hash__(self) -> int:
        return hash(self.canonical())


def parse(text: str) -> Reference:
    """The reference that ``text`` means, defaults for domain applied (not for the tag). InvalidReference otherwise."""
    if len(text) > MAX_TEXT:
        raise InvalidReference(f"invalid reference format: {text[:40]}…: longer than {MAX_TEXT} characters", hint=_HINT)
    if not text:
        raise InvalidReference("invalid reference format: the image name is empty", hint=_HINT)
    if len(text) == 64 and digests.is_hex(text):
        raise InvalidReference(
            f"invalid repository name ({text}), cannot specify 64-byte hexadecimal strings",
            hint="write sha256: before it to name an image by its id",
        )
    domain, rest = _split_domain(text)
    path, tag, digest = _split_rest(text, rest)
    if not _valid_domain(domain) or not _valid_path(path) or (tag is not None and not valid_tag(tag)):
        raise _invalid(text)
    if len(path) > MAX_PATH:
        raise InvalidReference(f"repository name must not be more than {MAX_PATH} characters: {path[:40]}…", hint=_HINT)
    return Reference(domain, path, tag or "", digest or "")


def is_short(text: str) -> bool:
    """Whether ``text`` names no registry, so that search lists and short-name aliases apply."""
    first, slash, _ = text.partition("/")
    return not slash or not _is_domain(first)


def valid_tag(tag: str) -> bool:
    """Whether ``tag`` is a tag by Docker's grammar."""
    return 0 < len(tag) <= 128 and tag[0] in _TAG_FIRST and _TAG.issuperset(tag)


def _invalid(text: str) -> InvalidReference:
    return InvalidReference(f"invalid reference format: {text}", hint=_HINT)


def _is_domain(first: str) -> bool:
    return first == "localhost" or "." in first or ":" in first or first.lower() != first


def _split_domain(text: str) -> tuple[str, str]:
    first, slash, rest = text.partition("/")
    if not slash:
        return DEFAULT_DOMAIN, OFFICIAL + text
    if not _is_domain(first):
        return DEFAULT_DOMAIN, text
    if first == LEGACY_DOMAIN:
        first = DEFAULT_DOMAIN
    if first == DEFAULT_DOMAIN and "/" not in rest:
        rest = OFFICIAL + rest
    return first, rest


def _split_rest(text: str, rest: str) -> tuple[str, str | None, str | None]:
    """(path, tag, digest) of what follows the domain; None for a part that is absent."""
    remote = rest.partition(":")[0]
    if remote.lower() != remote:
        raise InvalidReference(
            f"invalid reference format: repository name ({remote}) must be lowercase", hint=f"try {text.lower()[:80]}"
        )
    left, at, digest = rest.partition("@")
    path, colon, tag = left.partition(":")
    if at:
        try:
            digests.parse(digest)
        except digests.DigestError as error:
            raise InvalidReference(f"invalid reference format: {text}: {error}", hint=_HINT) from None
    return path, tag if colon else None, digest if at else None


def _valid_domain(domain: str) -> bool:
    host, colon, port = domain.rpartition(":")
    if domain.startswith("["):
        end = domain.find("]")
        inside, after = domain[1:end], domain[end + 1 :]
        if end < 2 or not _IPV6.issuperset(inside):
            return False
        return not after or (after[0] == ":" and len(after) > 1 and _DIGITS.issuperset(after[1:]))
    if not colon:
        host = domain
    elif not port or not _DIGITS.issuperset(port):
        return False
    for label in host.split("."):
        if not label or label[0] == "-" or label[-1] == "-" or not _ALNUM.issuperset(label.replace("-", "")):
            return False
    return len(host) <= MAX_PATH


def _valid_path(path: str) -> bool:
    return all(_valid_component(component) for component in path.split("/"))


def _valid_component(component: str) -> bool:
    if not component or component[0] not in _LOWER or component[-1] not in _LOWER:
        return False
    separator = ""
    for character in component:
        if character in _LOWER:
            if separator and separator not in (".", "_", "__") and separator.strip("-"):
                return False
            separator = ""
        elif character in "._-":
            separator += character
        else:
            return False
    return True
