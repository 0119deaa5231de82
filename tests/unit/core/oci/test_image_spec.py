"""pod.core.oci.image_spec: what is accepted, what is refused, and that raw bytes stay."""

from __future__ import annotations

import hashlib
import json
import tracemalloc
from typing import Any

import pytest

from pod.core.oci import image_spec
from pod.core.oci.image_spec import DocumentError, ImageConfig, Index, Manifest
from pod.core.oci.platform import Platform

D = "sha256:" + "0" * 64
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def manifest(**changes: Any) -> dict[str, Any]:
    value: dict[str, Any] = {
        "schemaVersion": 2,
        "mediaType": image_spec.OCI_MANIFEST,
        "config": {"mediaType": image_spec.OCI_CONFIG, "digest": D, "size": 2},
        "layers": [{"mediaType": LAYER, "digest": D, "size": 3}],
    }
    value.update(changes)
    return {key: item for key, item in value.items() if item is not None}


def index(*platforms: str, **changes: Any) -> dict[str, Any]:
    entries = []
    for number, text in enumerate(platforms):
        parts = text.split("/")
        shown = dict(zip(("os", "architecture", "variant"), parts))
        digest = "sha256:" + f"{number:064x}"
        entries.append({"mediaType": image_spec.OCI_MANIFEST, "digest": digest, "size": 1, "platform": shown})
    return {"schemaVersion": 2, "mediaType": image_spec.OCI_INDEX, "manifests": entries, **changes}


def raw(value: Any) -> bytes:
    return json.dumps(value, indent=3).encode()


def test_parse_manifest_when_oci_then_digest_is_over_the_bytes_received() -> None:
    data = raw(manifest())
    parsed = image_spec.parse_manifest(data, image_spec.OCI_MANIFEST)
    assert isinstance(parsed, Manifest)
    assert parsed.raw == data
    assert parsed.digest == "sha256:" + hashlib.sha256(data).hexdigest()
    assert [layer.size for layer in parsed.layers] == [3]


def test_parse_manifest_when_docker_schema_2_then_taken() -> None:
    value = manifest(
        mediaType=image_spec.DOCKER_MANIFEST,
        config={"mediaType": image_spec.DOCKER_CONFIG, "digest": D, "size": 2},
        layers=[{"mediaType": "application/vnd.docker.image.rootfs.diff.tar.gzip", "digest": D, "size": 3}],
    )
    assert isinstance(image_spec.parse_manifest(raw(value), image_spec.DOCKER_MANIFEST), Manifest)


def test_parse_manifest_when_media_type_only_in_header_then_taken() -> None:
    data = raw(manifest(mediaType=None))
    assert isinstance(image_spec.parse_manifest(data, image_spec.OCI_MANIFEST + "; charset=utf-8"), Manifest)


def test_parse_manifest_when_served_as_plain_json_then_body_decides() -> None:
    assert isinstance(image_spec.parse_manifest(raw(index("linux/amd64")), "application/json"), Index)


@pytest.mark.parametrize(
    ("value", "media_type", "reason"),
    [
        ({"schemaVersion": 1, "fsLayers": []}, "", "schema 1"),
        ({"schemaVersion": 1}, image_spec.SCHEMA1[1], "schema 1"),
        ({"schemaVersion": 3}, "", "schemaVersion"),
        ({}, "", "schemaVersion"),
        ([], "", "not a JSON object"),
        (manifest(manifests=[]), image_spec.OCI_MANIFEST, "both a manifest and an index"),
        ({**index("linux/amd64"), "layers": []}, image_spec.OCI_INDEX, "both a manifest and an index"),
        (manifest(), image_spec.OCI_INDEX, "calls itself"),
        (manifest(mediaType=None), image_spec.OCI_INDEX, "does not fit"),
        (manifest(mediaType="application/x"), "application/x", "unsupported manifest media type"),
        (manifest(config=None), "", "not a descriptor"),
        (manifest(config={"mediaType": "application/x", "digest": D, "size": 1}), "", "not a container image"),
        (manifest(layers={}), "", "not a list"),
        (manifest(layers=[[]]), "", "not a descriptor"),
        (manifest(layers=[{"mediaType": LAYER, "digest": D, "size": -1}]), "", "sensible"),
        (manifest(layers=[{"mediaType": LAYER, "digest": D, "size": True}]), "", "sensible"),
        (manifest(layers=[{"mediaType": LAYER, "digest": D, "size": 1 << 60}]), "", "sensible"),
        (manifest(layers=[{"mediaType": LAYER, "digest": D, "size": 1.5}]), "", "sensible"),
        (manifest(layers=[{"mediaType": LAYER, "digest": "sha256:../../x", "size": 1}]), "", "digest"),
        (manifest(layers=[{"mediaType": LAYER, "digest": "md5:0", "size": 1}]), "", "unsupported digest"),
        (manifest(layers=[{"mediaType": LAYER + "+encrypted", "digest": D, "size": 1}]), "", "encrypted"),
        (manifest(layers=[{"mediaType": "text/html", "digest": D, "size": 1}]), "", "unsupported layer"),
        (manifest(layers=[{"mediaType": LAYER, "digest": D, "size": 1}] * 10_000), "", "10000 layers"),
        (manifest(annotations={"a": 1}), "", "map of strings"),
        (manifest(mediaType=7), "", "not a short string"),
        ({**index(), "manifests": [{"digest": D, "size": 1}] * 1001}, "", "1001 manifests"),
        ({**index(), "manifests": [{"digest": D, "size": 1, "platform": 1}]}, "", "platform"),
    ],
)
def test_parse_manifest_when_wrong_then_refused(value: Any, media_type: str, reason: str) -> None:
    with pytest.raises(DocumentError, match=reason):
        image_spec.parse_manifest(raw(value), media_type)


