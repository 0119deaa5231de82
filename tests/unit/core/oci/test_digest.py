"""pod.core.oci.digest."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pod.core.oci import digest

GOOD = "sha256:" + hashlib.sha256(b"x").hexdigest()


def test_of_file_when_read_before_then_the_whole_content_counts(tmp_path: Path) -> None:
    content = bytes(range(256)) * 5000
    (tmp_path / "file").write_bytes(content)
    with (tmp_path / "file").open("rb") as file:
        file.read(1000)
        assert digest.of_file(file.fileno()) == digest.of(content)
        assert file.tell() == 1000


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sha256",
        "sha256:",
        ":" + "0" * 64,
        "sha256:../../x",
        "sha256:" + "0" * 63,
        "sha256:" + "0" * 65,
        "sha256:" + "A" * 64,
        "sha256:" + "0" * 63 + "\n",
        "sha256:" + "0" * 63 + "/",
        "SHA256:" + "0" * 64,
        "md5:" + "0" * 32,
        "sha512:" + "0" * 64,
        "sha256:" + "\u0660" * 64,
        None,
        7,
        ["sha256:" + "0" * 64],
    ],
)
def test_parse_when_not_a_digest_then_refused(text: object) -> None:
    with pytest.raises(digest.DigestError):
        digest.parse(text)


def test_parse_when_sha256_or_sha512_then_split() -> None:
    assert digest.parse(GOOD) == ("sha256", GOOD[7:])
    assert digest.parse("sha512:" + "0" * 128) == ("sha512", "0" * 128)


def test_check_when_sha512_then_refused_for_content() -> None:
    with pytest.raises(digest.DigestError, match="sha512 is not supported"):
        digest.check("sha512:" + "0" * 128)


def test_verifier_when_bytes_match_then_passes() -> None:
    verifier = digest.Verifier(GOOD, 1)
    verifier.update(b"x")
    verifier.finish()


@pytest.mark.parametrize(("data", "size"), [(b"y", 1), (b"", 1), (b"x", 2)])
def test_verifier_when_digest_or_size_differs_then_refused(data: bytes, size: int) -> None:
    verifier = digest.Verifier(GOOD, size)
    verifier.update(data)
    with pytest.raises(digest.DigestError):
        verifier.finish()


def test_verifier_when_too_many_bytes_then_refused_at_once() -> None:
    with pytest.raises(digest.DigestError, match="more than the 1 bytes"):
        digest.Verifier(GOOD, 1).update(b"xx")
