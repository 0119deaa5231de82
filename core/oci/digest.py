"""Content digests: ``algorithm:hex`` (image-spec descriptor.md#digests).

A digest names files of the store and paths in URLs, so its text is checked to the letter before anything uses it.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Protocol

    class _Hash(Protocol):
        def update(self, data: bytes | bytearray | memoryview, /) -> None: ...

        def hexdigest(self) -> str: ...


LENGTHS = {"sha256": 64, "sha512": 128}
"""Hex digits of each registered algorithm."""

_HEX = frozenset("0123456789abcdef")


class DigestError(ValueError):
    """A text that is no digest; the message has Docker's words."""


def parse(text: object) -> tuple[str, str]:
    """(algorithm, hex) of "sha256:<64 hex>" or "sha512:<128 hex>", lower case. DigestError for anything else."""
    if not isinstance(text, str):
        raise DigestError("invalid checksum digest format")
    algorithm, colon, encoded = text.partition(":")
    if not colon or not algorithm:
        raise DigestError("invalid checksum digest format")
    length = LENGTHS.get(algorithm)
    if length is None:
        raise DigestError("unsupported digest algorithm")
    if len(encoded) != length:
        raise DigestError("invalid checksum digest length")
    if not _HEX.issuperset(encoded):
        raise DigestError("invalid checksum digest format")
    return algorithm, encoded


def check(text: object) -> str:
    """``text`` itself when it is a digest that the store can hold (sha256). DigestError otherwise."""
    algorithm, encoded = parse(text)
    if algorithm != "sha256":
        raise DigestError(f"digest algorithm {algorithm} is not supported for content")
    return "sha256:" + encoded


def is_hex(text: str) -> bool:
    """Whether every character is a lower case hex digit, and there is one."""
    return bool(text) and _HEX.issuperset(text)


def of(data: bytes, algorithm: str = "sha256") -> str:
    """The digest of ``data``; ``algorithm`` is one of LENGTHS."""
    import hashlib

    return f"{algorithm}:{hashlib.new(algorithm, data).hexdigest()}"


def of_small(data: bytes) -> str:
    """The sha256 digest of a document, by CPython's own code: loading OpenSSL's would cost more than hashing does."""
    try:
        from _sha256 import sha256  # type: ignore[import-not-found]
    except ImportError:
        try:
            from _sha2 import sha256  # type: ignore[import-not-found] # Python 3.12
        except ImportError:
            return of(data)
    hexdigest: str = sha256(data).hexdigest()
    return "sha256:" + hexdigest


def of_file(descriptor: int) -> str:
    """The sha256 digest of a file's content, wherever its descriptor's position is."""
    import hashlib

    hashed = hashlib.sha256()
    position = 0
    while chunk := os.pread(descriptor, 1 << 20, position):
        hashed.update(chunk)
        position += len(chunk)
    return "sha256:" + hashed.hexdigest()


class Verifier:
    """Counts and hashes bytes as they pass, to hold them against a digest and a size (bytes)."""

    __slots__ = ("_hash", "digest", "expected", "received")

    def __init__(self, digest: str, expected: int | None = None) -> None:
        import hashlib

        algorithm, _ = parse(digest)
        self.digest = digest
        self.expected = expected
        self.received = 0
        self._hash: _Hash = hashlib.sha512() if algorithm == "sha512" else hashlib.sha256()

    def update(self, data: bytes | memoryview) -> None:
        """Takes the next bytes. DigestError as soon as there are more than expected."""
        self.received += len(data)
        if self.expected is not None and self.received > self.expected:
            raise DigestError(f"more than the {self.expected} bytes that were announced")
        self._hash.update(data)

    def finish(self) -> None:
        """DigestError unless the size and the digest are those announced."""
        if self.expected is not None and self.received != self.expected:
            raise DigestError(f"wrong size: {self.received} bytes instead of {self.expected}")
        algorithm = self.digest.partition(":")[0]
        actual = algorithm + ":" + self._hash.hexdigest()
        if actual != self.digest:
            raise DigestError(f"wrong digest: content is {actual}, not {self.digest}")
