"""core/image/listing and filters on a real store."""

from __future__ import annotations

import os
import time

import pytest

from pod.core import statefile
from pod.core.engine import Engine
from pod.core.errors import NoSuchImage, PodError
from pod.core.image import listing, pull, store
from pod.core.oci import platform
from tests.unit.core.image.conftest import Built, Pusher, archive, digest

HOST = platform.host().architecture



@pytest.fixture
def built() -> Built:
    return Built(archive(one="1"), archive(two="2"), architecture=HOST, config={"Labels": {"team": "x", "odd": 5}})


@pytest.fixture
def name(engine: Engine, pusher: Pusher, built: Built) -> str:
    reference = pusher.image("team/app", "v1", built)
    pull.pull(engine, reference)
    return reference


def shown(engine: Engine, *filters: str) -> list[str]:
    return [f"{entry.repository}:{entry.tag}" for entry in listing.entries(engine, filters)]


def test_entries_when_filtered_then_as_docker(engine: Engine, name: str, pusher: Pusher, built: Built) -> None:
    store.tag(engine, name, "busybox:1.36")
    store.tag(engine, name, "team/busybox:x")
    newer = Built(archive(z="z"), architecture=HOST, created="2025-01-01T00:00:00Z")
    pull.pull(engine, pusher.image("team/new", "v1", newer))
    other = f"{pusher.host}/team/new:v1"
    assert shown(engine)[0] == other
    assert set(shown(engine)) == {other, name, "busybox:1.36", "team/busybox:x"}
    assert shown(engine, "reference=busybox") == ["busybox:1.36"]
    assert shown(engine, "reference=*:1.36") == ["busybox:1.36"]
    assert shown(engine, "reference=*/busybox") == ["team/busybox:x"]
    assert shown(engine, "reference=b[a-u]sy*") == ["busybox:1.36"]
    assert shown(engine, "label=team=x", "reference=busybox:*") == ["busybox:1.36"]
    assert shown(engine, "label=none") == []
    assert shown(engine, "before=" + other, "reference=busybox") == ["busybox:1.36"]
    assert shown(engine, "since=busybox:1.36") == [other]
    assert shown(engine, "dangling=true") == []
    for entry in listing.entries(engine, ["reference=*/team/app"], digests=True):
        assert entry.digest == digest(built.manifest)


def test_entries_when_dangling_then_none(engine: Engine, name: str, built: Built) -> None:
    for ref in store.list_refs(engine):
        store.untag(engine, ref["name"])
    assert shown(engine) == ["<none>:<none>"]
    assert shown(engine, "dangling=true") == ["<none>:<none>"]
    assert shown(engine, "dangling=false") == []


@pytest.mark.parametrize("text", ["x", "x=y", "dangling=maybe", "until=soon", "reference=[a", "reference=a\\"])
def test_entries_when_filter_is_bad_then_error(engine: Engine, name: str, text: str) -> None:
    with pytest.raises(PodError, match="invalid filter"):
        listing.entries(engine, [text])


def test_entries_when_a_repository_has_digests_alone_then_a_row_without_tag(
    engine: Engine, name: str, built: Built
) -> None:
    store.untag(engine, store.list_refs(engine)[0]["name"])
    (entry,) = listing.entries(engine)
    assert (entry.repository, entry.tag, entry.digest) == (name.rpartition(":")[0], "<none>", "<none>")
    (entry,) = listing.entries(engine, digests=True)
    assert entry.digest == digest(built.manifest)
    assert shown(engine, "dangling=true") == shown(engine, "dangling=false") == shown(engine)


def test_entries_when_two_digests_lead_to_one_image_then_digests_are_rows(
    engine: Engine, pusher: Pusher, name: str, built: Built
) -> None:
    pull.pull(engine, pusher.index("team/app", "v2", built))
    repository = name.rpartition(":")[0]
    assert sorted(shown(engine)) == [f"{repository}:v1", f"{repository}:v2"]
    rows = [(entry.tag, entry.digest) for entry in listing.entries(engine, digests=True)]
    assert len(rows) == len(set(rows)) == 4


def test_entries_when_times_have_zones_then_compared_as_times(engine: Engine, pusher: Pusher) -> None:
    times = {
        "b": "2024-01-31T12:00:00+02:00", "c": "2024-01-31T11:00:00.5Z", "a": "2024-01-31T07:00:00-02:00",
        "d": "2024-01-31T11:00:00.499999999Z", "bad": "2024-99-31T12:00:00Z", "worse": "\x1b[2J",
    }  # fmt: skip
    for tag, created in times.items():
        pull.pull(engine, pusher.image("t", tag, Built(archive(tag=tag), architecture=HOST, created=created)))
    tags = [entry.tag for entry in listing.entries(engine)]
    assert tags[:4] == ["c", "d", "b", "a"]
    assert sorted(tags[4:]) == ["bad", "worse"]
    host = pusher.host
    assert [entry.tag for entry in listing.entries(engine, [f"since={host}/t:b"])] == ["c", "d"]
    before = [entry.tag for entry in listing.entries(engine, [f"before={host}/t:b", f"before={host}/t:d"])]
    assert sorted(before) == ["a", "bad", "worse"]
    assert "c" not in [entry.tag for entry in listing.entries(engine, ["until=2024-01-31T11:00:00.499999999Z"])]
    assert "d" in [entry.tag for entry in listing.entries(engine, ["until=2024-01-31T11:00:00.499999999Z"])]


def test_entries_when_labels_are_asked_for_then_all_must_hold(engine: Engine, name: str) -> None:
    assert shown(engine, "label=team", "label=team=x") == shown(engine)
    assert shown(engine, "label=team", "label=team=y") == []
    assert shown(engine, "label=odd") == []
    assert shown(engine, "label!=team") == []
    assert shown(engine, "label!=team=y") == shown(engine)


@pytest.mark.parametrize("text", ["before=none", "since=none:1"])
def test_entries_when_the_image_to_compare_with_is_unknown_then_error(engine: Engine, name: str, text: str) -> None:
    with pytest.raises(NoSuchImage, match="No such image: none:"):
        listing.entries(engine, [text])


def test_entries_when_there_are_500_then_quick_and_no_blob_is_read(
    engine: Engine, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    image = store.resolve(engine, name)
    for number in range(500):
        other = dict(image.record, id=f"sha256:{number:064x}")
        statefile.write(engine.paths.image(other["id"]), other)
        for suffix in (f":{number}", f"@sha256:{number:064x}"):
            ref = {"version": 1, "name": "docker.io/t/t" + suffix, "digest": other["manifest"], "image": other["id"]}
            statefile.write(engine.paths.ref(ref["name"]), ref)
    opened = []
    really = os.open

    def watch(path: str, *arguments: int) -> int:
        opened.append(path)
        return really(path, *arguments)

    monkeypatch.setattr(os, "open", watch)
    start = time.process_time()
    assert len(listing.entries(engine)) == 501
    assert time.process_time() - start < 0.5
    assert not [path for path in opened if path.startswith(engine.paths.blobs)]
    assert len(opened) == 3 * 501


def test_shared_when_a_layer_is_in_two_images_then_its_bytes(engine: Engine, pusher: Pusher, name: str) -> None:
    one = archive(one="1")
    other = pull.pull(engine, pusher.image("team/other", "v1", Built(one, archive(x="y"), architecture=HOST)))
    shared = listing.shared(engine)
    assert shared == {other.id: len(one), store.resolve(engine, name).id: len(one)}
