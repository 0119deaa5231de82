"""Parsers in Python against texts that hypothesis makes up: an error of pod's own, or a value that says the same again.

The same texts each time; POD_FUZZ_ROUNDS makes it more of them.
"""

from __future__ import annotations

import contextlib
import json
import string
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pod.cli import flag_values, run_values, template
from pod.core import statefile
from pod.core.errors import PodError
from pod.core.image import filters
from pod.core.oci import digest, image_spec, reference
from pod.core.oci.image_spec import DocumentError, ImageConfig, Index, Manifest
from pod.core.registry import auth, credentials, retry
from pod.core.volume import mount_syntax, syntax
from tests.support import fuzzing

MOST = fuzzing.rounds(60)
fuzzed = fuzzing.fuzzed(60)


def words(*pieces: str, more: str = string.printable + "é\0\u202e") -> st.SearchStrategy[str]:
    """Texts out of PIECES of a grammar and odd characters."""
    return st.lists(st.sampled_from(pieces) | st.text(more, max_size=4), max_size=12).map("".join)


HEX = "0123456789abcdef" * 4
NAMES = words("docker.io/", "library/", "app", ":", "@", "sha256:" + HEX, "sha512:", "/", "..", "localhost:50", "[::]")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)


@fuzzed
@given(NAMES)
def test_reference_when_made_up_then_refused_or_the_same_again(text: str) -> None:
    with contextlib.suppress(PodError):
        found = reference.parse(text)
        assert reference.parse(found.canonical()) == found or reference.parse(found.canonical()).name == found.name
        assert not {"\0", "\n", " "} & set(found.canonical())
        assert "/../" not in f"/{found.path}/"


@fuzzed
@given(words("sha256:", HEX, "sha512:", HEX * 2, ":", "/", "A"))
def test_digest_when_made_up_then_refused_or_hex(text: str) -> None:
    with contextlib.suppress(digest.DigestError):
        algorithm, encoded = digest.parse(text)
        assert digest.is_hex(encoded)
        assert len(encoded) == digest.LENGTHS[algorithm]


