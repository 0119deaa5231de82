"""Builds that are answered from a record: the same words as without it, and no answer once anything is different."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pod.core import host_doctor, rundir
from pod.core.builder import known_keep
from tests.support.podcli import Pod, Result

MARK = "told from the record"
_DOCKERFILE = """FROM BASE AS one
ARG WHO=me
RUN echo $WHO >/who
FROM BASE
COPY . /all/
COPY --from=one /who /who
WORKDIR /all
LABEL a=b
ENV password=secret
"""


class Builds:
    """A context that was built twice, so that a record of it is there."""

    def __init__(self, pod: Pod, path: Path, base: str) -> None:
        self.pod = pod
        self.path = path
        path.mkdir()
        (path / "sub").mkdir()
        (path / "sub" / "file").write_text("text 1\n")
        (path / "left-out").mkdir()
        (path / "left-out" / "file").write_text("1\n")
        (path / "link").symlink_to("sub/file")
        (path / ".dockerignore").write_text("left-out\n")
        (path / "Dockerfile").write_text(_DOCKERFILE.replace("BASE", base))

    def build(self, *flags: str, **environ: str) -> Result:
        return self.pod("build", "--network", "none", "-t", "known:1", *flags, str(self.path), env=environ)

    def records(self) -> list[Path]:
        folder = self.pod.root / "cache/builds"
        return sorted(folder.iterdir()) if folder.exists() else []

    def know(self, *flags: str, **environ: str) -> Result:
        """Builds until there is a record; the words of the last build without it."""
        before = set(self.records())
        time.sleep(0.15)
        self.build(*flags, **environ).ok()
        result = self.build(*flags, **environ)
        result.ok()
        assert len(set(self.records()) - before) == 1
        return result

    def mark(self) -> None:
        for path in self.records():
            record: dict[str, Any] = json.loads(path.read_bytes().partition(b"\n")[2])
            record["warnings"] = [MARK]
            data = json.dumps(record).encode()
            path.write_bytes(f"sha256:{hashlib.sha256(data).hexdigest()}\n".encode() + data)

    def is_known(self, *flags: str, **environ: str) -> bool:
        """Whether the next such build comes from the record."""
        self.mark()
        result = self.build(*flags, **environ)
        result.ok()
        return MARK in result.err

    def look(self, what: str) -> str:
        words = ["run", "--rm", "--network", "none", "--entrypoint", "/bin/sh", "known:1", "-c", what]
        return self.pod(*words).ok().strip()


@pytest.fixture
def builds(pod: Pod, busybox: str, tmp_path: Path) -> Builds:
    if host_doctor.file_system(str(tmp_path)) not in known_keep._LOCAL:
        pytest.skip("capability local-disk: times of files there may tell of a change too late")
    pod("pull", "-q", busybox).ok()
    shutil.rmtree(pod.root / "cache/builds", ignore_errors=True)
    return Builds(pod, tmp_path / "context", busybox)


def shown(result: Result) -> str:
    """What a build said, without the times, and without the step that took longest, which is told of slow ones."""
    return re.sub(r"; the longest took .*", "", re.sub(r"\d+\.\d+s", "0.0s", result.ok() + result.err))


def without_times(events: str) -> list[dict[str, Any]]:
    found = [json.loads(line) for line in events.splitlines() if '"image"' in line]
    return [{name: one[name] for name in one if name not in ("time", "timeNano")} for one in found]


def test_known_build_tells_writes_and_names_the_same(builds: Builds, tmp_path: Path) -> None:
    flags = ["-t", "known:2", "--iidfile", str(tmp_path / "id"), "--metadata-file", str(tmp_path / "metadata")]
    events = builds.pod.root / "events"
    first = builds.know(*flags)
    assert "SecretsUsedInArgOrEnv" in first.err  # a warning of the checks
    written = [(tmp_path / name).read_text() for name in ("id", "metadata")]
    told = without_times(events.read_text())[-2:]
    for name in ("id", "metadata"):
        (tmp_path / name).unlink()
    again = builds.build(*flags)
    assert shown(again) == shown(first)
    assert [(tmp_path / name).read_text() for name in ("id", "metadata")] == written
    assert without_times(events.read_text())[-2:] == told
    assert builds.is_known(*flags)
    builds.pod("rmi", "known:2").ok()
    builds.pod("tag", "known:1", "other:1").ok()
    assert builds.is_known(*flags)
    names = builds.pod("image", "inspect", "--format", "{{.RepoTags}}", written[0].strip()).ok()
    assert {"known:1", "known:2"} <= set(names.strip().strip("[]").split())
    index = json.loads((builds.pod.root / "index.json").read_text())
    assert any(one["annotations"]["org.opencontainers.image.ref.name"] == "known:2" for one in index["manifests"])


@pytest.mark.parametrize("how", ["-q", "--progress=rawjson", "--progress=none"])
def test_known_build_looks_as_any_build(builds: Builds, how: str) -> None:
    first = builds.know(how)
    again = builds.build(how)
    clean = re.compile(r'"(started|completed|timestamp)":\s*"[^"]*"')
    assert clean.sub("", shown(again)) == clean.sub("", shown(first))


def _same_size_and_times(path: Path) -> None:
    before = path.stat()
    with path.open("r+b") as file:
        file.write(path.read_bytes().replace(b"1", b"2"))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


CHANGES: dict[str, tuple[Callable[[Builds], object], str, str]] = {
    "file": (lambda one: _same_size_and_times(one.path / "sub/file"), "cat /all/sub/file", "text 2"),
    "new": (lambda one: (one.path / "sub/new").write_text("new\n"), "cat /all/sub/new", "new"),
    "ignored": (lambda one: (one.path / ".dockerignore").write_text("sub\n"), "ls /all/left-out", "file"),
    "beside": (lambda one: (one.path / "Dockerfile.dockerignore").write_text("l*\n"), "ls /all/sub", "file\nnew"),
    "dockerfile": (
        lambda one: (one.path / "Dockerfile").write_text((one.path / "Dockerfile").read_text().replace("=me", "=he")),
        "cat /who",
        "he",
    ),
}  # fmt: skip
"""How each is made; what then tells of it in the image."""


def test_known_build_when_the_context_changes_then_it_is_done_anew(builds: Builds) -> None:
    builds.know()
    for change, (make, what, wanted) in CHANGES.items():
        assert builds.is_known(), change
        make(builds)
        assert not builds.is_known(), change
        assert builds.look(what) == wanted
        time.sleep(0.15)
        builds.build().ok()


def test_known_build_when_what_is_ignored_changes_then_it_is_known_still(builds: Builds) -> None:
    builds.know()
    (builds.path / "left-out" / "file").write_text("2\n")
    (builds.path / "left-out" / "more").mkdir()
    assert builds.is_known()


def test_known_build_when_its_image_or_steps_are_gone_then_they_are_made_anew(builds: Builds) -> None:
    builds.know()
    builds.pod("rmi", "known:1").ok()
    assert not builds.is_known()
    assert builds.look("cat /who") == "me"
    assert builds.is_known()
    builds.pod("builder", "prune", "-f", "-a").ok()
    assert not builds.is_known()
    assert builds.is_known() or builds.is_known()  # the second is written down, the third answered
    layers = [one["digest"] for path in (builds.pod.root / "builder/cache").iterdir()
              if (one := json.loads(path.read_text())["layer"])]  # fmt: skip
    (builds.pod.root / "blobs/sha256" / layers[0][7:]).unlink()
    assert not builds.is_known()
    assert builds.look("cat /who") == "me"


def test_known_build_when_a_step_was_done_again_then_that_one_counts(builds: Builds) -> None:
    path = builds.path / "Dockerfile"
    path.write_text(path.read_text().replace("echo $WHO", "date +%s%N"))
    builds.know()
    builds.build("--no-cache", "-t", "anew").ok()
    assert not builds.is_known()
    ids = builds.pod("image", "inspect", "--format", "{{.Id}}", "known:1", "anew").ok().split()
    assert ids[0] == ids[1]


def test_known_build_when_its_base_is_another_then_it_is_done_anew(builds: Builds, busybox: str) -> None:
    path = builds.path / "Dockerfile"
    builds.pod("tag", busybox, "base:1").ok()
    path.write_text(path.read_text().replace(busybox, "base:1"))
    builds.know()
    builds.pod("tag", "known:1", "base:1").ok()
    assert not builds.is_known()
    assert builds.look("ls -d /all/sub") == "/all/sub"


def test_known_build_when_words_or_variables_differ_then_it_is_another(builds: Builds) -> None:
    builds.know("--build-arg", "WHO", WHO="you")
    assert builds.is_known("--build-arg", "WHO", WHO="you")
    for flags, environ in (
        (["--build-arg", "WHO"], {"WHO": "she"}),
        (["--build-arg", "WHO=x"], {}),
        (["--build-arg", "WHO", "--label", "c=d"], {"WHO": "you"}),
        (["--build-arg", "WHO"], {"WHO": "you", "SOURCE_DATE_EPOCH": "1"}),
        (["--build-arg", "WHO", "--pull=false"], {"WHO": "you"}),
    ):
        assert not builds.is_known(*flags, **environ), flags
    assert builds.is_known("--build-arg", "WHO", WHO="you")
    assert not builds.is_known("--build-arg", "WHO", "--no-cache-filter", "one", WHO="you")


def test_known_build_when_the_record_is_damaged_then_it_is_none(builds: Builds) -> None:
    builds.know("-q")
    (path,) = builds.records()
    whole = path.read_bytes()
    image = builds.build("-q").ok().strip()
    for data in (b"", whole[:100], whole[:-1], whole.replace(b"known:1", b"other:1"), bytes(len(whole)), b"[" * 100000):
        path.write_bytes(data)
        result = builds.build("-q")
        assert (result.ok().strip(), result.err) == (image, "")
        assert path.read_bytes() == whole, "written anew"


@pytest.mark.parametrize("folder", ["holds", "work"])
def test_known_build_when_a_killed_one_has_left_something_then_it_is_collected(builds: Builds, folder: str) -> None:
    builds.know()
    with subprocess.Popen(["true"]) as ended:
        pass
    mark = rundir.host_identity().mark
    left, held = (builds.pod.root / "builder" / folder / f"{'0' * 64}.{mark}.{pid}" for pid in (ended.pid, os.getpid()))
    left.parent.mkdir(exist_ok=True)
    left.mkdir()
    held.mkdir()  # another build, that is at work
    if folder == "holds":
        left.rmdir()
        left.touch()
    assert not builds.is_known()
    assert not left.exists()
    assert held.exists()
    assert builds.is_known()
    held.rmdir()


def test_build_of_what_may_change_unseen_is_not_noted(builds: Builds, busybox: str) -> None:
    (builds.path / "Dockerfile").write_text(f"FROM {busybox}\nCOPY sub /sub\n")
    builds.build().ok()
    (builds.path / "sub" / "file").write_text("young\n")
    builds.build().ok()
    builds.build("-f", "/dev/stdin").failed(1)
    assert builds.records() == []
