"""core/image/prune on a real store."""

from __future__ import annotations

import os
import time

import pytest

from pod.core import statefile
from pod.core.engine import Engine
from pod.core.errors import PodError
from pod.core.image import layers, prune, pull, remove, sizes, store
from pod.core.oci import platform
from tests.unit.core.image.conftest import Built, Pusher, archive

HOST = platform.host().architecture


def an_image(engine: Engine, pusher: Pusher, tag: str, **config: object) -> store.Image:
    """One with a layer of its own and one that all share."""
    built = Built(archive(shared="s" * 5000), archive(own=tag), architecture=HOST, **config)
    return pull.pull(engine, pusher.image("team/app", tag, built))


def a_container(engine: Engine, image: store.Image, letter: str = "c") -> None:
    path = engine.paths.container(letter * 64)
    os.makedirs(path)
    statefile.write(path + "/config.json", {"version": 1, "Image": image.id})


def lines(outcome: remove.Outcome) -> list[str]:
    return [str(removal) for removal in outcome.removals]


def ids(engine: Engine) -> set[str]:
    return {image.id for image in store.list_images(engine)}


def test_prune_when_a_tag_moved_then_only_the_dangling_one_goes(engine: Engine, pusher: Pusher) -> None:
    old = an_image(engine, pusher, "v1")
    new = pull.pull(engine, pusher.image("team/app", "v1", Built(archive(shared="s" * 5000), archive(own="2"))))
    own = old.record["layers"][1]
    parts = (own["digest"], old.id, old.record["manifest"])
    blobs = sum(os.stat(engine.paths.blob(digest)).st_blocks * 512 for digest in parts)
    size = sizes.Disk(engine).tree(own["chainID"])
    outcome = prune.prune(engine)
    digest = f"{pusher.host}/team/app@{old.record['manifest']}"
    assert lines(outcome) == [f"Untagged: {digest}", f"Deleted: {old.id}", f"Deleted: {own['chainID']}"]
    assert 0 < size < outcome.reclaimed == blobs + size
    assert ids(engine) == {new.id}
    assert all(layers.is_done(engine.paths.layer(engine.idmap.key, chain)) for chain in new.chain_ids)
    assert prune.prune(engine).removals == []


def test_prune_when_all_then_those_of_containers_stay_with_all_their_names(engine: Engine, pusher: Pusher) -> None:
    used, other = an_image(engine, pusher, "used"), an_image(engine, pusher, "other")
    store.tag(engine, used.id, "second:name")
    a_container(engine, used)
    outcome = prune.prune(engine, everything=True)
    assert ids(engine) == {used.id}
    assert len(used.names(engine)) == 2
    assert f"Untagged: {pusher.host}/team/app:other" in lines(outcome)
    assert lines(outcome).count(f"Deleted: {other.id}") == 1
    index = statefile.read(engine.paths.root + "/index.json")["manifests"]
    assert {entry["digest"] for entry in index} == {used.record["manifest"]}


def test_prune_when_filtered_then_by_label_and_age(engine: Engine, pusher: Pusher) -> None:
    keep = an_image(engine, pusher, "keep", config={"Labels": {"keep": "yes", "bad": 5}})
    old = an_image(engine, pusher, "old", created="2001-01-01T00:00:00Z")
    new = an_image(engine, pusher, "new", created="2044-01-01T00:00:00Z")
    undated = an_image(engine, pusher, "undated", created="sometime")
    prune.prune(engine, ["until=24h", "label!=keep"], everything=True)
    assert ids(engine) == {keep.id, new.id}
    prune.prune(engine, ["label=keep=no"], everything=True)
    prune.prune(engine, ["label=bad"], everything=True)
    assert ids(engine) == {keep.id, new.id}
    prune.prune(engine, ["label=keep=yes"], everything=True)
    assert ids(engine) == {new.id}
    assert not {old.id, undated.id} & ids(engine)


@pytest.mark.parametrize(
    ("filters", "words"),
    [
        (["x=y"], "invalid filter 'x'"),
        (["until=soon"], "failed to parse value as time or duration"),
        (["until=1h", "until=2h"], "more than one until"),
        (["dangling=true"], r"invalid filter 'dangling=\[true false\]'"),
    ],
)
def test_prune_when_a_filter_is_bad_then_error_and_nothing_gone(
    engine: Engine, pusher: Pusher, filters: list[str], words: str
) -> None:
    image = an_image(engine, pusher, "v1")
    with pytest.raises(PodError, match=words):
        prune.check(filters, everything=True)
    with pytest.raises(PodError, match=words):
        prune.prune(engine, filters, everything=True)
    assert ids(engine) == {image.id}


def test_prune_when_a_removal_was_killed_then_what_it_left_goes_after_a_while(
    engine: Engine, pusher: Pusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = an_image(engine, pusher, "v1")
    kept = an_image(engine, pusher, "kept")
    for name in ("v1", f"@{image.record['manifest']}"):
        store.untag(engine, f"{pusher.host}/team/app{':' if name[0] != '@' else ''}{name}")
    os.unlink(engine.paths.image(image.id))
    own = image.record["layers"][1]
    layer = engine.paths.layer(engine.idmap.key, own["chainID"])
    assert prune.prune(engine).reclaimed == 0
    assert os.path.exists(engine.paths.blob(own["digest"]))
    monkeypatch.setattr(prune, "GRACE", -5.0)
    assert prune.prune(engine).reclaimed > 0
    assert not os.path.exists(engine.paths.blob(own["digest"]))
    assert not os.path.exists(layer)
    assert ids(engine) == {kept.id}
    assert all(layers.is_done(engine.paths.layer(engine.idmap.key, chain)) for chain in kept.chain_ids)
    assert all(os.path.exists(engine.paths.blob(digest)) for digest in remove.kept(engine)[0])


def test_delete_when_a_container_appears_between_then_the_image_is_put_back(
    engine: Engine, pusher: Pusher, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = an_image(engine, pusher, "v1")
    for ref in store.list_refs(engine):
        store.untag(engine, ref["name"])
    unlink = remove.unlink

    def unlink_late(path: str) -> int:
        if path == engine.paths.image(image.id):
            a_container(engine, image)
        return unlink(path)

    monkeypatch.setattr(remove, "unlink", unlink_late)
    assert remove.delete(engine, [image]).removals == []
    assert store.by_id(engine, image.id).record == image.record
    assert layers.ensure(engine, image)


def test_prune_when_there_are_hundreds_then_in_seconds(engine: Engine, pusher: Pusher) -> None:
    image = an_image(engine, pusher, "v1")
    for ref in store.list_refs(engine):
        store.untag(engine, ref["name"])
    for number in range(400):
        other = dict(image.record, id=f"sha256:{number:064x}")
        statefile.write(engine.paths.image(other["id"]), other)
    start = time.process_time()
    assert len(prune.prune(engine).removals) == 401 + 2
    assert time.process_time() - start < 2
    assert os.listdir(engine.paths.blobs) == []
