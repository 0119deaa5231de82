"""Archives that lie to load: one line, nothing of them in the store, nothing outside of it."""

from __future__ import annotations

import gzip
import io
import json
import os
import tarfile
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from tests.support import archives
from tests.support.podcli import Pod

pytestmark = pytest.mark.alike


def _refused(pod: Pod, data: bytes, *words: str) -> None:
    """Neither as a file nor as a stream is anything of it taken."""
    path = pod.base / "archive"
    path.write_bytes(data)
    for arguments, stdin in ((("load", "-i", str(path)), None), (("load",), data)):
        pod(*arguments, stdin=stdin).failed(1, *words)
        archives.nothing_left(pod)


def _changed(change: Any) -> bytes:
    """The archive of archives.docker() with its one manifest.json changed by ``change(item)``."""
    members = archives.docker()
    name, raw = members[-1]
    assert isinstance(raw, bytes)
    items = json.loads(raw)
    change(items[0])
    return archives.tar([*members[:-1], (name, json.dumps(items).encode())])


def test_load_when_names_lead_out_then_refused_and_nothing_is_written(fresh_pod: Pod, tmp_path: Path) -> None:
    for name in ("../../outside", "a/../../outside"):
        _refused(fresh_pod, archives.tar([(name, b"x"), *archives.docker()]), "leads out of it")
    absolute = archives.tar([(f"{tmp_path}/absolute", b"x"), *archives.docker()])
    assert fresh_pod("load", stdin=absolute).ok() == "Loaded image: made:1\n"
    assert not list(tmp_path.iterdir())
    assert not (fresh_pod.base / "outside").exists()


def test_load_when_links_lead_out_or_in_circles_then_refused(fresh_pod: Pod) -> None:
    manifest = archives.docker()[-1]
    _refused(fresh_pod, archives.tar([("manifest.json", "../../../etc/passwd")]), "leads out of it")
    _refused(fresh_pod, archives.tar([("manifest.json", "/etc/passwd")]), "no archive of images")
    _refused(fresh_pod, archives.tar([("manifest.json", "manifest.json")]), "no end")
    _refused(fresh_pod, archives.tar([("a", "b"), ("b", "a"), ("oci-layout", "a"), manifest]), "no end")


