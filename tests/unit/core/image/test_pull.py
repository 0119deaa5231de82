"""pod.core.image.pull against a real registry process: what is stored, told and refused."""

from __future__ import annotations

import json
import os
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from pod.core.engine import Engine
from pod.core.errors import (
    DigestMismatch,
    ManifestUnknown,
    NoSuchImage,
    PodError,
    RegistryError,
    Unreachable,
    UsageError,
)
from pod.core.image import arrival, layers, pull, store, trash
from pod.core.oci import platform
from tests.support import tools
from tests.unit.core.image.conftest import Built, Pusher, Told, archive, digest

HOST = platform.host().architecture
OTHER = "arm64" if HOST != "arm64" else "amd64"
BASE = archive(hello="hello\n", other="x")
TOP = archive(top="top\n")


def files_of(engine: Engine) -> set[str]:
    """Everything of the store that a pull may leave, without folders and lock files."""
    found = set()
    for folder, _, names in os.walk(engine.paths.root):
        found.update(os.path.relpath(os.path.join(folder, name), engine.paths.root) for name in names)
    return {name for name in found if not name.startswith("cache/")}


def test_pull_when_new_then_layers_are_extracted_and_told_as_docker_does(
    engine: Engine, pusher: Pusher, told: Told
) -> None:
    built = Built(BASE, TOP, architecture=HOST)
    name = pusher.image("team/app", "v1", built)
    image = pull.pull(engine, name)
    assert image.id == built.id
    folders = layers.ensure(engine, image)
    assert [sorted(os.listdir(folder)) for folder in folders] == [["diff", "done", "owners"]] * 2
    assert Path(folders[0], "diff/hello").read_text() == "hello\n"
    assert Path(folders[1], "diff/top").read_text() == "top\n"
    assert told.events[0] == ("pulling", {"tag": "v1", "name": "team/app"})
    assert told.texts("digest", "digest") == [digest(built.manifest)]
    assert told.texts("status", "text") == [f"Downloaded newer image for {name}"]
    statuses = told.texts("layer", "status")
    assert statuses.count("Pulling fs layer") == statuses.count("Pull complete") == 2
    assert image.record["size"] == len(BASE) + len(TOP)


def test_pull_when_the_extraction_overtakes_then_the_download_is_told_complete_first(
    engine: Engine, pusher: Pusher, told: Told, monkeypatch: pytest.MonkeyPatch
) -> None:
    tell = arrival.Progress.tell

    def late(self: arrival.Progress, layer: dict[str, Any], status: str, current: int | None = None) -> None:
        if status == "Verifying Checksum":
            time.sleep(0.5)
        tell(self, layer, status, current)

    monkeypatch.setattr(arrival.Progress, "tell", late)
    pull.pull(engine, pusher.image("team/late", "v1", Built(BASE, architecture=HOST)))
    statuses = told.texts("layer", "status")
    words = [status for status in statuses if status != "Downloading"]
    assert words == ["Pulling fs layer", "Verifying Checksum", "Download complete", "Extracting", "Pull complete"]


def test_pull_when_again_then_up_to_date_and_nothing_new(engine: Engine, pusher: Pusher, told: Told) -> None:
    name = pusher.image("team/app", "v1", Built(BASE, architecture=HOST))
    pull.pull(engine, name)
    before = files_of(engine)
    told.events.clear()
    pull.pull(engine, name)
    assert told.texts("status", "text") == [f"Image is up to date for {name}"]
    assert told.texts("layer", "status") == []
    assert files_of(engine) == before


