"""save and load: round trips, what they print, what archives of others are."""

from __future__ import annotations

import bz2
import gzip
import hashlib
import io
import json
import lzma
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import pytest

from tests.support import archives
from tests.support.podcli import Pod


@pytest.fixture
def saved(pod: Pod, busybox: str, tmp_path: Path) -> Path:
    """busybox as a docker-archive under the name "bb:1"."""
    pod("tag", busybox, "bb:1").ok()
    pod("save", "-o", str(tmp_path / "bb.tar"), "bb:1").ok()
    pod("rmi", "bb:1").ok()
    return tmp_path / "bb.tar"


def _members(path: Path) -> dict[str, bytes]:
    found = {}
    with tarfile.open(path) as archive:
        for entry in archive:
            content = archive.extractfile(entry)
            if content is not None:
                found[entry.name] = content.read()
    return found


def _blob(members: dict[str, bytes], digest: str) -> Any:
    return json.loads(members["blobs/sha256/" + digest[7:]])


def test_save_when_docker_archive_then_as_docker_writes_it(pod: Pod, busybox: str, saved: Path) -> None:
    members = _members(saved)
    (item,) = json.loads(members["manifest.json"])
    image = pod.inspect(busybox)
    assert item["Config"] == "blobs/sha256/" + image["Id"][7:]
    assert item["RepoTags"] == ["bb:1"]
    assert item["Layers"] == ["blobs/sha256/" + layer[7:] for layer in image["RootFS"]["Layers"]]
    for name, content in members.items():
        if name.startswith("blobs/"):
            assert name.rpartition("/")[2] == hashlib.sha256(content).hexdigest()
    (entry,) = json.loads(members["index.json"])["manifests"]
    assert entry["annotations"] == {
        "io.containerd.image.name": "docker.io/library/bb:1",
        "org.opencontainers.image.ref.name": "1",
    }
    assert _blob(members, entry["digest"])["config"]["digest"] == image["Id"]
    assert json.loads(members["oci-layout"]) == {"imageLayoutVersion": "1.0.0"}
    assert json.loads(members["repositories"]) == {"bb": {"1": image["RootFS"]["Layers"][-1][7:]}}


def test_save_when_written_to_stdout_then_the_same_bytes(pod: Pod, busybox: str, saved: Path) -> None:
    pod("tag", busybox, "bb:1").ok()
    process = pod.start("save", "bb:1")
    out, err = process.communicate(timeout=60)
    pod("rmi", "bb:1").ok()
    assert process.returncode == 0, err
    assert out == saved.read_bytes()


def test_save_when_oci_then_manifest_and_layers_keep_their_bytes(pod: Pod, busybox: str, tmp_path: Path) -> None:
    pod("save", "--format", "oci-archive", "-o", str(tmp_path / "a.tar"), busybox).ok()
    pod("save", "--format", "oci-dir", "-o", str(tmp_path / "a"), busybox).ok()
    members = _members(tmp_path / "a.tar")
    (entry,) = json.loads(members["index.json"])["manifests"]
    pulled = json.loads((pod.root / "index.json").read_text())["manifests"]
    assert entry["digest"] in [one["digest"] for one in pulled]
    for name, content in members.items():
        assert (tmp_path / "a" / name).read_bytes() == content
        if name.startswith("blobs/"):
            assert (pod.root / name).read_bytes() == content


@pytest.mark.parametrize("kind", ["gzip", "zstd"])
def test_save_when_compressed_then_load_has_the_same_image(
    pod: Pod, fresh_pod: Pod, busybox: str, saved: Path, tmp_path: Path, kind: str
) -> None:
    assert fresh_pod("load", "-i", str(saved)).ok() == "Loaded image: bb:1\n"
    path = str(tmp_path / "c.tar")
    fresh_pod("save", "--format", "oci-archive", "--compress", kind, "-o", path, "bb:1").ok()
    members = _members(tmp_path / "c.tar")
    (entry,) = json.loads(members["index.json"])["manifests"]
    manifest = _blob(members, entry["digest"])
    assert [layer["mediaType"].rpartition("+")[2] for layer in manifest["layers"]] == [kind] * len(manifest["layers"])
    before = fresh_pod.inspect("bb:1")["Id"]
    fresh_pod("rmi", "bb:1").ok()
    assert fresh_pod("load", "-i", path).ok() == "Loaded image: bb:1\n"
    assert fresh_pod.inspect("bb:1")["Id"] == before
    assert fresh_pod("run", "--rm", "--network", "none", "bb:1", "echo", "runs").ok() == "runs\n"


