"""``compose export-bundle``: an application as one file, and what runs from it where there is no network."""

from __future__ import annotations

import hashlib
import io
import json
import subprocess
import tarfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.support import tools
from tests.support.compose import App
from tests.support.podcli import Pod

SHAPE = """
name: shop
services:
  web:
    build: {context: ., dockerfile_inline: "FROM %IMAGE%\\nRUN echo made > /made\\n"}
    develop: {watch: [{action: sync, path: ./html, target: /html}]}
    command: %WAITS%
    env_file: [web.env]
    environment: {PRICE: "5$$"}
    configs: [{source: page, target: /page}, {source: tool, target: /tool}]
    secrets: [word]
    volumes: ["data:/data", "./html:/html:ro"]
    networks: [front]
  db:
    image: %IMAGE%
    pull_policy: always
    command: %WAITS%
    networks: [front]
networks: {front: {}}
volumes: {data: {}}
configs: {page: {file: ./page}, tool: {file: ./tool}}
secrets: {word: {file: ./word}}
"""
PAGE = b"\xffcosts $5 and ${NOTHING}, \x7f\t\xc3\xa9\r\n"


@pytest.fixture
def app(pod: Pod, busybox: str, tmp_path: Path) -> Iterator[App]:
    folder = tmp_path / "sources"
    (folder / "html").mkdir(parents=True)
    (folder / "html/index").write_text("hello\n")
    (folder / "page").write_bytes(PAGE)
    (folder / "tool").write_text("#!/bin/sh\necho works\n")
    (folder / "tool").chmod(0o755)
    (folder / "word").write_text("secret word\n")
    (folder / "web.env").write_text("NAME=a shop\n")
    made = App(pod, busybox, folder, "shop")
    made.write(SHAPE)
    yield made
    made.close()
    assert made.leftovers() == []


@pytest.fixture
def bundle(app: App, tmp_path: Path) -> Path:
    path = tmp_path / "shop.bundle"
    done = app("export-bundle", str(path))
    assert done.ok() == ""
    assert "WARNING: service web: what is bound from ./html is not in the bundle" in done.err
    assert "WARNING: secret word: ./word is not in the bundle" in done.err
    return path


def test_bundle_when_there_is_no_network_then_the_application_runs(
    app: App, bundle: Path, offline_pod: Pod, tmp_path: Path
) -> None:
    (tmp_path / "word").write_text("another word\n")
    (tmp_path / "html").mkdir()
    (tmp_path / "html/index").write_text("here\n")
    with tarfile.open(bundle) as archive:
        document = json.load(archive.extractfile("compose.json") or io.BytesIO())
    assert b"secret word" not in bundle.read_bytes()
    assert all("@sha256:" in service["image"] for service in document["services"].values())
    there = ["compose", "-f", str(bundle)]
    up = offline_pod(*there, "up", "-d")
    assert "web Loaded" in up.err or "web  Loaded" in up.err, up.err
    up.ok()
    try:
        run = [*there, "exec", "-T", "web", "sh", "-c"]
        said = offline_pod(*run, "cat /made /html/index /run/secrets/word; /tool; echo $NAME $PRICE; sha256sum </page")
        page = hashlib.sha256(PAGE).hexdigest()
        assert said.ok() == f"made\nhere\nanother word\nworks\na shop 5$\n{page}  -\n"
        again = offline_pod(*there, "up", "-d", "--pull", "always")
        assert again.ok() == ""
        assert "Recreat" not in again.err
        assert "shop_front" in offline_pod("network", "ls").ok()
    finally:
        offline_pod(*there, "down", "-v", "-t", "0").ok()
    other = offline_pod(*there, "-p", "other", "config").ok()
    assert "other_front" in other
    assert "shop_" not in other


def test_bundle_when_others_read_it_then_it_is_an_archive_of_images(app: App, bundle: Path, offline_pod: Pod) -> None:
    loaded = offline_pod("load", "-i", str(bundle)).ok()
    assert "Loaded image: shop-web:latest" in loaded
    assert offline_pod("run", "--rm", "shop-web", "cat", "/made").ok() == "made\n"
    if tools.find("skopeo"):
        seen = subprocess.run(
            ["skopeo", "inspect", "--raw", f"oci-archive:{bundle}:docker.io/library/shop-web:latest"],
            capture_output=True, timeout=60, check=True,
        )  # fmt: skip
        with tarfile.open(bundle) as archive:
            document = json.load(archive.extractfile("compose.json") or io.BytesIO())
        digest = hashlib.sha256(seen.stdout).hexdigest()
        assert document["services"]["web"]["image"] == f"docker.io/library/shop-web@sha256:{digest}"


def test_bundle_when_a_file_comes_after_it_then_that_one_counts(app: App, bundle: Path, offline_pod: Pod) -> None:
    override = bundle.with_name("more.yaml")
    override.write_text("services: {db: {environment: {LATER: said}}}\n")
    (bundle.parent / "word").write_text("w\n")
    document = json.loads(
        offline_pod("compose", "-f", str(bundle), "-f", str(override), "config", "--format", "json").ok()
    )
    assert document["services"]["db"]["environment"] == {"LATER": "said"}
    assert document["name"] == "shop"


def _cut(data: bytes) -> bytes:
    return data[:700]


def _huge(data: bytes) -> bytes:
    return data[:124] + b"77777777777\0" + data[136:]


def _no_number(data: bytes) -> bytes:
    return data[:124] + b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff" + data[136:]


def _no_json(data: bytes) -> bytes:
    size = int(data[124:135], 8)
    return data[:512] + b"[" * size + data[512 + size :]


def _strange(data: bytes) -> bytes:
    size = int(data[124:135], 8)
    return data[:512] + b"services: {web: {image: a@b}}".ljust(size) + data[512 + size :]


_DAMAGES: tuple[tuple[Callable[[bytes], bytes], str], ...] = (
    (_cut, "the bundle ends in its compose.json"),
    (_huge, "compose.json is larger than"),
    (_no_number, "compose.json is larger than"),
    (_no_json, "shop.bundle"),
    (_strange, "is not what export-bundle writes"),
)


def test_bundle_when_damaged_then_one_line(app: App, bundle: Path, offline_pod: Pod) -> None:
    whole = bundle.read_bytes()
    for damage, words in _DAMAGES:
        bundle.write_bytes(damage(whole))
        failed = offline_pod("compose", "-f", str(bundle), "-p", "x", "up", "-d", timeout=30)
        assert failed.code in (1, 14, 15, 125), failed
        assert words in failed.failed(failed.code)
    data = bytearray(whole)
    with tarfile.open(fileobj=io.BytesIO(whole)) as archive:
        layer = max(archive.getmembers(), key=lambda member: member.size)
    data[layer.offset_data + layer.size // 2] ^= 1
    bundle.write_bytes(data)
    (bundle.parent / "word").write_text("w\n")
    failed = offline_pod("compose", "-f", str(bundle), "up", "-d", "db")
    assert "digest" in failed.failed(failed.code)
    assert failed.code
    assert offline_pod("images", "-q").ok() == ""


def test_export_bundle_when_it_cannot_be_then_no_file(app: App, tmp_path: Path) -> None:
    target = tmp_path / "out.bundle"
    (app.folder / "page").write_bytes(bytes(2 << 20))
    assert "large files belong" in app("export-bundle", str(target)).failed(1)
    (app.folder / "page").unlink()
    assert "config page: no such file" in app("export-bundle", str(target)).failed(1)
    assert "does not exist" in app("export-bundle", str(tmp_path / "no/where")).failed(1)
    assert list(tmp_path.glob("out*")) == []