def test_load_when_a_folders_files_are_links_then_not_followed(fresh_pod: Pod, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    layout = tmp_path / "layout"
    layout.mkdir()
    for name, content in archives.oci().items():
        (outside / name).parent.mkdir(parents=True, exist_ok=True)
        (outside / name).write_bytes(content)
    (layout / "oci-layout").write_bytes((outside / "oci-layout").read_bytes())
    (layout / "index.json").symlink_to(outside / "index.json")
    fresh_pod("load", "-i", str(layout)).failed(1, "index.json", "too many levels of symbolic links")
    (layout / "index.json").unlink()
    os.mkfifo(layout / "index.json")
    fresh_pod("load", "-i", str(layout)).failed(1, "no regular file")
    (layout / "index.json").unlink()
    (layout / "index.json").write_bytes((outside / "index.json").read_bytes())
    (layout / "blobs").symlink_to(outside / "blobs")
    fresh_pod("load", "-i", str(layout)).failed(1)
    archives.nothing_left(fresh_pod)


def test_load_when_manifest_json_points_elsewhere_then_refused(fresh_pod: Pod) -> None:
    _refused(fresh_pod, _changed(lambda item: item.update(Config="/etc/passwd")), "etc/passwd is missing")
    _refused(fresh_pod, _changed(lambda item: item.update(Config="manifest.json")), "not a JSON object")
    _refused(fresh_pod, _changed(lambda item: item.update(Layers=["gone/layer.tar"])), "is missing")
    _refused(fresh_pod, _changed(lambda item: item.update(Layers=["manifest.json"])), "wrong digest")
    _refused(fresh_pod, _changed(lambda item: item.update(Layers=[])), "0 layers but 1 diff_ids")
    _refused(fresh_pod, _changed(lambda item: item.update(Layers="aa/layer.tar")), "not a list of texts")
    _refused(fresh_pod, _changed(lambda item: item.update(RepoTags=["UPPER:1"])), "must be lowercase")
    _refused(fresh_pod, _changed(lambda item: item.pop("Config")), "without Config")


def test_load_when_content_is_not_what_its_digest_says_then_nothing_is_kept(fresh_pod: Pod) -> None:
    layer, config, manifest = archives.docker()
    other = archives.layer({"hello": b"other\n"})
    _refused(fresh_pod, archives.tar([(layer[0], other), config, manifest]), "wrong digest")
    forged = archives.config(["sha256:" + archives.sha(other)])
    _refused(fresh_pod, archives.tar([(layer[0], other), (config[0], forged), manifest]), "wrong digest")
    packed = gzip.compress(other)
    _refused(fresh_pod, archives.tar([(layer[0], packed), config, manifest]), "wrong digest")
    files = archives.oci()
    for name in [name for name in files if name.startswith("blobs/")]:
        changed = {**files, name: files[name][:-1] + bytes([files[name][-1] ^ 1])}
        _refused(fresh_pod, archives.tar(list(changed.items())), "wrong digest")
        short = {**files, name: files[name][:-1]}
        _refused(fresh_pod, archives.tar(list(short.items())), "")


def test_load_when_documents_are_huge_or_deep_then_refused(fresh_pod: Pod) -> None:
    _refused(fresh_pod, archives.tar([("manifest.json", b"[" + b" " * (5 << 20) + b"]")]), "larger than")
    _refused(fresh_pod, archives.tar([("manifest.json", b"[" * 100000)]), "nested deeper")
    _refused(fresh_pod, archives.tar([("manifest.json", b"[" + b"{}," * 300000 + b"{}]")]), "more than")
    _refused(fresh_pod, archives.tar([("manifest.json", b"[" + b"9" * 10000 + b"]")]), "digits")
    _refused(fresh_pod, archives.tar([("repositories", b"{" * 1000)]), "nested deeper")
    files = archives.oci()
    files["index.json"] = b'{"schemaVersion":2,"manifests":[' + b"{}," * 2000 + b"{}]}"
    _refused(fresh_pod, archives.tar(list(files.items())), "more than the 1000")
    layer, config, manifest = archives.docker()
    big = config[1] + b" " * (9 << 20) if isinstance(config[1], bytes) else b""
    _refused(fresh_pod, archives.tar([layer, (config[0], big), manifest]), "larger than")


def test_load_when_entries_are_without_number_then_refused(fresh_pod: Pod) -> None:
    one = archives.tar([("x", b"")])[:512]
    _refused(fresh_pod, gzip.compress(one * 60000, 1), "more than 50000 entries")


def test_load_when_a_used_name_is_there_twice_then_refused(fresh_pod: Pod) -> None:
    layer, config, manifest = archives.docker()
    _refused(fresh_pod, archives.tar([layer, config, manifest, manifest]), "is there twice")
    _refused(fresh_pod, archives.tar([layer, (layer[0], b"x"), config, manifest]), "is there twice")
    harmless = archives.tar([("x", b"1"), ("x", b"2"), layer, config, manifest])
    assert fresh_pod("load", stdin=harmless).ok() == "Loaded image: made:1\n"


def test_load_when_cut_anywhere_then_refused(fresh_pod: Pod) -> None:
    data = archives.tar(archives.docker(files={"hello": b"x" * 3000}))
    end = len(data.rstrip(b"\0"))
    path = fresh_pod.base / "archive"
    for at in (1, 100, 511, 512, 513, 700, 1024, 2000, 5000, end - 600, end - 1):
        path.write_bytes(data[:at])
        fresh_pod("load", "-i", str(path)).failed(1)
        archives.nothing_left(fresh_pod)
    for at in (3, 20, 100, 400):
        fresh_pod("load", stdin=gzip.compress(data)[:at]).failed(1)
        archives.nothing_left(fresh_pod)


def test_load_when_stdin_is_closed_half_way_then_nothing_is_left(fresh_pod: Pod) -> None:
    data = archives.tar(archives.docker(files={"big": os.urandom(3 << 20)}))
    process = fresh_pod.start("load")
    assert process.stdin is not None
    process.stdin.write(data[: 2 << 20])
    _, err = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"unexpected EOF" in err
    archives.nothing_left(fresh_pod)


def test_load_when_a_bomb_then_it_ends_at_the_sizes_that_are_told(fresh_pod: Pod) -> None:
    """A gigabyte of zeros in a megabyte: behind the archive, where a header should be, and as a document."""
    zeros = gzip.compress(bytes(1 << 26)) * 16
    started = time.monotonic()
    said = fresh_pod("load", stdin=gzip.compress(archives.tar(archives.docker())) + zeros).ok()
    assert said == "Loaded image: made:1\n"
    fresh_pod("rmi", "made:1").ok()
    fresh_pod("load", stdin=zeros).failed(1, "no entries")
    entry = tarfile.TarInfo("manifest.json")
    entry.size = 1 << 30
    fresh_pod("load", stdin=gzip.compress(entry.tobuf()) + zeros).failed(1, "larger than")
    archives.nothing_left(fresh_pod)
    assert time.monotonic() - started < 60


def test_load_when_sizes_lie_then_refused(fresh_pod: Pod) -> None:
    for size in (1 << 33, (1 << 62) + 5):
        entry = tarfile.TarInfo("manifest.json")
        entry.size = size
        _refused(fresh_pod, entry.tobuf(tarfile.GNU_FORMAT) + b"[]" + bytes(2000), "")
    entry = tarfile.TarInfo("manifest.json")
    entry.size = 10
    raw = bytearray(entry.tobuf())
    raw[124:136] = b"-0000000001\0"
    raw[148:156] = b"%06o\0 " % (sum(raw[:148]) + sum(raw[156:512]) + 8 * 32)
    _refused(fresh_pod, bytes(raw) + bytes(4096), "makes no sense")
    raw[148:156] = b"000000\0 "
    _refused(fresh_pod, bytes(raw) + bytes(4096), "not a tar archive")
    pax = tarfile.TarInfo("x")
    pax.type = tarfile.XHDTYPE
    pax.size = 1 << 30
    _refused(fresh_pod, pax.tobuf() + bytes(4096), "a header of")


def test_load_when_names_and_texts_steer_a_terminal_then_escaped(fresh_pod: Pod) -> None:
    bad = "\x1b]0;owned\x07"
    data = _changed(lambda item: item.update(Layers=[bad]))
    said = fresh_pod("load", stdin=data).failed(1, "is missing")
    assert "\x1b" not in said
    said = fresh_pod("load", stdin=_changed(lambda item: item.update(RepoTags=[bad]))).failed(1)
    assert "\x1b" not in said


def test_load_when_the_archive_shrinks_meanwhile_then_refused(fresh_pod: Pod) -> None:
    path = fresh_pod.base / "archive"
    path.write_bytes(archives.tar(archives.docker(files={"big": os.urandom(8 << 20)})))
    ended = threading.Event()

    def cut() -> None:
        while not ended.is_set():
            os.truncate(path, 1 << 20)
            time.sleep(0.001)

    process = fresh_pod.start("load", "-i", str(path))
    worker = threading.Thread(target=cut)
    worker.start()
    _, err = process.communicate(timeout=60)
    ended.set()
    worker.join()
    assert process.returncode == 1
    assert err.count(b"pod: ") == 1
    archives.nothing_left(fresh_pod)


def test_load_when_layers_hold_traps_then_unpacked_as_any_layer(fresh_pod: Pod, tmp_path: Path) -> None:
    """The walls of pulled layers (test_unpack_*.py) are those of loaded ones: the same code."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, str(tmp_path)
        archive.addfile(link)
        inside = tarfile.TarInfo("link/planted")
        inside.size = 1
        archive.addfile(inside, io.BytesIO(b"x"))
    config = archives.config(["sha256:" + archives.sha(out.getvalue())])
    item = {"Config": "c.json", "RepoTags": ["made:1"], "Layers": ["l.tar"]}
    members = [("l.tar", out.getvalue()), ("c.json", config), ("manifest.json", json.dumps([item]).encode())]
    fresh_pod("load", stdin=archives.tar(members))
    assert not list(tmp_path.iterdir())
