"""pod.core.oci.reference against the cases of Docker's grammar (distribution/reference) and ugly input."""

from __future__ import annotations

import random

import pytest

from pod.core.errors import InvalidReference
from pod.core.oci import reference

DIGEST = "sha256:" + "0123456789abcdef" * 4


@pytest.mark.parametrize(
    ("text", "canonical", "familiar"),
    [
        ("busybox", "docker.io/library/busybox", "busybox"),
        ("busybox:1.36", "docker.io/library/busybox:1.36", "busybox:1.36"),
        ("library/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("docker.io/library/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/busybox", "docker.io/library/busybox", "busybox"),
        ("index.docker.io/library/busybox:x", "docker.io/library/busybox:x", "busybox:x"),
        ("team/app", "docker.io/team/app", "team/app"),
        ("library/foo/bar", "docker.io/library/foo/bar", "library/foo/bar"),
        ("docker.io/a/b/c", "docker.io/a/b/c", "a/b/c"),
        ("localhost/app", "localhost/app", "localhost/app"),
        ("localhost:5000/app", "localhost:5000/app", "localhost:5000/app"),
        ("localhost:5000", "docker.io/library/localhost:5000", "localhost:5000"),
        ("127.0.0.1:5000/app:x", "127.0.0.1:5000/app:x", "127.0.0.1:5000/app:x"),
        ("[::1]:5000/app", "[::1]:5000/app", "[::1]:5000/app"),
        ("[fc00::1]/app", "[fc00::1]/app", "[fc00::1]/app"),
        ("quay.io/team/app@" + DIGEST, "quay.io/team/app@" + DIGEST, "quay.io/team/app@" + DIGEST),
        ("busybox:1@" + DIGEST, "docker.io/library/busybox:1@" + DIGEST, "busybox:1@" + DIGEST),
        ("Host/app", "Host/app", "Host/app"),
        ("EXAMPLE.com/app", "EXAMPLE.com/app", "EXAMPLE.com/app"),
        ("xn--n3h.com/app", "xn--n3h.com/app", "xn--n3h.com/app"),
        ("a__b/c.d-e---f_g", "docker.io/a__b/c.d-e---f_g", "a__b/c.d-e---f_g"),
        ("app:_A.b-C", "docker.io/library/app:_A.b-C", "app:_A.b-C"),
        ("dead", "docker.io/library/dead", "dead"),
        ("a" * 63, "docker.io/library/" + "a" * 63, "a" * 63),
        ("x.y:80/app", "x.y:80/app", "x.y:80/app"),
    ],
)
def test_parse_when_valid_then_normalised_as_docker(text: str, canonical: str, familiar: str) -> None:
    parsed = reference.parse(text)
    assert parsed.canonical() == canonical
    assert parsed.familiar() == familiar


@pytest.mark.parametrize(
    "text",
    [
        "",
        ":",
        ":::",
        "/",
        "/app",
        "app/",
        "app//x",
        "-app",
        "app-",
        ".app",
        "app.",
        "_app",
        "a..b",
        "a___b",
        "a._b",
        "a.-b",
        "app:",
        "app:-x",
        "app:.x",
        "app:" + "x" * 129,
        "app:x/y",
        "app@",
        "app@sha256:abc",
        "app@sha256:" + "A" * 64,
        "app@md5:" + "0" * 32,
        "app@" + DIGEST + "@" + DIGEST,
        "app:x@" + DIGEST + ":y",
        "Busybox",
        "library/Busybox",
        "docker.io/Busybox",
        "a b",
        "app\n",
        "app\0",
        "ap\u00e9",
        "\u0430pp",
        "../etc/passwd",
        "..",
        ".",
        "a/../b",
        "http://example.com/app",
        "user@host/app",
        "-host.com/app",
        "host-.com/app",
        "host.com:/app",
        "host.com:80x/app",
        "host..com/app",
        "a_b.c/app",
        "[::1/app",
        "[]/app",
        "[::1]x/app",
        "host.com:5000/",
        "a" * 64,
        "0" * 64,
        "x" * 5000,
        "/".join("a" * 300),
        "a:b:c",
    ],
)
def test_parse_when_invalid_then_refused(text: str) -> None:
    with pytest.raises(InvalidReference):
        reference.parse(text)


def test_parse_when_upper_case_then_says_so_as_docker() -> None:
    with pytest.raises(InvalidReference) as caught:
        reference.parse("Busybox:x")
    assert caught.value.message == (
        "invalid reference format: repository name (library/Busybox) must be lowercase"
    )


def test_parse_when_64_hex_digits_then_says_so_as_docker() -> None:
    with pytest.raises(InvalidReference, match="cannot specify 64-byte hexadecimal strings"):
        reference.parse("0123456789abcdef" * 4)


def test_parse_when_path_has_255_characters_then_taken_and_256_refused() -> None:
    reference.parse("host.com/" + "a" * 255)
    with pytest.raises(InvalidReference, match="must not be more than 255"):
        reference.parse("host.com/" + "a" * 256)


def test_with_default_tag_when_tag_or_digest_then_unchanged() -> None:
    assert reference.parse("a").with_default_tag().familiar() == "a:latest"
    assert reference.parse("a:b").with_default_tag().familiar() == "a:b"
    assert reference.parse("a@" + DIGEST).with_default_tag().familiar() == "a@" + DIGEST


@pytest.mark.parametrize(
    ("text", "short"), [("a", True), ("a/b", True), ("localhost/a", False), ("x.y/a", False), ("Host/a", False)]
)
def test_is_short_when_no_registry_then_true(text: str, short: bool) -> None:
    assert reference.is_short(text) is short


def test_parse_when_random_text_then_canonical_form_parses_to_itself() -> None:
    dice = random.Random(7)
    alphabet = "abz019ABZ._-:/@[] \n\u00e9"
    taken = 0
    for _ in range(20_000):
        text = "".join(dice.choice(alphabet) for _ in range(dice.randrange(1, 14)))
        try:
            parsed = reference.parse(text)
        except InvalidReference:
            continue
        taken += 1
        again = reference.parse(parsed.canonical())
        assert again == parsed
        assert reference.parse(parsed.familiar()) == parsed
    assert taken > 100