def test_pull_when_index_then_the_platform_and_the_index_digest(engine: Engine, pusher: Pusher, told: Told) -> None:
    mine, other = Built(BASE, architecture=HOST), Built(TOP, architecture=OTHER)
    name = pusher.index("team/app", "v1", other, mine)
    assert pull.pull(engine, name).id == mine.id
    (shown,) = told.texts("digest", "digest")
    assert shown not in (digest(mine.manifest), digest(other.manifest))
    by_digest = name.rpartition(":")[0] + "@" + shown
    assert store.resolve(engine, by_digest).id == mine.id
    assert pull.pull(engine, name, platform=f"linux/{OTHER}").id == other.id
    assert store.resolve(engine, name).id == other.id


def test_pull_when_no_platform_fits_then_says_what_there_is(engine: Engine, pusher: Pusher) -> None:
    name = pusher.index("team/app", "v1", Built(BASE, architecture=OTHER))
    with pytest.raises(RegistryError) as caught:
        pull.pull(engine, name)
    assert caught.value.message.startswith(f"no matching manifest for {platform.host()} in the manifest list entries")
    assert f"linux/{OTHER}" in str(caught.value.hint)


def test_pull_when_platform_asked_and_manifest_is_another_then_refused(engine: Engine, pusher: Pusher) -> None:
    name = pusher.image("team/app", "v1", Built(BASE, architecture=HOST))
    with pytest.raises(RegistryError, match="does not match the specified platform"):
        pull.pull(engine, name, platform=f"linux/{OTHER}")
    with pytest.raises(UsageError):
        pull.pull(engine, name, platform="linux/amd64/v1/x")


def test_pull_when_by_digest_then_no_tag_is_made(engine: Engine, pusher: Pusher, told: Told) -> None:
    built = Built(BASE, architecture=HOST)
    name = pusher.image("team/app", "v1", built)
    by_digest = f"{pusher.host}/team/app@{digest(built.manifest)}"
    assert pull.pull(engine, by_digest).id == built.id
    with pytest.raises(NoSuchImage):
        store.resolve(engine, name)
    assert store.resolve(engine, by_digest).id == built.id
    assert told.events[0][1]["tag"] == by_digest


def test_pull_when_all_tags_then_each(engine: Engine, pusher: Pusher) -> None:
    for number in range(3):
        pusher.image("team/app", f"v{number}", Built(archive(number=str(number)), architecture=HOST))
    pull.pull(engine, f"{pusher.host}/team/app", all_tags=True)
    tags = [ref["name"].rpartition(":")[2] for ref in store.list_refs(engine) if "@" not in ref["name"]]
    assert tags == ["v0", "v1", "v2"]
    with pytest.raises(UsageError, match="tag can't be used with --all-tags/-a"):
        pull.pull(engine, f"{pusher.host}/team/app:v0", all_tags=True)


def test_pull_when_policy_missing_or_never_then_the_store_decides(engine: Engine, pusher: Pusher, told: Told) -> None:
    name = pusher.image("team/app", "v1", Built(BASE, architecture=HOST))
    with pytest.raises(NoSuchImage, match="No such image"):
        pull.pull(engine, name, policy="never")
    first = pull.pull(engine, name, policy="missing")
    told.events.clear()
    assert pull.pull(engine, name, policy="missing").id == first.id
    assert pull.pull(engine, name, policy="never").id == first.id
    assert told.events == []


def test_pull_when_tag_moves_then_old_image_dangles(engine: Engine, pusher: Pusher) -> None:
    first, second = Built(BASE, architecture=HOST), Built(TOP, architecture=HOST)
    name = pusher.image("team/app", "v1", first)
    pull.pull(engine, name)
    pusher.image("team/app", "v1", second)
    assert pull.pull(engine, name).id == second.id
    assert {image.id for image in store.list_images(engine)} == {first.id, second.id}
    assert store.resolve(engine, first.id).names(engine) == []


@pytest.mark.parametrize(("name", "error"), [("none/such", ManifestUnknown), ("team/app:other", ManifestUnknown)])
def test_pull_when_unknown_then_clear_error_and_nothing_left(
    engine: Engine, pusher: Pusher, name: str, error: type[PodError]
) -> None:
    pusher.image("team/app", "v1", Built(BASE, architecture=HOST))
    with pytest.raises(error) as caught:
        pull.pull(engine, f"{pusher.host}/{name}")
    assert "not found" in caught.value.message
    assert caught.value.hint
    assert files_of(engine) == set()


