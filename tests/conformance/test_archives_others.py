"""save and load beside podman, skopeo, buildah and umoci, both ways: ids equal, digests where the form keeps them."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import archives, tools
from tests.support.podcli import Pod

_POLICY = "--insecure-policy"
IMAGES = ("busybox:latest", "odd:latest")


@pytest.fixture(scope="module")
def storage() -> Iterator[Path]:
    """A storage of podman's and buildah's own, by its vfs driver."""
    with tools.short_folder() as place:
        yield place


def _options(storage: Path) -> list[str]:
    return ["--root", str(storage / "root"), "--runroot", str(storage / "run"), "--storage-driver", "vfs"]


def _environ(storage: Path) -> dict[str, str]:
    return {
        "PATH": tools.SEARCH, "HOME": str(storage), "TMPDIR": str(storage), "XDG_RUNTIME_DIR": str(storage),
    }  # fmt: skip


def _podman(storage: Path, *arguments: str) -> str:
    return archives.run("podman", *_options(storage), "--log-level", "error", *arguments, environ=_environ(storage))


def _skopeo(*arguments: str) -> str:
    return archives.run("skopeo", _POLICY, *arguments)


def _image(pod: Pod, name: str) -> tuple[str, list[str]]:
    document = pod.inspect(name)
    return document["Id"], document["RootFS"]["Layers"]


@pytest.mark.alike
@pytest.mark.skopeo
@pytest.mark.parametrize("short", IMAGES)
def test_saved_archives_when_skopeo_reads_them_then_ids_and_digests(fresh_pod: Pod, tmp_path: Path, short: str) -> None:
    name = fresh_pod.image(short)
    image, layers = _image(fresh_pod, name)
    manifests = [entry["digest"] for entry in json.loads((fresh_pod.root / "index.json").read_text())["manifests"]]
    for form in ("docker-archive", "oci-archive", "oci"):
        path = tmp_path / form
        fresh_pod("save", "--format", "oci-dir" if form == "oci" else form, "-o", str(path), name).ok()
        config = json.loads(_skopeo("inspect", "--config", f"{form}:{path}"))
        assert config["rootfs"]["diff_ids"] == layers
        raw = _skopeo("inspect", "--raw", f"{form}:{path}")
        assert json.loads(raw)["config"]["digest"] == image
        if form != "docker-archive":
            assert "sha256:" + archives.sha(raw.encode()) in manifests


@pytest.mark.alike
@pytest.mark.skopeo
@pytest.mark.parametrize("form", ["docker-archive", "oci-archive", "oci"])
def test_load_when_skopeo_wrote_it_then_the_same_image(fresh_pod: Pod, tmp_path: Path, form: str) -> None:
    name = fresh_pod.image("odd:latest")
    image, _ = _image(fresh_pod, name)
    path = tmp_path / "copied"
    tag = "example.org/odd:2" if form != "oci" else "2"
    _skopeo("copy", "-q", f"oci:{fresh_pod.root}:{name}", f"{form}:{path}:{tag}")
    manifest = json.loads((fresh_pod.root / "index.json").read_text())["manifests"][0]["digest"]
    fresh_pod("rmi", name).ok()
    said = fresh_pod("load", "-i", str(path)).ok()
    assert said == (f"Loaded image ID: {image}\n" if form == "oci" else "Loaded image: example.org/odd:2\n")
    if form != "docker-archive":
        record = json.loads((fresh_pod.root / "images" / image[7:]).read_text())
        assert record["manifest"] == manifest


@pytest.mark.podman
@pytest.mark.sub_ids
def test_archives_when_podman_loads_and_saves_them_then_the_same_image(
    fresh_pod: Pod, storage: Path, tmp_path: Path
) -> None:
    name = fresh_pod.image("busybox:latest")
    image, _ = _image(fresh_pod, name)
    fresh_pod("tag", name, "example.org/busybox:3").ok()
    for form in ("docker-archive", "oci-archive"):
        path = tmp_path / form
        fresh_pod("save", "--format", form, "-o", str(path), "example.org/busybox:3").ok()
        said = _podman(storage, "load", "-q", "-i", str(path))
        assert said.strip().rpartition(" ")[2] == "example.org/busybox:3"
        assert _podman(storage, "image", "inspect", "--format", "{{.Id}}", "example.org/busybox:3").strip() == image[7:]
    for form in ("docker-archive", "oci-archive", "oci-dir"):
        back = tmp_path / f"{form}-theirs"
        _podman(storage, "save", "-q", "--format", form, "-o", str(back), "example.org/busybox:3")
        fresh_pod("rmi", "-f", image).ok()
        fresh_pod("load", "-i", str(back)).ok()
        assert fresh_pod("images", "-q", "--no-trunc").ok().split() == [image]


@pytest.mark.buildah
@pytest.mark.sub_ids
def test_load_when_buildah_wrote_it_then_the_same_layers(fresh_pod: Pod, storage: Path, tmp_path: Path) -> None:
    name = fresh_pod.image("busybox:latest")
    image, layers = _image(fresh_pod, name)
    fresh_pod("save", "-o", str(tmp_path / "ours"), name).ok()
    environ = _environ(storage)
    pulled = archives.run(
        "buildah", *_options(storage), "pull", "-q", f"docker-archive:{tmp_path / 'ours'}", environ=environ
    )
    assert pulled.strip() == image[7:]
    fresh_pod("rmi", name).ok()
    for form in ("docker-archive", "oci-archive"):
        target = f"{form}:{tmp_path / form}:made:1"
        archives.run("buildah", *_options(storage), "push", "-q", image[7:], target, environ=environ)
        fresh_pod("load", "-i", str(tmp_path / form)).ok()
        (theirs,) = fresh_pod("images", "-q", "--no-trunc").ok().split()  # buildah writes configurations anew.
        assert _image(fresh_pod, theirs)[1] == layers
        fresh_pod("rmi", "-f", theirs).ok()


@pytest.mark.umoci
def test_saved_layout_when_umoci_unpacks_it_then_the_tree_that_the_container_has(
    fresh_pod: Pod, tmp_path: Path
) -> None:
    name = fresh_pod.image("busybox:latest")
    fresh_pod("tag", name, "plain:1").ok()
    fresh_pod("save", "--format", "oci-dir", "-o", str(tmp_path / "layout"), "plain:1").ok()
    index = tmp_path / "layout/index.json"
    document = json.loads(index.read_text())
    document["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = "1"
    index.write_text(json.dumps(document))
    archives.run("umoci", "unpack", "--rootless", "--image", f"{tmp_path / 'layout'}:1", str(tmp_path / "bundle"))
    fresh_pod("rmi", name, "plain:1").ok()
    document["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"] = "plain:1"
    index.write_text(json.dumps(document))
    fresh_pod("load", "-i", str(tmp_path / "layout")).ok()
    told = fresh_pod("run", "--rm", "--network", "none", "plain:1", "find", "/bin", "/etc", "-type", "f").ok()
    theirs = [
        f"/{part}/{path.relative_to(tmp_path / 'bundle/rootfs' / part)}"
        for part in ("bin", "etc") for path in (tmp_path / "bundle/rootfs" / part).rglob("*")
        if path.is_file() and not os.path.islink(path)
    ]  # fmt: skip
    made = {"/etc/hosts", "/etc/hostname", "/etc/resolv.conf", "/etc/ld.so.preload"}
    assert sorted(set(told.split()) - made) == sorted(set(theirs) - made)