@pytest.mark.parametrize("data", [b"", b"{", b"nonsense", b"\xff\xfe", b'{"a": NaN', b"\0" * 10])
def test_parse_manifest_when_not_json_then_refused(data: bytes) -> None:
    with pytest.raises(DocumentError):
        image_spec.parse_manifest(data)


def test_parse_manifest_when_too_large_then_refused() -> None:
    with pytest.raises(DocumentError, match="larger than"):
        image_spec.parse_manifest(b" " * (image_spec.MAX_MANIFEST + 1))


@pytest.mark.parametrize("bracket", [b"[", b'{"a":'])
def test_parse_manifest_when_nested_deep_then_refused(bracket: bytes) -> None:
    with pytest.raises(DocumentError, match="nested deeper"):
        image_spec.parse_manifest(bracket * 100_000)


@pytest.mark.parametrize("item", [b"{},", b"[],", b'{"created_by":""},'])
def test_image_config_when_its_history_is_millions_of_steps_then_refused_in_little_memory(item: bytes) -> None:
    count = image_spec.MAX_CONFIG // len(item) - 20
    document = b'{"history":[' + (item * count)[:-1] + b"]}"
    tracemalloc.start()
    try:
        with pytest.raises(DocumentError, match="more than 200000 objects and lists"):
            image_spec.ImageConfig(document)
        assert tracemalloc.get_traced_memory()[1] < 100 << 20
    finally:
        tracemalloc.stop()


def test_load_when_brackets_are_inside_strings_then_not_counted() -> None:
    value = {"schemaVersion": 2, "x": "[" * 500 + '"' + "\\", "y": '{"' * 100}
    assert image_spec.load(raw(value), 1 << 20, "test") == value


def test_choose_when_variants_then_nearest_below() -> None:
    parsed = image_spec.parse_manifest(raw(index("linux/arm/v5", "linux/arm/v6", "linux/arm64/v8", "linux/amd64")))
    assert isinstance(parsed, Index)
    found = parsed.choose(Platform("linux", "arm", "v7"))
    assert found is not None
    assert str(found.platform) == "linux/arm/v6"
    assert parsed.choose(Platform("linux", "riscv64")) is None


def test_choose_when_attestations_then_never_chosen() -> None:
    parsed = image_spec.parse_manifest(raw(index("unknown/unknown", "linux/amd64")))
    assert isinstance(parsed, Index)
    assert parsed.platforms() == ["linux/amd64"]
    assert parsed.choose(Platform("unknown", "amd64")) is None


def test_choose_when_several_fit_equally_then_the_first() -> None:
    parsed = image_spec.parse_manifest(raw(index("linux/amd64", "linux/amd64")))
    assert isinstance(parsed, Index)
    found = parsed.choose(Platform("linux", "amd64"))
    assert found is parsed.manifests[0]


def test_image_config_when_valid_then_fields_and_id() -> None:
    data = raw({"architecture": "arm", "os": "linux", "variant": "v6", "rootfs": {"type": "layers", "diff_ids": [D]}})
    config = ImageConfig(data)
    assert config.id == "sha256:" + hashlib.sha256(data).hexdigest()
    assert config.diff_ids == [D]
    assert str(config.platform) == "linux/arm/v6"


@pytest.mark.parametrize(
    "value",
    [
        {"rootfs": {"type": "squashfs", "diff_ids": []}},
        {"rootfs": []},
        {"rootfs": {"diff_ids": ["sha256:x"]}},
        {"rootfs": {"diff_ids": [1]}},
        {"rootfs": {"diff_ids": [D] * 501}},
        {"config": []},
        {"os": 1},
        {"architecture": "x" * 5000},
    ],
)
def test_image_config_when_wrong_then_refused(value: dict[str, Any]) -> None:
    with pytest.raises(DocumentError):
        ImageConfig(raw(value))


def test_chain_ids_when_three_layers_then_as_the_specification_says() -> None:
    a, b, c = ("sha256:" + letter * 64 for letter in "abc")
    ab = "sha256:" + hashlib.sha256(f"{a} {b}".encode()).hexdigest()
    abc = "sha256:" + hashlib.sha256(f"{ab} {c}".encode()).hexdigest()
    assert image_spec.chain_ids([a, b, c]) == [a, ab, abc]
    assert image_spec.chain_ids([]) == []