PACKERS = {
    "plain": lambda data: data,
    "gzip": gzip.compress,
    "gzip-twice": lambda data: gzip.compress(data[:5000]) + gzip.compress(data[5000:]),
    "bzip2": bz2.compress,
    "xz": lzma.compress,
    "zstd": lambda data: subprocess.run(["zstd", "-q"], input=data, capture_output=True, check=True).stdout,
}


@pytest.mark.alike
@pytest.mark.parametrize("packed", sorted(PACKERS))
@pytest.mark.parametrize("way", ["file", "pipe"])
def test_load_when_compressed_then_told_by_content(fresh_pod: Pod, tmp_path: Path, packed: str, way: str) -> None:
    data = PACKERS[packed](archives.tar(archives.docker()))
    if way == "pipe":
        said = fresh_pod("load", stdin=data).ok()
    else:
        (tmp_path / "image").write_bytes(data)
        said = fresh_pod("load", "-q", "-i", str(tmp_path / "image")).ok()
    assert said == "Loaded image: made:1\n"
    assert not list((fresh_pod.root / "blobs/sha256").glob(".*"))


@pytest.mark.alike
def test_load_when_a_name_moves_then_told_and_the_old_image_dangles(fresh_pod: Pod) -> None:
    fresh_pod("load", stdin=archives.tar(archives.docker())).ok()
    old = fresh_pod.inspect("made:1")["Id"]
    said = fresh_pod("load", stdin=archives.tar(archives.docker(files={"other": b"x"}))).ok()
    assert said == (
        f"The image made:1 already exists, renaming the old one with ID {old} to empty string\nLoaded image: made:1\n"
    )
    assert fresh_pod.inspect("made:1")["Id"] != old
    assert fresh_pod("images", "-q", "--no-trunc", "--filter", "dangling=true").ok().split() == [old]


@pytest.mark.alike
def test_load_when_there_is_no_name_then_the_id_is_told(fresh_pod: Pod) -> None:
    said = fresh_pod("load", stdin=archives.tar(archives.docker(None))).ok()
    image = fresh_pod("images", "-q", "--no-trunc").ok().strip()
    assert said == f"Loaded image ID: {image}\n"


@pytest.mark.alike
def test_load_when_it_is_loaded_again_then_nothing_changes(fresh_pod: Pod) -> None:
    data = archives.tar(archives.docker())
    fresh_pod("load", stdin=data).ok()
    before = sorted(path.name for path in fresh_pod.root.glob("blobs/sha256/*"))
    assert fresh_pod("load", stdin=data).ok() == "Loaded image: made:1\n"
    assert sorted(path.name for path in fresh_pod.root.glob("blobs/sha256/*")) == before


@pytest.mark.alike
def test_load_when_an_oci_layout_then_its_manifest_is_kept(fresh_pod: Pod, tmp_path: Path) -> None:
    files = archives.oci()
    manifest = json.loads(files["index.json"])["manifests"][0]["digest"]
    for name, content in files.items():
        (tmp_path / "dir" / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "dir" / name).write_bytes(content)
    for arguments, stdin in ((("-i", str(tmp_path / "dir")), None), ((), archives.tar(list(files.items())))):
        assert fresh_pod("load", *arguments, stdin=stdin).ok() == "Loaded image: made:1\n"
        assert [one["digest"] for one in json.loads((fresh_pod.root / "index.json").read_text())["manifests"]] == [
            manifest, manifest,
        ]  # fmt: skip
        fresh_pod("rmi", "made:1").ok()