DESCRIPTOR = {"mediaType": image_spec.OCI_CONFIG, "digest": "sha256:" + HEX, "size": 7}
LAYER = {"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + HEX, "size": 7}
MEMBERS = st.dictionaries(
    st.sampled_from(
        ["schemaVersion", "mediaType", "config", "layers", "manifests", "annotations", "rootfs", "os", "history"]
    ),
    JSON
    | st.just(2)
    | st.just(DESCRIPTOR)
    | st.lists(st.just(LAYER) | JSON, max_size=3)
    | st.sampled_from([image_spec.OCI_MANIFEST, image_spec.OCI_INDEX])
    | st.lists(st.just("sha256:" + HEX) | JSON, max_size=3).map(lambda ids: {"type": "layers", "diff_ids": ids}),
)


@fuzzed
@given(MEMBERS, st.sampled_from(["", image_spec.OCI_MANIFEST, image_spec.OCI_INDEX, "text/html"]))
def test_manifest_when_made_up_then_refused_or_what_its_type_says(members: dict[str, Any], media_type: str) -> None:
    for document in (members, {"schemaVersion": 2, "config": DESCRIPTOR, "layers": [LAYER], **members}):
        with contextlib.suppress(DocumentError):
            found = image_spec.parse_manifest(json.dumps(document).encode(), media_type)
            assert isinstance(found, (Manifest, Index))
            assert isinstance(found, Index) == (found.media_type in image_spec.INDEX_TYPES)


@fuzzed
@given(st.binary(max_size=200) | (JSON | MEMBERS).map(lambda value: json.dumps(value).encode()))
def test_documents_when_made_up_then_refused_or_objects(raw: bytes) -> None:
    for read in (image_spec.parse_manifest, ImageConfig):
        with contextlib.suppress(DocumentError):
            read(raw)
    with contextlib.suppress(ValueError):
        value = statefile.loads(raw)
        if "Infinity" not in repr(value) and "inf" not in repr(value):
            assert statefile.loads(statefile.dumps(value)) == value


TEMPLATES = words(
    *("{{", "}}", "{{-", "-}}", ".", ".Names", "$", "$x", ":=", "if ", "else", "end", "range ", "with ", "json ", "("),
    *("printf ", '"%s"', "`a`", "'c'", "|", "upper", "eq ", "1", "0x1p-2", "nil", "true", "/*", "*/", "define ", ")"),
)


@fuzzed
@given(TEMPLATES)
def test_template_when_made_up_then_one_of_its_errors_or_text(text: str) -> None:
    values = {"Names": ["a", "b"], "ID": "x", "Size": 7, "Labels": {"k": "v"}}
    with contextlib.suppress(PodError):
        assert isinstance(template.parse(text).execute(values), str)


@pytest.mark.parametrize("member", ["auths", "credHelpers", "credsStore"])
@fuzzed
@given(JSON | st.just({"r.test": {"auth": "dTpw"}}) | st.just({"r.test": {"identitytoken": "t"}}))
def test_auth_file_when_made_up_then_one_of_its_errors_or_credentials(
    tmp_path_factory: pytest.TempPathFactory, member: str, value: Any
) -> None:
    path = tmp_path_factory.getbasetemp() / "auth-made-up.json"
    path.write_text(json.dumps({member: value}))
    environ = {"REGISTRY_AUTH_FILE": str(path), "PATH": "/nonexistent"}
    with contextlib.suppress(PodError):
        found = credentials.find("r.test", "team/app", environ)
        assert found is None or (member == "auths" and isinstance(found.user + found.password + found.token, str))


CHALLENGES = words("Bearer ", "Basic ", "realm=", '"https://a.test/t"', "service=", '"', "\\", ",", "=", "Negotiate")


@fuzzed
@given(CHALLENGES)
def test_challenge_when_made_up_then_schemes_and_parameters(text: str) -> None:
    for challenge in auth.parse_challenges(text):
        assert challenge.scheme == challenge.scheme.lower()
        assert all(challenge.parameters) or "" not in challenge.parameters
        realm = challenge.parameters.get("realm", "")
        if auth.realm_is_ours(realm, "r.test"):
            assert realm.split("://")[0].lower() in ("https", "http")


@fuzzed
@given(words("1", "9" * 30, "-", "Thu, 01 Jan 1970", "GMT", " ", "00:00:00", "+2400", "Feb"))
def test_retry_after_when_made_up_then_seconds(text: str) -> None:
    assert 0 <= retry.asked_wait(text) < 1e12


GRAMMARS: list[tuple[Callable[[str], Any], st.SearchStrategy[str]]] = [
    (flag_values.parse_bytes, words("1", "512", "m", "GiB", ".", "-", "e9", "kb", " ")),
    (flag_values.parse_duration, words("1", "h", "ms", "µs", ".5", "-", "+", "9" * 20, "m")),
    (flag_values.split_csv, words("a", ",", '"', "=", "\n")),
    (lambda text: syntax.parse_volume(text, "/"), words("/a", ":", "name", "ro", ",z", "..", "./", "rslave")),
    (syntax.parse_volumes_from, words("name", ":", "ro", "rw", "/")),
    (
        lambda text: mount_syntax.parse(text.split(","), "/", flag_values.parse_bytes),
        words("type=", "bind", "volume", "tmpfs", ",", "src=", "/a", "dst=", "/b", "ro", "=", "tmpfs-size=", "1m"),
    ),
    (lambda text: filters.read([text], ["label", "before"]), words("label", "=", "!=", "before", "dangling", "true")),
    (lambda text: run_values.devices([text]), words("/dev/null", ":", "rwm", "/")),
    (lambda text: run_values.ulimits([text]), words("nofile", "=", ":", "1024", "-1", "core")),
    (lambda text: run_values.extra_hosts([text], "bridge"), words("a", ":", "=", "::1", "127.0.0.1", "host-gateway")),
    (lambda text: run_values.exposed([text]), words("80", "/", "tcp", "-", "65536", "udp")),
    (lambda text: run_values.tmpfs([text]), words("/a", ":", "size=", "1m", ",", "mode=", "1777", "noexec")),
    (lambda text: run_values.dns([text]), words("1.1.1.1", "::1", "%", "x", ".")),
    (lambda text: run_values.security_options([text]), words("seccomp=", "unconfined", "label:", "=", "nesting")),
]


@pytest.mark.parametrize(("parse", "texts"), GRAMMARS, ids=[str(number) for number in range(len(GRAMMARS))])
@fuzzed
@given(data=st.data())
def test_flag_when_made_up_then_one_of_its_errors_or_a_value(
    parse: Callable[[str], Any], texts: st.SearchStrategy[str], data: st.DataObject
) -> None:
    # ValueError: what --mount, sizes and durations are documented to raise; cli/options words it.
    with contextlib.suppress(PodError, ValueError):
        parse(data.draw(texts))


@fuzzed
@given(st.binary(max_size=60) | words("A", "=", "b", "\n", "#", "\r", " ", "\ufeff").map(str.encode))
def test_env_file_when_made_up_then_one_of_its_errors_or_variables(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    path = Path(tmp_path_factory.getbasetemp(), "env-made-up")
    path.write_bytes(content)
    with contextlib.suppress(PodError):
        for variable in run_values.environment([str(path)], [], {"b": "1"}):
            name = variable.partition("=")[0]
            assert name
            assert not set(name) & set(" \t\n\0")
