"""Readers of archives' documents and headers against what hypothesis makes up: ArchiveError, or what is sound."""

from __future__ import annotations

import contextlib
import io
import json
import os
import tarfile
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from pod.core.errors import PodError
from pod.core.image import archive_images, archive_tar, changes
from pod.core.image.archive_members import Members
from tests.support import archives, fuzzing

MOST = fuzzing.rounds(100)
fuzzed = fuzzing.fuzzed(100)
SEED = archives.tar([*archives.docker(), ("link", "aa/layer.tar"), ("n" * 200, b"long")])
NAMES = st.sampled_from(["manifest.json", "aa/layer.tar", "c.json", "../x", "", "/etc/passwd", "oci-layout"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8) | NAMES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=10,
)
ITEMS = st.fixed_dictionaries(
    {},
    optional={
        "Config": NAMES | JSON,
        "Layers": st.lists(NAMES | JSON, max_size=3) | JSON,
        "RepoTags": st.lists(st.sampled_from(["a:1", "A:1", "a@sha256:0", ":"]) | JSON, max_size=3) | JSON,
    },
)


def _members(data: bytes) -> Members:
    """The archive's members, from a file without a name."""
    fd = os.memfd_create("archive")
    os.write(fd, data)
    members = Members("made up", fd)
    try:
        members.index(archive_tar.File(fd, 0, len(data)), 0)
    except BaseException:
        os.close(fd)
        raise
    return members


@fuzzed
@given(st.lists(st.tuples(st.integers(0, len(SEED) - 1), st.integers(0, 255)), max_size=6), st.integers(0, len(SEED)))
def test_archive_when_bytes_are_changed_then_refused_or_read_inside_of_it(
    changed: list[tuple[int, int]], length: int
) -> None:
    data = bytearray(SEED)
    for place, value in changed:
        data[place] = value
    with contextlib.suppress(PodError):
        members = _members(bytes(data[: max(length, 512)]))
        try:
            for found in archive_images.images(members, []):
                assert all(name.tag for name in found.names)
        finally:
            os.close(members._fd)


@fuzzed
@given(st.lists(ITEMS, max_size=2) | JSON)
def test_manifest_json_when_made_up_then_refused_or_images(value: Any) -> None:
    content = archives.layer({"a": b"b"})
    config = archives.config(["sha256:" + archives.sha(content)])
    data = archives.tar([("aa/layer.tar", content), ("c.json", config), ("manifest.json", json.dumps(value).encode())])
    with contextlib.suppress(PodError):
        members = _members(data)
        try:
            for found in archive_images.images(members, []):
                assert json.loads(found.raw)["config"]["digest"] == "sha256:" + archives.sha(config)
        finally:
            os.close(members._fd)


@fuzzed
@given(st.text(st.sampled_from("ab/.\0é"), min_size=1, max_size=300), st.integers(0, 3000))
def test_header_when_written_by_another_then_read_the_same(name: str, size: int) -> None:
    name = name.replace("\0", "x")
    for form in (tarfile.GNU_FORMAT, tarfile.PAX_FORMAT):
        entry = tarfile.TarInfo("f" + name)
        entry.size = size
        data = entry.tobuf(form) + bytes(size + -size % 512) + bytes(1024)
        try:
            wanted = archive_tar.clean("f" + name)
        except archive_tar.ArchiveError:
            continue
        (found,) = list(archive_tar.entries(archive_tar.Pipe(io.BytesIO(data).read)))
        assert found.name == wanted
        assert found.size == size or found.kind == "other"


@fuzzed
@given(st.integers(0, 1 << 45), st.integers(1, 80))
def test_header_when_written_then_tarfile_reads_the_same(size: int, length: int) -> None:
    entry = tarfile.TarInfo.frombuf(archive_tar.header("n" * length, size), "utf-8", "strict")
    assert (entry.name, entry.size, entry.uid, entry.mtime, entry.isreg()) == ("n" * length, size, 0, 0, True)


@fuzzed
@given(
    st.sampled_from(["CMD", "ENV", "EXPOSE", "LABEL", "VOLUME", "WORKDIR", "HEALTHCHECK", "ONBUILD", "SHELL", "USER"]),
    st.text(st.sampled_from("ab=$ {}:-+'\"\\[],/0189\n\t"), max_size=24),
)
def test_change_when_made_up_then_refused_or_a_configuration(word: str, rest: str) -> None:
    config: dict[str, Any] = {"Env": ["a=1", "PATH=/bin"]}
    with contextlib.suppress(PodError):
        changes.apply(config, [f"{word} {rest}"])
        assert all("=" in one for one in config["Env"])
        json.dumps(config)
