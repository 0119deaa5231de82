"""Blobs that are not what their descriptors say, and transfers that end anywhere."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import pytest

from pod.core.engine import Engine
from pod.core.errors import RegistryError
from pod.core.image import blobs, layers, pull, store
from pod.core.registry import retry
from tests.hostile.pulling import HOST, image, layer_of, left, new_engine, refused, serve
from tests.support.scripted import Scripted
from tests.unit.core.image.conftest import MANIFEST, Built, archive

pytestmark = [pytest.mark.alike, pytest.mark.pure]


@pytest.fixture(autouse=True)
def _hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(retry, "PAUSE", 0.01)


def changed(built: Built, part: str, **members: object) -> Built:
    """The image with other members in the descriptor of its layer or its configuration."""
    document = built.manifest_document
    (document["layers"][0] if part == "layer" else document["config"]).update(members)
    return built


@pytest.mark.parametrize("part", ["layer", "config"])
@pytest.mark.parametrize("by", [-1, 1, 1000, -1000])
def test_registry_when_a_size_is_not_the_descriptors_then_refused(
    engine: Engine, server: Scripted, part: str, by: int
) -> None:
    built = image()
    document = built.manifest_document
    size = (document["layers"][0] if part == "layer" else document["config"])["size"]
    name = serve(server, changed(built, part, size=max(0, size + by)))
    refused(engine, name, " blob: ")


@pytest.mark.parametrize("size", [-1, 1 << 62, 1 << 80, 1.5, "7", None, True, [], 1e400])
def test_registry_when_a_size_is_no_size_then_refused(engine: Engine, server: Scripted, size: object) -> None:
    name = serve(server, changed(image(), "layer", size=size))
    refused(engine, name, "sensible number of bytes")


DIGESTS = [
    *("sha256:../../x", "../../../etc/passwd", "sha256:" + "../" * 21 + "x", "sha256:" + "A" * 64, "sha256:", ":", ""),
    *("sha256:" + "a" * 63, "sha256:" + "a" * 65, "sha256:" + "a" * 63 + "/", "md5:" + "a" * 32, "sha1:" + "a" * 40),
    *("sha512:" + "a" * 128, "SHA256:" + "a" * 64, "sha256+b64u:" + "a" * 64, "sha256:" + "a" * 63 + "\n", "blake3:x"),
    *("sha256:" + "a" * 32 + "\0" + "a" * 31, "sha256:" + "\uff11" * 64, 7, None, ["sha256:" + "a" * 64]),
]


@pytest.mark.parametrize("digest", DIGESTS, ids=lambda value: repr(value)[:20])
def test_registry_when_a_digest_is_none_that_is_known_then_refused_and_nothing_asked(
    engine: Engine, server: Scripted, digest: object
) -> None:
    for part in ("layer", "config"):
        refused(engine, serve(server, changed(image(), part, digest=digest)), "manifest: ")
        assert server.requests("/blobs/") == []
        server.clear()


@pytest.mark.parametrize("where", [0, 20, -9, -1])
@pytest.mark.parametrize("part", ["layer", "config"])
def test_registry_when_a_byte_is_flipped_then_refused(engine: Engine, server: Scripted, part: str, where: int) -> None:
    built = image()
    name = serve(server, built)
    server.rules({"path": layer_of(built) if part == "layer" else built.id, "flip": where})
    refused(engine, name, "verify blob")
    assert not blobs.has(engine, layer_of(built) if part == "layer" else built.id)


def test_registry_when_the_diff_id_is_anothers_then_refused(engine: Engine, server: Scripted) -> None:
    """The blob is what the manifest says, its content is not what the configuration says."""
    other = Built(archive(b="2"), architecture=HOST)
    built = Built(archive(a="1"), architecture=HOST, rootfs=other.document["rootfs"])
    refused(engine, serve(server, built), "", keeps=True)


def regions(size: int) -> list[int]:
    """The first bytes, borders of reads, the middle, the last ones."""
    return [0, 1, 10, 65536, 262143, size // 2, size - 8, size - 1]


def test_registry_when_the_connection_is_cut_anywhere_then_the_pull_is_whole(tmp_path: Path, server: Scripted) -> None:
    text = os.urandom(300_000).hex()
    built = image(big=text)
    name = serve(server, built)
    size = len(built.blobs[layer_of(built)])
    for cut in regions(size):
        engine = new_engine(tmp_path / str(cut))
        server.rules({"path": layer_of(built), "cut": cut, "times": 1})
        server.forget()
        (folder,) = layers.ensure(engine, pull.pull(engine, name))
        assert Path(folder, "diff/big").read_text() == text
        ranges = [entry["headers"].get("Range") for entry in server.requests(layer_of(built))]
        assert ranges == [None, f"bytes={cut}-" if cut else None], cut
        assert not any(".part-" in path for path in left(engine))


def test_registry_when_the_manifest_is_cut_anywhere_then_asked_again(tmp_path: Path, server: Scripted) -> None:
    built = image()
    name = serve(server, built)
    for cut in (0, 1, len(built.manifest) // 2, len(built.manifest) - 1):
        server.rules({"path": "/manifests/", "cut": cut, "times": 1})
        assert pull.pull(new_engine(tmp_path / str(cut)), name)


def test_registry_when_it_goes_on_with_other_content_then_refused_and_all_of_it_goes(
    engine: Engine, server: Scripted
) -> None:
    """The first half of one blob, the second half of another: never kept."""
    built = image(big=os.urandom(2_000_000).hex())
    name = serve(server, built)
    server.rules({"path": layer_of(built), "cut": 1_500_000, "times": 1}, {"path": layer_of(built), "flip": -5})
    refused(engine, name, "verify blob")
    assert not any(".part-" in path for path in left(engine))
    server.rules()
    assert pull.pull(engine, name)


@pytest.mark.parametrize("mode", ["ignore", "lie", "refuse"])
def test_registry_when_it_will_not_go_on_where_it_was_then_from_the_start(
    engine: Engine, server: Scripted, mode: str
) -> None:
    built = image(big=os.urandom(300_000).hex())
    name = serve(server, built)
    server.rules({"path": layer_of(built), "cut": 200_000, "times": 1}, {"path": "/blobs/", "range": mode})
    assert pull.pull(engine, name)


def test_registry_when_every_transfer_is_cut_at_once_then_an_end(engine: Engine, server: Scripted) -> None:
    built = image(big=os.urandom(300_000).hex())
    name = serve(server, built)
    server.rules({"path": layer_of(built), "cut": 0})
    refused(engine, name, "read answer", seconds=15)
    assert len(server.requests(layer_of(built))) == retry.ATTEMPTS


def test_registry_when_a_tag_is_said_to_be_what_the_store_has_then_only_what_it_has(
    engine: Engine, server: Scripted
) -> None:
    """HEAD lies about the digest: a layer's, one of nobody's, none."""
    built = image()
    name = serve(server, built)
    pull.pull(engine, name)
    other = image(other="2")
    server.image("team/app:v1", other.manifest, other.blobs, MANIFEST)
    for said in (layer_of(built), "sha256:" + "0" * 64, "sha256:../../x", "\x1b"):
        server.rules({"method": "HEAD", "path": "/manifests/", "headers": {"Docker-Content-Digest": said}})
        # A layer's blob is no manifest: that is the only failure.
        with pytest.raises(RegistryError) if said == layer_of(built) else contextlib.nullcontext():
            pull.pull(engine, name)
        assert {found.id for found in store.list_images(engine)} <= {built.id, other.id}
