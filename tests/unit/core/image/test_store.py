"""pod.core.image.store, inspect and remove on a real store."""

from __future__ import annotations

import os
import time

import pytest

from pod.core import moments, statefile
from pod.core.engine import Engine
from pod.core.errors import Conflict, ImageInUse, InvalidReference, NoSuchImage, StoreCorrupt
from pod.core.image import blobs, filters, inspect, pull, remove, store
from pod.core.oci import platform
from tests.unit.core.image.conftest import Built, Pusher, archive, digest

HOST = platform.host().architecture


def never(_: str) -> bool:
    return False


def always(_: str) -> bool:
    return True


def lines(removals: list[remove.Removal]) -> list[str]:
    return [str(removal) for removal in removals]


@pytest.fixture
def built() -> Built:
    config = {"Env": ["A=b"], "Cmd": ["sh"], "Labels": {"team": "x"}, "ExposedPorts": {"80/tcp": {}}}
    return Built(archive(one="1"), archive(two="2"), architecture=HOST, config=config)


@pytest.fixture
def name(engine: Engine, pusher: Pusher, built: Built) -> str:
    reference = pusher.image("team/app", "v1", built)
    pull.pull(engine, reference)
    return reference


def test_resolve_when_name_id_prefix_or_digest_then_the_image(engine: Engine, name: str, built: Built) -> None:
    by_digest = name.rpartition(":")[0] + "@" + digest(built.manifest)
    with_tag = name + "@" + digest(built.manifest)
    for text in (name, built.id, built.id[7:], built.id[7:19], built.id[7:9], built.id[:15], by_digest, with_tag):
        assert store.resolve(engine, text).id == built.id, text


@pytest.mark.parametrize("text", ["none", "none:x", "0" * 64, "sha256:" + "0" * 64, "a/" * 100 + "b", "pod.local/none"])
def test_resolve_when_unknown_then_no_such_image(engine: Engine, text: str) -> None:
    with pytest.raises(NoSuchImage, match="No such image: "):
        store.resolve(engine, text)


def test_resolve_when_unknown_short_name_then_docker_text(engine: Engine) -> None:
    with pytest.raises(NoSuchImage) as caught:
        store.resolve(engine, "none")
    assert caught.value.message == "No such image: none:latest"


@pytest.mark.parametrize("text", ["", "UPPER", "a b", "../x", "/etc/passwd", "x@sha256:zz"])
def test_resolve_when_not_a_reference_then_invalid(engine: Engine, text: str) -> None:
    with pytest.raises(InvalidReference):
        store.resolve(engine, text)


def test_resolve_when_prefix_fits_two_then_ambiguous(engine: Engine, name: str, built: Built) -> None:
    other = built.id[7:12] + "f" * 59
    statefile.write(f"{engine.paths.images}/{other}", {"version": 1, "id": "sha256:" + other, "layers": []})
    with pytest.raises(Conflict, match="ambiguous"):
        store.resolve(engine, built.id[7:12])


def test_resolve_when_name_looks_like_an_id_then_the_name(engine: Engine, name: str, built: Built) -> None:
    store.tag(engine, name, "cafe")
    assert store.resolve(engine, "cafe").id == built.id


def test_resolve_when_known_then_fast(engine: Engine, name: str) -> None:
    store.resolve(engine, name)
    began = time.process_time()
    for _ in range(200):
        store.resolve(engine, name)
    assert (time.process_time() - began) / 200 < 0.002


def test_resolve_when_record_is_damaged_then_store_corrupt(engine: Engine, name: str, built: Built) -> None:
    path = engine.paths.image(built.id)
    for text in (b"{", b"[]", b'{"version": 1, "id": "sha256:x"}', b""):
        statefile.write_bytes(path, text)
        with pytest.raises(StoreCorrupt):
            store.resolve(engine, name)


def test_resolve_when_short_name_has_an_alias_then_found(engine: Engine, name: str, built: Built) -> None:
    folder = engine.environ["HOME"] + "/.config/containers"
    os.makedirs(folder)
    with open(folder + "/registries.conf", "w") as file:
        file.write(f'[aliases]\n"quick" = "{name.rpartition(":")[0]}"\n')
    later = Engine(engine.environ, root=engine.paths.root)
    assert store.resolve(later, "quick:v1").id == built.id
    with pytest.raises(NoSuchImage):
        store.resolve(later, "quick:v2")


def test_config_when_read_then_whole_document(engine: Engine, name: str, built: Built) -> None:
    image = store.resolve(engine, name)
    assert image.config(engine) == built.document
    os.unlink(engine.paths.blob(image.id))
    with pytest.raises(StoreCorrupt, match="missing"):
        image.config(engine)


def test_config_when_the_image_was_removed_meanwhile_then_no_such_image(engine: Engine, name: str) -> None:
    image = store.resolve(engine, name)
    remove.remove(engine, name, force=False, is_running=never)
    with pytest.raises(NoSuchImage, match=f"No such image: {image.id}"):
        image.config(engine)
    assert filters.labels(engine, image) == {}