def test_pull_when_nothing_listens_then_unreachable_with_hint(engine: Engine) -> None:
    with pytest.raises(Unreachable) as caught:
        pull.pull(engine, "127.0.0.1:1/app")
    assert "127.0.0.1:1: Connection refused" in caught.value.message
    assert "is the registry running" in str(caught.value.hint)


def test_pull_when_diff_id_lies_then_nothing_visible(engine: Engine, pusher: Pusher) -> None:
    built = Built(BASE, architecture=HOST)
    built.document["rootfs"]["diff_ids"] = [digest(TOP)]
    raw = json.dumps(built.document).encode()
    built.blobs[digest(raw)] = raw
    built.manifest_document["config"].update(digest=digest(raw), size=len(raw))
    name = pusher.image("team/app", "v1", built)
    with pytest.raises(DigestMismatch, match="unpacked layer is"):
        pull.pull(engine, name)
    assert store.list_images(engine) == []
    assert store.list_refs(engine) == []
    left = files_of(engine) - {"VERSION", "index.json", "oci-layout"}
    assert all(path.startswith("blobs/sha256/") and "part" not in path for path in left)


def test_pull_when_layer_counts_differ_then_refused(engine: Engine, pusher: Pusher) -> None:
    built = Built(BASE, architecture=HOST, rootfs={"type": "layers", "diff_ids": []})
    with pytest.raises(RegistryError, match="1 layers but 0 diff_ids"):
        pull.pull(engine, pusher.image("team/app", "v1", built))


def test_pull_when_windows_then_refused(engine: Engine, pusher: Pusher) -> None:
    name = pusher.image("team/app", "v1", Built(BASE, os="windows", architecture=HOST))
    with pytest.raises(RegistryError, match='operating system "windows"'):
        pull.pull(engine, name)


@pytest.mark.skopeo
def test_store_when_read_by_skopeo_then_same_digest_and_layers(engine: Engine, pusher: Pusher) -> None:
    built = Built(BASE, TOP, architecture=HOST, config={"Env": ["A=b"]})
    name = pusher.image("team/app", "v1", built)
    pull.pull(engine, name)
    store.tag(engine, name, "local:x")
    program = tools.find("skopeo")
    assert program is not None
    for shown in (name, "local:x", "docker.io/library/local:x"):
        done = subprocess.run(
            [program, "inspect", f"oci:{engine.paths.root}:{shown}"], capture_output=True, timeout=60, check=False
        )
        assert done.returncode == 0, done.stderr.decode()
        seen = json.loads(done.stdout)
        assert seen["Digest"] == digest(built.manifest)
        assert seen["Layers"] == [layer["digest"] for layer in built.manifest_document["layers"]]


def test_pull_when_layers_vanished_then_rebuilt(engine: Engine, pusher: Pusher) -> None:
    name = pusher.image("team/app", "v1", Built(BASE, architecture=HOST))
    image = pull.pull(engine, name)
    (folder,) = layers.ensure(engine, image)
    trash.discard(engine, folder, engine.idmap)
    assert layers.ensure(engine, image) == [folder]
    assert Path(folder, "diff/hello").exists()
    assert os.listdir(engine.paths.trash) == []


def test_ensure_flat_when_asked_then_one_tree_of_all_layers(engine: Engine, pusher: Pusher) -> None:
    image = pull.pull(engine, pusher.image("team/app", "v1", Built(BASE, TOP, architecture=HOST)))
    path = layers.ensure_flat(engine, image)
    assert sorted(os.listdir(path + "/diff")) == ["hello", "other", "top"]
    assert layers.ensure_flat(engine, image) == path
