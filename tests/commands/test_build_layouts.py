"""--build-context that stands for an image: another one of the store or a registry, or one of an OCI layout."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from tests.support.podcli import Pod, Result


@pytest.fixture
def layout(pod: Pod, busybox: str, tmp_path: Path) -> Path:
    """An OCI layout with one image, of-layout:1, which has /made."""
    (tmp_path / "first").mkdir()
    (tmp_path / "first/Dockerfile").write_text(f"FROM {busybox}\nRUN echo made >/made\nENV MADE=here\n")
    folder = tmp_path / "layout"
    words = ("-t", "of-layout:1", "-o", f"type=oci,tar=false,dest={folder}", str(tmp_path / "first"))
    pod("build", "-q", "--network", "none", *words, timeout=120).ok()
    return folder


def built(pod: Pod, folder: Path, text: str, *flags: str) -> Result:
    folder.mkdir(exist_ok=True)
    (folder / "Dockerfile").write_text(text)
    return pod("build", "--progress", "plain", "--network", "none", "-t", "built:1", *flags, str(folder), timeout=120)


def entry(layout: Path) -> dict[str, object]:
    found: dict[str, object] = json.loads((layout / "index.json").read_text())["manifests"][0]
    return found


@pytest.mark.parametrize("how", ["alone", "tag", "digest"])
def test_from_and_copy_when_a_context_is_an_oci_layout_then_its_image_is_taken(
    pod: Pod, layout: Path, tmp_path: Path, busybox: str, how: str
) -> None:
    more = {"alone": "", "tag": ":1", "digest": f"@{entry(layout)['digest']}"}[how]
    context = f"mine=oci-layout://{layout}{more}"
    text = f"FROM {busybox}\nCOPY --from=one /env /env\nCOPY --from=mine /made /copied\n"
    text = f"FROM mine AS one\nRUN echo $MADE >/env\n{text}"
    built(pod, tmp_path / "second", text, "--build-context", context).ok()
    read = ("run", "--rm", "--network", "none", "built:1", "cat", "/env", "/copied")
    assert pod(*read).ok() == "here\nmade\n"
    names = pod("images", "--format", "{{.Repository}}").ok().split()
    assert "mine" not in names
    assert "of-layout" not in names


def test_layout_when_it_has_no_such_image_then_it_says_what_it_has(pod: Pod, layout: Path, tmp_path: Path) -> None:
    unknown = f"@sha256:{'0' * 64}"
    for more, words in ((":none", "no image 'none'"), (unknown, "no image 'sha256:000"), ("x", "no such")):
        context = f"mine=oci-layout://{layout}{more}"
        assert words in built(pod, tmp_path / "c", "FROM mine\n", "--build-context", context).failed(1)
    (layout / "oci-layout").unlink()
    failed = built(pod, tmp_path / "c", "FROM mine\n", "--build-context", f"mine=oci-layout://{layout}")
    failed.failed(1, "no OCI layout")


@pytest.mark.parametrize("what", ["manifest", "config", "layer", "link"])
def test_layout_when_it_is_not_what_it_says_then_it_is_refused(
    fresh_pod: Pod, pod: Pod, layout: Path, tmp_path: Path, what: str
) -> None:
    """In another store, which has none of it."""
    blobs = layout / "blobs/sha256"
    manifest = blobs / str(entry(layout)["digest"])[7:]
    document = json.loads(manifest.read_text())
    digest = {"config": document["config"]["digest"], "manifest": entry(layout)["digest"]}
    path = blobs / str(digest.get(what, document["layers"][-1]["digest"]))[7:]
    data = bytearray(path.read_bytes())
    path.unlink()
    if what == "link":
        (tmp_path / "outside").write_bytes(data)
        os.symlink(tmp_path / "outside", path)
    else:
        data[len(data) // 2] ^= 1
        path.write_bytes(data)
    context = ("--build-context", f"mine=oci-layout://{layout}:1")
    failed = built(fresh_pod, tmp_path / "c", "FROM mine\nLABEL a=b\n", *context)
    assert failed.code == 1, failed
    assert "Traceback" not in failed.err, failed
    assert ("digest" if what != "link" else "link") in failed.err.lower(), failed
    assert fresh_pod("images", "-aq").ok() == ""
    assert not [name for name in os.listdir(fresh_pod.root / "blobs/sha256") if not name.startswith(".")]


def test_from_when_a_context_names_another_image_then_that_is_the_base(pod: Pod, layout: Path, tmp_path: Path) -> None:
    loaded = pod("load", "-i", str(layout)).ok()
    assert "of-layout:1" in loaded
    text = "FROM nowhere\nRUN cat /made >/again\n"
    built(pod, tmp_path / "c", text, "--build-context", "nowhere=docker-image://of-layout:1").ok()
    assert pod("run", "--rm", "--network", "none", "built:1", "cat", "/again").ok() == "made\n"
    failed = built(pod, tmp_path / "c", "FROM files\n", "--build-context", f"files={tmp_path}")
    failed.failed(1, "files, and no image")
