"""--cache-to and --cache-from: steps that another store has done; and caches of strangers."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.podcli import Pod, Result
from tests.support.registry import Registry

INLINE = "io.pod.build.cache"


class Project:
    """Two steps, and a stage that only a file is taken from."""

    def __init__(self, path: Path, base: str) -> None:
        self.path = path
        self.base = base
        path.mkdir()
        (path / "file").write_text("content\n")
        (path / "Dockerfile").write_text(
            f"FROM {base} AS helper\nRUN echo helped >/helped\nFROM {base}\nRUN echo made >/made\n"
            "COPY --from=helper /helped /helped\nCOPY file /file\n"
        )

    def build(self, pod: Pod, *flags: str) -> Result:
        words = ("build", "--progress", "plain", "--network", "none", "-t", "built:1", *flags, str(self.path))
        return pod(*words, timeout=120)


@pytest.fixture
def project(busybox: str, pod: Pod, fresh_pod: Pod, tmp_path: Path) -> Project:
    for each in (pod, fresh_pod):
        each("pull", "-q", busybox).ok()
        each("builder", "prune", "-af").ok()
    return Project(tmp_path / "project", busybox)


def cached(result: Result) -> int:
    result.ok()
    return result.err.count(" CACHED\n")


def works(pod: Pod) -> None:
    read = ("run", "--rm", "--network", "none", "built:1", "cat", "/made", "/helped", "/file")
    assert pod(*read).ok() == "made\nhelped\ncontent\n"


@pytest.mark.parametrize(("mode", "count"), [("min", 3), ("max", 4)])
def test_local_cache_when_another_store_reads_it_then_its_steps_are_known(
    pod: Pod, fresh_pod: Pod, project: Project, tmp_path: Path, mode: str, count: int
) -> None:
    folder = tmp_path / "cache"
    to = ("--cache-to", f"type=local,dest={folder},mode={mode}")
    assert cached(project.build(pod, *to)) == 0
    assert sorted(os.listdir(folder)) == ["blobs", "pod-cache.json"]
    assert cached(project.build(pod, *to)) == 4  # again, over what is there
    assert cached(project.build(fresh_pod, "--cache-from", f"type=local,src={folder}")) == count
    works(fresh_pod)
    ids = {each("images", "-q", "--no-trunc", "built:1").ok() for each in (pod, fresh_pod)}
    assert len(ids) == 1
    assert cached(project.build(fresh_pod)) == 4  # and then they are its own


def test_inline_cache_when_another_store_has_the_image_then_its_steps_are_known(
    pod: Pod, fresh_pod: Pod, project: Project, tmp_path: Path
) -> None:
    (project.path / "Dockerfile").write_text(
        (project.path / "Dockerfile").read_text().partition("\n")[2].partition("\n")[2].replace("COPY --from", "#")
    )
    project.build(pod, "--cache-to", "type=inline").ok()
    pod("save", "-o", str(tmp_path / "image.tar"), "built:1").ok()
    fresh_pod("load", "-i", str(tmp_path / "image.tar")).ok()
    fresh_pod("tag", "built:1", "before:1").ok()
    assert cached(project.build(fresh_pod, "--cache-from", "before:1")) == 2
    read = ("run", "--rm", "--network", "none", "built:1", "cat", "/made", "/file")
    assert fresh_pod(*read).ok() == "made\ncontent\n"
    (project.path / "Dockerfile").write_text("FROM before:1\nLABEL a=b\n")
    out = tmp_path / "other"
    words = ("--network", "none", "-o", f"type=oci,tar=false,dest={out}", str(project.path))
    fresh_pod("build", "-q", *words).ok()
    texts = [path.read_bytes() for path in (out / "blobs/sha256").iterdir() if path.stat().st_size < 65536]
    assert any(b'"a":"b"' in text for text in texts)
    assert not any(INLINE.encode() in text for text in texts)  # an image on that one has none


@pytest.mark.parametrize(("mode", "count"), [("min", 3), ("max", 5)])
def test_registry_cache_when_another_store_reads_it_then_its_steps_are_known(
    pod: Pod, fresh_pod: Pod, project: Project, writable_registry: Registry, mode: str, count: int
) -> None:
    place = writable_registry.name("project:cache")
    file = project.path / "Dockerfile"
    file.write_text(file.read_text().replace("/helped\nFROM", "/helped\nCOPY file /file\nFROM"))  # the same layer twice
    before = pod("images", "-aq").ok()
    for again in range(2):
        result = project.build(pod, "--cache-to", f"type=registry,ref={place},mode={mode}")
        assert cached(result) == (5 if again else 0)
    pod("rmi", "built:1").ok()
    assert pod("images", "-aq").ok() == before  # no image of the cache stays
    assert cached(project.build(fresh_pod, "--cache-from", f"type=registry,ref={place}")) == count
    works(fresh_pod)
    fresh_pod("rmi", place).ok()
    fresh_pod("builder", "prune", "-af").ok()
    assert cached(project.build(fresh_pod, "--cache-from", place)) == count
    works(fresh_pod)


def test_registry_cache_when_it_cannot_be_sent_then_that_is_an_error_unless_ignored(pod: Pod, project: Project) -> None:
    to = "type=registry,ref=127.0.0.1:1/project:cache"
    project.build(pod, "--cache-to", to).failed(1, "--cache-to: ", "127.0.0.1:1")
    images = pod("images", "-aq").ok()
    result = project.build(pod, "--cache-to", to + ",ignore-error=true")
    result.ok()
    assert "--cache-to: " in result.err
    pod("rmi", "built:1").ok()
    assert pod("images", "-aq").ok() == images


@pytest.mark.parametrize("what", ["changed", "short", "link", "fifo", "missing"])
def test_local_cache_when_a_layer_is_not_what_it_says_then_the_step_is_done(
    pod: Pod, fresh_pod: Pod, project: Project, tmp_path: Path, what: str
) -> None:
    text = f"FROM {project.base}\nRUN cat /proc/sys/kernel/random/uuid >/made\nCOPY file /file\n"  # never the same
    (project.path / "Dockerfile").write_text(text)
    folder = tmp_path / "cache"
    project.build(pod, "--cache-to", f"type=local,dest={folder}").ok()
    (tmp_path / "outside").write_bytes(b"x" * 10)
    for path in (folder / "blobs/sha256").iterdir():
        data = bytearray(path.read_bytes())
        path.unlink()
        data[len(data) // 2] ^= 1
        if what in ("changed", "short"):
            path.write_bytes(data if what == "changed" else data[:-1])
        elif what == "link":
            path.symlink_to(tmp_path / "outside")
        elif what == "fifo":
            os.mkfifo(path)
    result = project.build(fresh_pod, "--cache-from", f"type=local,src={folder}")
    assert cached(result) == 0
    assert f"cache {folder}" in result.err
    assert fresh_pod("run", "--rm", "--network", "none", "built:1", "cat", "/file").ok() == "content\n"


STEP = {"key": "a" * 64, "digest": f"sha256:{'b' * 64}", "size": 1, "created": "2026-01-01T00:00:00Z"}
STEP["description"] = "RUN true"


@pytest.mark.parametrize(
    "text",
    [
        "", "[]", "{", '{"version":1}', '{"version":2,"steps":[]}', "[" * 100_000, '{"version":1,"steps":[1]}',
        *(json.dumps({"version": 1, "steps": [{**STEP, name: wrong}]}) for name, wrong in [
            ("key", "../../../etc/passwd"), ("digest", "sha256:../../x"), ("digest", f"md5:{'b' * 64}"), ("size", -1),
            ("size", True), ("size", 1e99), ("created", "never"), ("created", 7), ("description", None),
        ]),
        json.dumps({"version": 1, "steps": [STEP] * 20_000}),
    ],
    ids=range(17),
)  # fmt: skip
def test_local_cache_when_its_file_is_damaged_then_that_is_told_and_the_build_goes_on(
    pod: Pod, tmp_path: Path, text: str
) -> None:
    (tmp_path / "cache").mkdir()
    (tmp_path / "cache/pod-cache.json").write_text(text)
    (tmp_path / "Dockerfile").write_text("FROM scratch\nLABEL a=b\n")
    flag = f"type=local,src={tmp_path}/cache"
    result = pod("build", "--progress", "plain", "--cache-from", flag, str(tmp_path))
    result.ok()
    assert f"--cache-from {tmp_path}/cache: " in result.err
    assert "Traceback" not in result.err


def test_caches_when_they_are_not_there_then_that_is_told(pod: Pod, project: Project, tmp_path: Path) -> None:
    result = project.build(pod, "--cache-from", f"type=local,src={tmp_path}/none")
    assert cached(result) == 0
    assert "no such file" in result.err.lower()
    result = project.build(pod, "--cache-from", "built:1")
    assert cached(result) == 4
    assert "has no cache in it" in result.err
    (tmp_path / "file").write_text("")
    failed = project.build(pod, "--cache-to", f"type=local,dest={tmp_path}/file")
    failed.failed(1, "--cache-to", "not a directory")
