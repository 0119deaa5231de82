"""--output of what a build has come to: archives with and without layers, failures that leave nothing."""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
from pathlib import Path
from typing import Any

import pytest

from pod.core.builder import export as exports
from pod.core.builder.wishes import Output, Wishes
from pod.core.engine import Engine
from pod.core.errors import PodError
from pod.core.image import blobs
from pod.core.oci import digest as digests
from pod.core.oci import reference as references

PLAIN = "application/vnd.oci.image.layer.v1.tar"


@pytest.fixture
def told() -> list[dict[str, Any]]:
    return []


@pytest.fixture
def engine(tmp_path: Path, told: list[dict[str, Any]]) -> Engine:
    store = tmp_path / "store"
    (store / "blobs/sha256").mkdir(parents=True)
    (store / "trash").mkdir()
    environ = {"HOME": str(tmp_path)}
    return Engine(environ, root=str(store), progress=lambda event, fields: told.append({"event": event, **fields}))


def _view(work: Any) -> Any:
    raise AssertionError("archives of images need no tree")


def _product(engine: Engine, *contents: bytes) -> exports.Product:
    layers = []
    for content in contents:
        digest = blobs.put(engine, content)
        layers.append({"digest": digest, "mediaType": PLAIN, "size": len(content), "diffID": digest, "chainID": digest})
    document = {"architecture": "amd64", "os": "linux", "config": {"Cmd": ["/x"]}, "history": []}
    return exports.Product(layers, document, 0, _view)


def _wishes(kind: str, **attributes: str) -> Wishes:
    wishes = Wishes()
    wishes.tags = [references.parse("r.example/app:1")]
    wishes.annotations = {"a": "b"}
    wishes.outputs = [Output(kind, attributes)]
    return wishes


def _tar(name: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        archive.addfile(tarfile.TarInfo(name))
    return out.getvalue()


def _members(path: Path) -> dict[str, bytes]:
    with tarfile.open(path) as archive:
        return {entry.name: archive.extractfile(entry).read() for entry in archive if entry.isfile()}  # type: ignore[union-attr]


@pytest.mark.parametrize("compression", ["", "gzip", "uncompressed", "zstd"])
def test_oci_archive_has_the_image_and_its_annotations(
    engine: Engine, told: list[dict[str, Any]], tmp_path: Path, compression: str
) -> None:
    content = _tar("hello")
    wishes = _wishes("oci", dest=str(tmp_path / "o.tar"), **({"compression": compression} if compression else {}))
    config, manifest = exports.export(engine, wishes, _product(engine, content), None, 7)
    members = _members(tmp_path / "o.tar")
    for name, data in members.items():
        if name.startswith("blobs/"):
            assert hashlib.sha256(data).hexdigest() == name.rpartition("/")[2]
    (entry,) = json.loads(members["index.json"])["manifests"]
    assert entry["annotations"]["org.opencontainers.image.ref.name"] == "r.example/app:1"
    found = json.loads(members["blobs/sha256/" + entry["digest"][7:]])
    assert found["annotations"] == {"a": "b"}
    assert found["config"]["digest"] == config
    (layer,) = found["layers"]
    data = members["blobs/sha256/" + layer["digest"][7:]]
    if compression in ("", "gzip"):
        assert gzip.decompress(data) == content
        assert layer["mediaType"] == PLAIN + "+gzip"
    elif compression == "zstd":
        assert data[:4] == b"\x28\xb5\x2f\xfd"
    else:
        assert (data, entry["digest"]) == (content, manifest)
    assert json.loads(members["blobs/sha256/" + config[7:]])["rootfs"]["diff_ids"] == [digests.of(content)]
    assert [one["state"] for one in told] == ["start", "output", "done"]
    assert {one["step"] for one in told} == {7}


def test_oci_folder(engine: Engine, tmp_path: Path) -> None:
    exports.export(engine, _wishes("oci", dest=str(tmp_path / "o"), tar="false"), _product(engine, _tar("x")), None, 1)
    assert sorted(os.listdir(tmp_path / "o")) == ["blobs", "index.json", "oci-layout"]


def test_docker_archive_of_nothing_at_all(engine: Engine, tmp_path: Path) -> None:
    config, _ = exports.export(engine, _wishes("docker", dest=str(tmp_path / "d.tar")), _product(engine), None, 1)
    (item,) = json.loads(_members(tmp_path / "d.tar")["manifest.json"])
    assert (item["Config"], item["RepoTags"], item["Layers"]) == (
        "blobs/sha256/" + config[7:], ["r.example/app:1"], [],
    )  # fmt: skip


def test_archive_replaces_what_was_there_and_a_failure_leaves_it(
    engine: Engine, told: list[dict[str, Any]], tmp_path: Path
) -> None:
    place = tmp_path / "out" / "o.tar"
    place.parent.mkdir()
    place.write_text("before")
    product = _product(engine, _tar("x"))
    os.unlink(engine.paths.blob(product.layers[0]["digest"]))
    with pytest.raises(PodError):
        exports.export(engine, _wishes("oci", dest=str(place), compression="uncompressed"), product, None, 1)
    assert place.read_text() == "before"
    assert os.listdir(place.parent) == ["o.tar"]
    assert [one["state"] for one in told] == ["start", "failed"]
    exports.export(engine, _wishes("oci", dest=str(place)), _product(engine, _tar("x")), None, 1)
    assert tarfile.is_tarfile(place)


def test_folder_that_was_made_goes_when_the_tree_cannot_be_read(engine: Engine, tmp_path: Path) -> None:
    product = _product(engine)

    def broken(work: Any) -> Any:
        raise PodError("no tree")

    product.view = broken
    (tmp_path / "out").mkdir()
    for dest in ("out/a/b", "out"):
        with pytest.raises(PodError, match="no tree"):
            exports.export(engine, _wishes("local", dest=str(tmp_path / dest)), product, None, 1)
        assert os.listdir(tmp_path / "out") == []