@pytest.mark.alike
def test_load_when_an_archive_of_dockers_first_years_then_history_and_layers(fresh_pod: Pod) -> None:
    base, top = "1" * 64, "2" * 64
    documents = {
        base: {"id": base, "created": "2014-01-01T00:00:00Z", "container_config": {"Cmd": ["/bin/sh", "-c", "one"]}},
        top: {
            "id": top, "parent": base, "created": "2014-02-02T00:00:00Z", "architecture": "amd64", "os": "linux",
            "config": {"Cmd": ["/bin/two"]}, "container_config": {"Cmd": ["two"]},
        },
    }  # fmt: skip
    members: list[tuple[str, bytes | str]] = [("repositories", json.dumps({"old": {"1.0": top}}).encode())]
    for name, document in documents.items():
        members += [(f"{name}/VERSION", b"1.0"), (f"{name}/json", json.dumps(document).encode())]
    members += [
        (f"{base}/layer.tar", archives.layer({"one": b"1"})),
        (f"{top}/layer.tar", archives.layer({"two": b"2"})),
    ]
    assert fresh_pod("load", stdin=archives.tar(members)).ok() == "Loaded image: old:1.0\n"
    assert fresh_pod.inspect("old:1.0")["Config"]["Cmd"] == ["/bin/two"]
    told = fresh_pod("history", "--no-trunc", "--format", "{{.CreatedBy}}", "old:1.0").ok()
    assert told.splitlines() == ["two", "/bin/sh -c one"]


@pytest.mark.alike
def test_load_when_layers_are_links_then_followed_inside_the_archive(fresh_pod: Pod) -> None:
    content = archives.layer({"hello": b"x"})
    config = archives.config(["sha256:" + archives.sha(content)] * 2)
    item = {"Config": "c.json", "RepoTags": ["made:1"], "Layers": ["a/layer.tar", "b/layer.tar"]}
    members = [
        (f"{archives.sha(content)}.tar", content),
        ("a/layer.tar", f"../{archives.sha(content)}.tar"),
        ("b/layer.tar", "../a/layer.tar"),
        ("c.json", config),
        ("manifest.json", json.dumps([item]).encode()),
    ]
    assert fresh_pod("load", stdin=archives.tar(members)).ok() == "Loaded image: made:1\n"


@pytest.mark.alike
def test_save_when_a_repository_is_named_then_all_its_tags(pod: Pod, busybox: str, tmp_path: Path) -> None:
    for tag in ("many:1", "many:2"):
        pod("tag", busybox, tag).ok()
    image = pod.inspect(busybox)["Id"]
    tags = {}
    for word in ("many", "many:2", image[7:19]):
        pod("save", "-o", str(tmp_path / "a.tar"), word).ok()
        (item,) = json.loads(_members(tmp_path / "a.tar")["manifest.json"])
        tags[word] = item["RepoTags"]
    pod("rmi", "many:1", "many:2").ok()
    assert tags == {"many": ["many:1", "many:2"], "many:2": ["many:2"], image[7:19]: None}


def test_save_and_load_of_several_images_of_shared_layers(fresh_pod: Pod, tmp_path: Path) -> None:
    names = [fresh_pod.image("busybox:latest"), fresh_pod.image("odd:latest")]
    ids = [fresh_pod.inspect(name)["Id"] for name in names]
    path = str(tmp_path / "a.tar")
    fresh_pod("save", "-o", path, *names).ok()
    with tarfile.open(path) as archive:
        members = archive.getnames()
    assert len(members) == len(set(members))
    fresh_pod("rmi", *names).ok()
    assert fresh_pod("load", "-i", path).ok() == "".join(f"Loaded image: {name}\n" for name in names)
    assert [fresh_pod.inspect(name)["Id"] for name in names] == ids