def test_config_when_removed_and_pulled_again_meanwhile_then_whole_document(
    engine: Engine, name: str, built: Built, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = store.resolve(engine, name)
    read = statefile.read_bytes
    missed: list[str] = []

    def late(path: str, limit: int) -> bytes:
        if not missed:
            missed.append(path)
            raise FileNotFoundError(path)
        return read(path, limit)

    monkeypatch.setattr(statefile, "read_bytes", late)
    assert image.config(engine) == built.document
    assert missed == [engine.paths.blob(image.id)]


def test_tag_when_digest_or_bad_then_refused(engine: Engine, name: str) -> None:
    with pytest.raises(InvalidReference, match="refusing to create a tag with a digest"):
        store.tag(engine, name, "x@sha256:" + "0" * 64)
    with pytest.raises(InvalidReference):
        store.tag(engine, name, "X")
    with pytest.raises(InvalidReference, match="too long for a file name"):
        store.tag(engine, name, "a/" * 100 + "a")
    with pytest.raises(NoSuchImage):
        store.tag(engine, "none", "x")


def test_document_when_inspected_then_dockers_keys(engine: Engine, name: str, built: Built) -> None:
    store.tag(engine, name, "busybox")
    shown = inspect.document(engine, store.resolve(engine, name))
    assert shown["Id"] == built.id
    assert sorted(shown["RepoTags"]) == sorted(["busybox:latest", name])
    assert shown["RepoDigests"] == [name.rpartition(":")[0] + "@" + digest(built.manifest)]
    assert shown["Config"]["Env"] == ["A=b"]
    assert shown["Config"]["Entrypoint"] is None
    assert shown["Config"]["ExposedPorts"] == {"80/tcp": {}}
    assert shown["RootFS"] == {"Type": "layers", "Layers": built.document["rootfs"]["diff_ids"]}
    assert shown["Created"] == "2024-01-31T12:00:00Z"
    assert (shown["Architecture"], shown["Os"]) == (HOST, "linux")
    tagged = os.stat(engine.paths.ref("docker.io/library/busybox:latest")).st_mtime_ns
    assert moments.instant(shown["Metadata"]["LastTagTime"]) == tagged


def test_remove_when_last_name_then_all_is_gone(engine: Engine, name: str, built: Built) -> None:
    removed = lines(remove.remove(engine, name, force=False, is_running=never))
    repository = name.rpartition(":")[0]
    assert removed[:3] == [
        f"Untagged: {name}",
        f"Untagged: {repository}@{digest(built.manifest)}",
        f"Deleted: {built.id}",
    ]
    assert len(removed) == 5
    assert os.listdir(engine.paths.blobs) == []
    assert os.listdir(engine.paths.layers(engine.idmap.key)) == []
    assert os.listdir(engine.paths.trash) == []
    assert statefile.read(engine.paths.root + "/index.json")["manifests"] == []


def test_remove_when_index_was_pulled_then_it_goes_too(engine: Engine, pusher: Pusher, built: Built) -> None:
    reference = pusher.index("team/many", "v1", built, Built(archive(x="y"), architecture="s390x"))
    pull.pull(engine, reference)
    remove.remove(engine, reference, force=False, is_running=never)
    assert os.listdir(engine.paths.blobs) == []


def test_remove_when_other_names_then_only_untagged(engine: Engine, name: str, built: Built) -> None:
    store.tag(engine, name, "other")
    assert lines(remove.remove(engine, "other", force=False, is_running=always)) == ["Untagged: other:latest"]
    assert store.resolve(engine, name).id == built.id


def test_remove_when_by_id_and_several_repositories_then_needs_force(engine: Engine, name: str, built: Built) -> None:
    store.tag(engine, name, "other")
    with pytest.raises(ImageInUse, match=r"must be forced.*multiple repositories"):
        remove.remove(engine, built.id[7:19], force=False, is_running=never)
    removed = lines(remove.remove(engine, built.id[7:19], force=True, is_running=never))
    assert removed.count(f"Deleted: {built.id}") == 1
    assert store.list_images(engine) == []


def test_remove_when_another_image_shares_a_layer_then_it_stays(
    engine: Engine, pusher: Pusher, name: str, built: Built
) -> None:
    shared = Built(archive(one="1"), archive(three="3"), architecture=HOST)
    other = pusher.image("team/other", "v1", shared)
    pull.pull(engine, other)
    remove.remove(engine, name, force=False, is_running=never)
    image = store.resolve(engine, other)
    assert all(blobs.has(engine, layer["digest"], layer["size"]) for layer in image.record["layers"])
    assert len(os.listdir(engine.paths.layers(engine.idmap.key))) == 2


@pytest.fixture
def container(engine: Engine, name: str, built: Built) -> str:
    path = engine.paths.container("c" * 64)
    os.makedirs(path)
    statefile.write(path + "/config.json", {"version": 1, "Image": built.id})
    return "c" * 64


def test_remove_when_container_uses_it_then_conflict(engine: Engine, name: str, built: Built, container: str) -> None:
    with pytest.raises(ImageInUse, match=r"\(must force\) - container cccccccccccc is using"):
        remove.remove(engine, name, force=False, is_running=never)
    with pytest.raises(ImageInUse, match="being used by stopped container cccccccccccc"):
        remove.remove(engine, built.id, force=False, is_running=never)
    with pytest.raises(ImageInUse, match=r"cannot be forced.*running container cccccccccccc"):
        remove.remove(engine, built.id, force=True, is_running=always)
    assert store.resolve(engine, name).id == built.id


def test_remove_when_forced_with_a_container_then_layers_stay(
    engine: Engine, name: str, built: Built, container: str
) -> None:
    removed = lines(remove.remove(engine, name, force=True, is_running=always))
    assert all(line.startswith("Untagged: ") for line in removed)
    assert store.resolve(engine, built.id).names(engine) == []