@pytest.mark.alike
def test_save_when_it_cannot_then_one_line_and_no_file(pod: Pod, busybox: str, tmp_path: Path) -> None:
    path = str(tmp_path / "a.tar")
    pod("save", "-o", path, busybox, "nowhere:1").failed(1, "No such image: nowhere:1")
    pod("save", "-o", str(tmp_path / "no" / "a.tar"), busybox).failed(1, "failed to save image", "does not exist")
    pod("save", "-o", str(tmp_path), busybox).failed(1, "is a directory")
    pod("save", "-o", "/dev/null", busybox).failed(1, "got a device")
    pod("save", "--format", "zip", busybox).failed(125, "invalid format")
    pod("save", "--compress", "gzip", busybox).failed(125, "plain")
    pod("save", "--format", "oci-archive", "--compress", "xz", busybox).failed(125, "invalid compression")
    pod("save", "--format", "oci-dir", busybox).failed(125, "-o")
    pod("save", "--platform", "linux/s390x", "-o", path, busybox).failed(1, "does not match")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "x").touch()
    pod("save", "--format", "oci-dir", "-o", str(tmp_path / "full"), busybox).failed(1, "no empty folder")
    assert sorted(one.name for one in tmp_path.iterdir()) == ["full"]


def test_save_and_load_when_on_a_terminal_then_refused(pod: Pod, busybox: str) -> None:
    terminal = pod.terminal("save", busybox)
    terminal.expect(b"cowardly refusing to save to a terminal. Use the -o flag or redirect")
    assert terminal.wait() == 1
    terminal = pod.terminal("load")
    terminal.expect(b"requested load from stdin, but stdin is empty")
    assert terminal.wait() == 1


def test_save_when_its_reader_leaves_then_141_and_silence(pod: Pod, busybox: str) -> None:
    process = pod.start("save", busybox)
    assert process.stdout is not None
    process.stdout.read(1000)
    process.stdout.close()
    process.stdout = None
    _, err = process.communicate(timeout=60)
    assert (process.returncode, err) == (141, b"")


@pytest.mark.alike
def test_load_when_the_platform_is_another_then_refused_or_chosen(fresh_pod: Pod) -> None:
    data = archives.tar(archives.docker())
    fresh_pod("load", "--platform", "linux/arm64", stdin=data).failed(1, "does not match")
    assert fresh_pod("images", "-q").ok() == ""
    assert fresh_pod("load", "--platform", "linux/arm64,linux/amd64", stdin=data).ok() == "Loaded image: made:1\n"


@pytest.mark.alike
def test_load_when_there_is_nothing_to_load_then_one_line(fresh_pod: Pod, tmp_path: Path) -> None:
    fresh_pod("load", "-i", str(tmp_path / "none")).failed(1, "no such file or directory")
    fresh_pod("load", stdin=b"").failed(1, "it is empty")
    fresh_pod("load", stdin=b"no archive" * 100).failed(1, "not a tar archive")
    fresh_pod("load", "-i", str(tmp_path)).failed(1, "no archive of images")
    fresh_pod("load", stdin=archives.layer({"etc/passwd": b""})).failed(1, "no archive of images", "import")


@pytest.mark.alike
def test_events_of_save_and_load_are_told(fresh_pod: Pod, tmp_path: Path) -> None:
    fresh_pod("load", stdin=archives.tar(archives.docker())).ok()
    fresh_pod("save", "-o", str(tmp_path / "a.tar"), "made:1").ok()
    image = fresh_pod.inspect("made:1")["Id"]
    said = fresh_pod("events", "--since", "0", "--until", "0s", "--format", "{{.Action}} {{.Actor.ID}}").ok()
    assert said.splitlines() == [f"load {image}", f"save {image}"]


def test_save_to_a_folder_and_archive_are_tar_that_gnu_tar_reads(saved: Path) -> None:
    done = subprocess.run(["tar", "-tvf", str(saved)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert io.StringIO(done.stdout).readline().startswith("drwxr-xr-x 0/0")
